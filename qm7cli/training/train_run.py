"""The folds of a run, one after the other in this process or several at a time."""

from collections.abc import Callable
from contextlib import closing
from operator import itemgetter
from pathlib import Path

from qm7cli.core.errors import QM7Error
from qm7cli.data.dataset import Dataset
from qm7cli.data.soundness import check_for_training
from qm7cli.data.splits import make_folds, select_folds, with_checksum
from qm7cli.runs.access import prepare_run
from qm7cli.runs.experiment import Experiment
from qm7cli.runs.results import RunResults, known_results, read_results
from qm7cli.training.claim_fold import Report, refuse_imported
from qm7cli.training.executor import Job, SerialExecutor, do_jobs
from qm7cli.training.process_executor import ProcessExecutor


class FoldsError(QM7Error):
    """Folds of a run have no result; `errors` has why, by fold, and `results` what the run has of all folds, if any."""

    def __init__(self, errors: dict[int, QM7Error], results: RunResults | None) -> None:
        super().__init__("; ".join(map(str, errors.values())))
        self.errors, self.results = errors, results


def train_run(
    experiment: Experiment,
    dataset: Dataset,
    run: Path,
    *,
    jobs: int = 1,
    overwrite: bool = False,
    report: Report = lambda _: None,
    stopped: Callable[[], bool] = lambda: False,
) -> RunResults | None:
    """Train the folds of an experiment, each from where it stands.

    `jobs` folds are trained at a time: one in this process, more in processes of their own. With `overwrite`, what the
    directory `run` has of these folds is removed first. `report` is called with the progress, in this process.
    `stopped` is asked often; when true, folds in training write their checkpoints and no further fold is begun.

    Returns what ``results.yaml`` has of all folds of the run; None if stopped before a fold was begun. Raises
    FoldsError, after the other folds, if one has no result; QM7Error if the experiment, the data set or the directory
    cannot be used.
    """
    refuse_imported(experiment)
    experiment = experiment.model_copy(update={"split": with_checksum(experiment.split)})
    chosen = select_folds(dataset, experiment.split)
    folds = [fold.number for fold in chosen]
    if stopped():
        return None
    check_for_training(dataset, experiment.target.subtract, make_folds(dataset, experiment.split))
    if experiment.baseline.model:
        from qm7cli.training.baselines import refuse  # noqa: PLC0415 - slow to import, and seldom needed

        for fold in chosen:
            refuse(experiment, dataset, fold)
    prepare_run(run, experiment, folds, dataset, overwrite=overwrite)
    work = [(Job(run, experiment, fold), dataset) for fold in folds]
    at_once = min(jobs, len(folds))
    with closing(ProcessExecutor(at_once, report) if at_once > 1 else SerialExecutor(report, stopped)) as executor:
        outcomes = sorted(((job.fold, outcome) for job, outcome in do_jobs(work, executor, stopped)), key=itemgetter(0))
    errors = {fold: outcome for fold, outcome in outcomes if isinstance(outcome, QM7Error)}
    if errors:
        raise FoldsError(errors, known_results(run)) from next(iter(errors.values()))
    return read_results(run) if (run / "results.yaml").exists() else None
