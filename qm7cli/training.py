"""Training one fold (Montavon et al., NIPS 2012, section 4).

What an iteration does depends on the seed, the fold and the iteration's number alone. Minibatches are drawn and
encoded in blocks; block k is drawn from its own streams, so a training that stopped in the middle of it draws the
same block again and goes on with the same bits.
"""

import time
from bisect import bisect_right
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from threadpoolctl import threadpool_limits

from qm7cli.checkpoint import load_checkpoint, save_checkpoint, save_model
from qm7cli.config import Experiment, settings
from qm7cli.dataset import Dataset
from qm7cli.encoding import Encoder
from qm7cli.errors import QM7Error
from qm7cli.evaluation import Evaluation, Model
from qm7cli.files import format_csv, remove_stale, write_text
from qm7cli.network import Network
from qm7cli.results import FoldResult, fold_directory, lock_fold, read_fold, write_fold
from qm7cli.seeds import Purpose, stream
from qm7cli.splits import Fold
from qm7cli.variants import RULES

BLOCK = 1250  # molecules drawn and encoded at once: 50 minibatches of 25, 10 MB of features
EXPLODING = 1000.0  # largest root mean square error of a minibatch, in standard deviations of the energies
HISTORY_HEADER = ("iteration", "seconds", "test_mae", "test_rmse", "train_mae", "train_rmse")


class Progress(NamedTuple):
    """Where a fold's training stands.

    `mae` is the test MAE in kcal/mol when an evaluation has just been done, else None.
    """

    fold: int
    iteration: int
    iterations: int
    mae: float | None = None


class DivergenceError(QM7Error):
    """The training has left the numbers that a computer can go on with."""


