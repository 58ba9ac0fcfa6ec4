"""Sweeps: a base experiment and the points around it, every fold of every point a job.

A sweep file holds the base, an experiment file's name or what it would hold, and a grid, a list of points, or both,
which gives every point with every place of the grid::

    base: {training: {iterations: 200000}}
    grid:
      variant: [original, corrected, no-prebias]
      seed: [0, 1]

Each point is a run under the sweep's directory, named after its settings.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from qm7cli.config import Experiment, assigned, default_name, overlay, read_tree, resolve, validate
from qm7cli.dataset import Dataset, load, locate
from qm7cli.errors import QM7Error
from qm7cli.files import make_directory, parse_yaml, read_text
from qm7cli.jobs import Executor, Job, Outcome
from qm7cli.mistakes import flatten, mistake
from qm7cli.results import fold_directory, read_fold
from qm7cli.run_directory import open_run
from qm7cli.runner import do_jobs
from qm7cli.splits import chosen_folds, pinned
from qm7cli.training import Progress


class SweepFile(BaseModel):
    """The content of a sweep file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    base: str | dict[str, Any] = {}
    grid: dict[str, list[Any]] = {}
    points: list[dict[str, Any]] = [{}]


def read_sweep(file: Path, assignments: Sequence[str] = (), data: str | None = None) -> list[Experiment]:
    """Return the experiment of every point of a sweep file.

    Parameters
    ----------
    file : Path
        The sweep file; an experiment file that it names is looked for beside it.
    assignments : sequence of str
        ``KEY=VALUE`` settings that go before the base's.
    data : str, optional
        The data set of all points.

    Raises
    ------
    QM7Error
        If the file or a point of it is wrong, or a setting is both swept and given.
    """
    text = read_text(file)
    tree = parse_yaml(text, file)
    if not isinstance(tree, dict):
        raise QM7Error(f"{file}: a sweep file holds base, grid and points")
    try:
        sweep = SweepFile.model_validate(tree)
    except ValidationError as error:
        raise QM7Error(mistake(error, SweepFile, f"{file}, line {{line}}: ", text)) from error
    if isinstance(sweep.base, str):
        base = read_tree(file.parent / sweep.base)
    else:
        validate(base := sweep.base, f"{file}, line {{line}}: base: ", text, ("base",))
    given = {key for assignment in assignments for key, _ in flatten(assigned(assignment))}
    given |= {"data"} if data is not None else set()
    experiments = []
    for point in _points(sweep, file):
        if given & point.keys():
            raise QM7Error(f"{file} sweeps {min(given & point.keys())}, so it cannot be given as well")
        try:
            experiment = resolve(overlay(base, point), assignments, {"data": data})
        except QM7Error as error:
            raise QM7Error(f"{file}, the point {_told(point)}: {error}") from error
        experiments.append(experiment.model_copy(update={"split": pinned(experiment.split)}))
    return experiments


def _points(sweep: SweepFile, file: Path) -> Iterator[dict[str, Any]]:
    """Give the settings of every point, by dotted key."""
    empty = [key for key, values in sweep.grid.items() if not values]
    if empty or not sweep.points:
        raise QM7Error(f"{file}: {f'grid.{empty[0]}' if empty else 'points'} is empty, so there is no point")
    for point in sweep.points:
        settings = dict(flatten(point))
        twice = sorted(settings.keys() & sweep.grid.keys())
        if twice:
            raise QM7Error(f"{file}: {twice[0]} is in the grid and in a point; leave it in one of them")
        for values in product(*sweep.grid.values()):
            yield {**settings, **dict(zip(sweep.grid, values, strict=True))}


def _told(point: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={value}" for key, value in point.items()) or "of the base"


def plan(experiments: Sequence[Experiment], directory: Path) -> list[tuple[Job, Dataset]]:
    """Return the jobs of a sweep, each fold of each experiment, with their data sets, each of which is read once.

    Raises
    ------
    QM7Error
        If two experiments would be the same run, a data set cannot be used or has no such fold.
    """
    datasets: dict[Path, Dataset] = {}
    runs: dict[Path, Experiment] = {}
    work = []
    for experiment in experiments:
        path = locate(experiment.data)
        dataset = datasets[path] = datasets.get(path) or load(path)
        run = directory / default_name(experiment, dataset.name)
        if run in runs:
            raise QM7Error(f"two points are the same run, {run}: they differ in nothing that its name tells")
        runs[run] = experiment
        work += [(Job(run, experiment, fold.number), dataset) for fold in chosen_folds(dataset, experiment.split)]
    return work


def open_runs(work: Sequence[tuple[Job, Dataset]]) -> None:
    """Make the run directories of a sweep, or check that they are runs of its points.

    Raises
    ------
    QM7Error
        If one cannot be used (`qm7cli.run_directory.open_run`).
    """
    folds: dict[Path, list[int]] = {}
    for job, _ in work:
        folds.setdefault(job.run, []).append(job.fold)
    for run, (job, dataset) in {job.run: (job, dataset) for job, dataset in work}.items():
        open_run(run, job.experiment, folds[run], dataset, overwrite=False)


def standing(job: Job) -> tuple[str, int]:
    """Return a job's status, ``new``, ``partial``, ``diverged`` or ``finished``, and the iterations that are done.

    Raises
    ------
    QM7Error
        If its result is damaged.
    """
    result = read_fold(job.run, job.fold)
    if result is None:
        return "new", 0
    if result.status != "complete":
        return result.status, result.iterations
    done = result.iterations == job.experiment.training.iterations
    return "finished" if done else "partial", result.iterations


def do_logged(
    work: Sequence[tuple[Job, Dataset]], executor: Executor, stopped: Callable[[], bool]
) -> Iterator[tuple[Job, Outcome]]:
    """Have jobs done, as `qm7cli.runner.do_jobs`, with their outcomes noted in their log files."""
    for job, outcome in do_jobs(work, executor, stopped):
        if isinstance(outcome, QM7Error):
            log(job.run, job.fold, "\n".join([str(outcome), *getattr(outcome, "__notes__", [])]))
        else:
            log(job.run, job.fold, outcome.reason or f"{outcome.status} after {outcome.iterations} iterations")
        yield job, outcome


def log_progress(progress: Progress) -> None:
    """Note an evaluation in the log file of its fold."""
    if progress.mae is not None:
        reached = f"iteration {progress.iteration} of {progress.iterations}"
        log(progress.run, progress.fold, f"{reached}, test MAE {progress.mae:.4f} kcal/mol")


def log_file(run: Path, fold: int) -> Path:
    """Return the log file of a fold."""
    return fold_directory(run, fold) / "log.txt"


def log(run: Path, fold: int, text: str) -> None:
    """Add a text with the time to the log file of a fold; if it cannot be written, the work goes on."""
    path = log_file(run, fold)
    with suppress(OSError, QM7Error):
        make_directory(path.parent)
        with path.open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(f"{datetime.now(UTC).isoformat(timespec='seconds')} {text}\n")
