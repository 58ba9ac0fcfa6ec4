"""What a network's training and a baseline's fit share: hold the fold, look at its result, write its files."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from threadpoolctl import threadpool_limits

from qm7cli.core.errors import QM7Error, notice
from qm7cli.data.dataset import Dataset
from qm7cli.data.splits import Fold
from qm7cli.model.domain import Domain
from qm7cli.model.fold_model import FoldModel
from qm7cli.model.metrics import Evaluation
from qm7cli.model.target import Target
from qm7cli.runs.access import fold_directory, lock_fold, register_fold
from qm7cli.runs.experiment import Experiment
from qm7cli.runs.fingerprints import fingerprints
from qm7cli.runs.models import write_predictions
from qm7cli.runs.results import FoldResult, Status, current_environment, make_results, read_fold, write_fold

OwnModel = TypeVar("OwnModel", bound=FoldModel)


class Progress(NamedTuple):
    """How far a fold's training is, in iterations or in another `unit`."""

    run: Path
    fold: int
    iteration: int
    iterations: int
    mae: float | None = None  # of the test, kcal/mol, when an evaluation has just been done
    unit: str = "iteration"


Report = Callable[[Progress], None]


@dataclass(frozen=True)
class FoldWork:
    """A fold of a run that this process holds; `before` is its result as it was found, if there was one."""

    experiment: Experiment
    dataset: Dataset
    fold: Fold
    run: Path
    report: Report
    stopped: Callable[[], bool]
    before: FoldResult | None
    started: str

    @property
    def directory(self) -> Path:
        """The fold's directory."""
        return fold_directory(self.run, self.fold.number)

    @property
    def finished(self) -> FoldResult | None:
        """The fold's result, if nothing is left to do."""
        return self.before if fold_status(self.before, self.experiment.iterations) in {"complete", "diverged"} else None

    def begin(self, result: FoldResult) -> FoldResult:
        """Enter the fold into the run's configuration and write its first result; raises like `register_fold`."""
        register_fold(self.run, self.experiment, self.fold.number, self.dataset)
        return self.write(result)

    def write(self, result: FoldResult) -> FoldResult:
        """Write the fold's result and the run's, and return it."""
        write_fold(self.run, result)
        return result

    def write_model(self, save: Callable[[Path, OwnModel], None], model: OwnModel, test: Evaluation) -> None:
        """Write the fold's model, with its domain and interval, and its predictions."""
        domain = Domain.of(self.dataset, self.fold.train, self.fold.test)
        save(self.directory / "model.npz", replace(model, domain=domain, interval=test.interval))
        write_predictions(self.run, self.fold.number, test, test.spreads)

    def result(self, status: Status, iterations: int, seconds: float, **values: Any) -> FoldResult:
        """Return a result of the fold; `values` are further fields."""
        times = {"started": self.started, "finished": None if status == "partial" else _now()}
        return FoldResult(
            fold=self.fold.number,
            status=status,
            iterations=iterations,
            seconds=round(seconds, 1),
            train_molecules=len(self.fold.train),
            test_molecules=len(self.fold.test),
            environment=current_environment().model_copy(update=times | fingerprints(self.experiment)),
            **values,
        )

    def report_progress(self, done: int, of: int, mae: float | None = None, unit: str = "iteration") -> None:
        """Report how much is done of how much."""
        self.report(Progress(self.run, self.fold.number, done, of, mae, unit))


@contextmanager
def claim_fold(
    experiment: Experiment, dataset: Dataset, fold: Fold, run: Path, report: Report, stopped: Callable[[], bool]
) -> Iterator[FoldWork]:
    """Hold a fold, with one BLAS thread, and look at what is there already.

    A finished fold that ``results.yaml`` lacks is entered there. Else nothing is written before `FoldWork.begin`.
    Raises BusyError if another process holds the fold; QM7Error if it has been trained for too long, or is damaged.
    """
    with lock_fold(run, fold.number), threadpool_limits(1):
        before = read_fold(run, fold.number)
        known = before.environment if before else None
        if known and known.engine not in {None, fingerprints(experiment).get("engine")}:
            notice(f"network, encoder, target or training loop have changed since folds of {run} were trained")
        work = FoldWork(experiment, dataset, fold, run, report, stopped, before, (known and known.started) or _now())
        if before is not None and before.iterations > experiment.iterations:
            raise too_long(run, fold.number, before.iterations, experiment.iterations)
        if work.finished is not None:
            make_results(run, work.finished)
        yield work


def refuse_imported(experiment: Experiment) -> None:
    """Raise QM7Error if an experiment is that of an imported run, which cannot be trained."""
    if experiment.imported:
        raise QM7Error(f"imported is {experiment.imported}: a run of imported predictions has no model to train")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def fit_target(experiment: Experiment, dataset: Dataset, fold: Fold) -> Target:
    """Fit what is subtracted from the energies to a fold's training molecules.

    Raises QM7Error if a test molecule has an element that these lack, where its part cannot be known.
    """
    target = Target.fit(experiment.target.subtract, dataset.Z[fold.train], dataset.T[fold.train])
    for molecule in fold.test:
        if unknown := target.unknown(dataset.Z[molecule]):
            raise QM7Error(f"fold {fold.number}: its test molecule {molecule} has no energy: {unknown}")
    return target


def fold_status(result: FoldResult | None, iterations: int) -> str:
    """Return a fold's status: its result's, ``new``, or ``longer`` if it was trained for more than the `iterations`."""
    if result is None:
        return "new"
    if result.iterations > iterations:
        return "longer"
    return "partial" if result.status == "complete" and result.iterations < iterations else result.status


def too_long(run: Path, fold: int, iterations: int, wanted: int) -> QM7Error:
    """Return the error of a fold that has been trained for more iterations than wanted."""
    trained = f"fold {fold} of {run} has been trained for {iterations} iterations"
    return QM7Error(f"{trained}, more than the {wanted} asked for; choose another --out, or --overwrite it")