class FoldTraining:
    """The state of one fold's training.

    Attributes
    ----------
    experiment, dataset, fold
        What is trained.
    encoder : Encoder
        Fitted to the training molecules.
    energy_mean, energy_std : float
        Of the training energies, kcal/mol.
    targets : (molecules of the data set,) float32
        Energies, in standard deviations from the mean.
    network : Network
    iteration : int
        Iterations done.
    seconds : float
        Time spent on them.
    history : list of tuple
        A row of `HISTORY_HEADER` for each interim evaluation.
    """

    def __init__(self, experiment: Experiment, dataset: Dataset, fold: Fold) -> None:
        self.experiment, self.dataset, self.fold = experiment, dataset, fold
        energies = dataset.T[fold.train].astype(np.float64)
        self.energy_mean, self.energy_std = float(energies.mean()), float(energies.std())
        if self.energy_std == 0:
            raise QM7Error(f"fold {fold.number}: all training energies are the same")
        self.targets = ((dataset.T - self.energy_mean) / self.energy_std).astype(np.float32)
        noise, step = experiment.encoding.noise, experiment.encoding.step
        self.encoder = Encoder.fit(dataset, fold.train, noise, step, self._stream(Purpose.ENCODER))
        sizes = [len(self.encoder.mean), *experiment.network.hidden, 1]
        self.network = Network.initial(sizes, RULES[experiment.variant], self._stream(Purpose.WEIGHTS))
        self.iteration = 0
        self.seconds = 0.0
        self.history: list[tuple[float, ...]] = []
        self._block = -1

    @classmethod
    def resume(cls, experiment: Experiment, dataset: Dataset, fold: Fold, path: Path) -> Self:
        """Go on from a checkpoint.

        Raises
        ------
        QM7Error
            If it is damaged or belongs to another configuration.
        """
        about, P, Q = load_checkpoint(path)
        if about["identity"] != _identity(experiment, dataset, fold):
            raise QM7Error(f"{path} belongs to another configuration; remove it to train this fold from the start")
        training = cls(experiment, dataset, fold)
        network = training.network
        if P.shape != network.P.shape:
            raise QM7Error(f"{path} was written by another version of numpy; remove it to train this fold anew")
        training.network = Network(network.sizes, network.rule, P, Q, about["s"])
        training.iteration, training.seconds = about["iteration"], about["seconds"]
        training.history = [tuple(row) for row in about["history"]]
        return training

    def save(self, path: Path) -> None:
        """Write a checkpoint."""
        about = {
            "identity": _identity(self.experiment, self.dataset, self.fold),
            "iteration": self.iteration,
            "seconds": self.seconds,
            "history": self.history,
            "s": self.network.s,
        }
        save_checkpoint(path, about, self.network.P, self.network.Q)

    def iterate(self) -> None:
        """Do one iteration.

        Raises
        ------
        DivergenceError
            If the error of its minibatch is no number or beyond all measure.
        """
        training = self.experiment.training
        b = training.batch_size
        minibatches = max(1, BLOCK // b)
        block, place = divmod(self.iteration, minibatches)
        if block != self._block:
            self._draw_block(block, minibatches * b)
        part = slice(place * b, (place + 1) * b)
        iteration = self.iteration + 1
        rate = self.rate(iteration)
        a = 1 / (1 + training.history * iteration)
        batch_errors = self.network.step(self._features[part], self._block_targets[part], rate, a)
        if not np.dot(batch_errors, batch_errors) < b * EXPLODING**2:  # false for nan too
            raise DivergenceError(
                f"fold {self.fold.number} diverged at iteration {iteration}, at the learning rate {rate:g}"
            )
        self.iteration = iteration

    def rate(self, iteration: int) -> float:
        """Return the learning rate of an iteration, counted from 1."""
        schedule = self.experiment.training.schedule
        return schedule[bisect_right(schedule, iteration, key=lambda step: step[0]) - 1][1]

    def model(self) -> Model:
        """Return the averaged network as it is now, with its encoder."""
        return Model(
            variant=self.experiment.variant,
            seed=self.experiment.seed,
            fold=self.fold.number,
            iterations=self.iteration,
            draws=self.experiment.evaluation.draws,
            sha256=self.dataset.sha256,
            train=self.fold.train,
            test=self.fold.test,
            encoder=self.encoder,
            layers=self.network.averaged(),
            energy_mean=self.energy_mean,
            energy_std=self.energy_std,
        )

    def evaluate(self) -> tuple[Evaluation, Evaluation]:
        """Evaluate the averaged network as it is now, on the test and on the training molecules."""
        model = self.model()
        return model.evaluate(self.dataset, "test", model.draws), model.evaluate(self.dataset, "train", model.draws)

    def history_row(self, test: Evaluation, train: Evaluation) -> tuple[float, ...]:
        """Return a row of `HISTORY_HEADER`."""
        return self.iteration, round(self.seconds, 1), test.mae, test.rmse, train.mae, train.rmse

    def _draw_block(self, block: int, count: int) -> None:
        choice = self._stream(Purpose.MINIBATCHES, block).integers(0, len(self.fold.train), count)
        molecules = self.fold.train[choice]
        self._features = self.encoder.draw(self.dataset, molecules, self._stream(Purpose.PERMUTATIONS, block))
        self._block_targets = self.targets[molecules]
        self._block = block

    def _stream(self, purpose: Purpose, *index: int) -> np.random.Generator:
        return stream(self.experiment.seed, self.fold.number, purpose, *index)


def _identity(experiment: Experiment, dataset: Dataset, fold: Fold) -> dict[str, Any]:
    """Return what a checkpoint must agree in, as it reads back from JSON."""
    return {**settings(experiment), "sha256": dataset.sha256, "fold": fold.number}


def evaluation_due(iteration: int, every: int) -> bool:
    """Say whether an interim evaluation comes after `iteration`: 1, 2, 5 x 10^k from 1,000 on, and each `every`."""
    return iteration % every == 0 or (iteration >= 1000 and str(iteration).rstrip("0") in {"1", "2", "5"})


def train_fold(
    experiment: Experiment,
    dataset: Dataset,
    fold: Fold,
    run: Path,
    report: Callable[[Progress], None] = lambda _: None,
    stopped: Callable[[], bool] = lambda: False,
) -> FoldResult:
    """Train one fold of a run: from the start, from its checkpoint, or not at all if it is finished.

    Parameters
    ----------
    experiment : Experiment
        The settings.
    dataset : Dataset
        The molecules.
    fold : Fold
        Which of them are held out.
    run : Path
        The run's directory, opened with `qm7cli.results.open_run`.
    report : callable
        Called with the progress about every tenth of a second, and after each evaluation.
    stopped : callable
        Asked after each iteration; when true, the checkpoint is written and the result is ``partial``.

    Returns
    -------
    FoldResult
        As written to the fold's ``result.yaml``.

    Raises
    ------
    QM7Error
        If another process trains this fold, a file of it is damaged or cannot be written, or it has been trained
        for longer than `experiment` asks.
    """
    directory = fold_directory(run, fold.number)
    wanted = experiment.training.iterations
    with lock_fold(run, fold.number), threadpool_limits(1), np.errstate(all="ignore"):
        remove_stale(directory)
        before = read_fold(run, fold.number)
        if before is not None and (before.status == "diverged" or _done(before, wanted, run)):
            return before
        if (directory / "checkpoint.npz").exists():
            training = FoldTraining.resume(experiment, dataset, fold, directory / "checkpoint.npz")
        else:
            training = FoldTraining(experiment, dataset, fold)
        if training.iteration > wanted:
            raise _too_long(run, fold.number, training.iteration, wanted)
        write_fold(run, _partial(training), dataset)
        try:
            _advance(training, run, report, stopped)
        except DivergenceError as divergence:
            result = _partial(training).model_copy(update={"status": "diverged", "reason": str(divergence)})
        else:
            if training.iteration == wanted:
                result = _finish(training, directory)
            else:
                training.save(directory / "checkpoint.npz")
                result = _partial(training)
        write_fold(run, result, dataset)
        report(Progress(fold.number, result.iterations, wanted, result.mae))
        return result


def _done(before: FoldResult, wanted: int, run: Path) -> bool:
    if before.status == "complete" and before.iterations > wanted:
        raise _too_long(run, before.fold, before.iterations, wanted)
    return before.status == "complete" and before.iterations == wanted


def _too_long(run: Path, fold: int, iterations: int, wanted: int) -> QM7Error:
    return QM7Error(
        f"fold {fold} of {run} has been trained for {iterations} iterations, more than the {wanted} asked for; "
        "choose another --out, or --overwrite it"
    )


def _partial(training: FoldTraining) -> FoldResult:
    return FoldResult(
        fold=training.fold.number,
        status="partial",
        iterations=training.iteration,
        seconds=round(training.seconds, 1),
    )


def _advance(
    training: FoldTraining, run: Path, report: Callable[[Progress], None], stopped: Callable[[], bool]
) -> None:
    """Train to the end, or until stopped, with evaluations and checkpoints on the way."""
    experiment, directory = training.experiment, fold_directory(run, training.fold.number)
    wanted = experiment.training.iterations
    begun = time.perf_counter() - training.seconds
    reported = training.seconds
    while training.iteration < wanted and not stopped():
        training.iterate()
        training.seconds = time.perf_counter() - begun
        if training.iteration == wanted:
            break
        mae = None
        if evaluation_due(training.iteration, experiment.evaluation.every):
            test, train = training.evaluate()
            mae = test.mae
            training.history.append(training.history_row(test, train))
            write_text(directory / "history.csv", format_csv(HISTORY_HEADER, training.history))
        if training.iteration % experiment.training.checkpoint_every == 0:
            training.save(directory / "checkpoint.npz")
            write_fold(run, _partial(training), training.dataset)
        if mae is not None or training.seconds > reported + 0.1:
            reported = training.seconds
            report(Progress(training.fold.number, training.iteration, wanted, mae))


def _finish(training: FoldTraining, directory: Path) -> FoldResult:
    """Evaluate the trained network and write all files of the fold but its result."""
    test, train = training.evaluate()
    row = training.history_row(test, train)
    earlier = [old for old in training.history if old[0] < training.iteration]
    write_text(directory / "history.csv", format_csv(HISTORY_HEADER, [*earlier, row]))
    # A longer training must find the rows that it would have had without this end.
    due = evaluation_due(training.iteration, training.experiment.evaluation.every)
    training.history = [*earlier, row] if due else earlier
    save_model(directory / "model.npz", training.model())
    spread = test.predictions.std(axis=0, ddof=1) if len(test.predictions) > 1 else [None] * len(test.molecules)
    columns = (test.molecules, training.dataset.T[test.molecules], test.predictions.mean(axis=0), spread)
    write_text(
        directory / "predictions.csv",
        format_csv(("molecule", "target", "prediction", "spread"), zip(*columns, strict=True)),
    )
    training.save(directory / "checkpoint.npz")
    return FoldResult(
        fold=training.fold.number,
        status="complete",
        mae=test.mae,
        rmse=test.rmse,
        train_mae=train.mae,
        train_rmse=train.rmse,
        iterations=training.iteration,
        seconds=round(training.seconds, 1),
    )
