"""Sweeps: a base experiment and the points around it, every fold of every point a job.

A sweep file holds the base, an experiment file's name or what it would hold, and a grid, a list of points, or both,
which gives every point with every place of the grid. A command line adds to the grid, or gives it alone::

    base: {training: {iterations: 200000}}
    grid:
      variant: [original, corrected, no-prebias]
      seed: [0, 1]

Each point is a run under the sweep's directory, named after its settings.
"""

import json
import math
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from itertools import groupby, pairwise, product
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, ValidationError

from qm7cli.core.errors import BusyError, QM7Error, UsageError
from qm7cli.core.files import read_text
from qm7cli.core.validation import flatten, mistake
from qm7cli.core.yaml_text import format_yaml, parse_yaml
from qm7cli.data.dataset import Dataset, load, locate
from qm7cli.data.soundness import check_for_training
from qm7cli.data.splits import make_folds, select_folds, with_checksum
from qm7cli.runs.access import default_name, fold_directory, prepare_run
from qm7cli.runs.experiment import (
    DEFAULTS,
    NOT_IDENTITY,
    RECORDED_SETTINGS,
    Experiment,
    Source,
    find_experiment,
    given_settings,
    merge,
    read_source,
)
from qm7cli.runs.results import make_results, read_fold
from qm7cli.training.claim_fold import Progress, fold_status, refuse_imported, too_long
from qm7cli.training.executor import Executor, Job, Outcome, do_jobs

MAX_POINTS: Final = 100_000
NO_FILE: Final = Path("--grid")  # what sentences call the file of a sweep that has none


class SweepFile(BaseModel):
    """The content of a sweep file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    base: str | dict[str, Any] = {}
    grid: dict[str, list[Any]] = {}
    points: list[dict[str, Any]] = [{}]


def read_sweep(
    file: Path | None,
    assignments: Sequence[str] = (),
    flags: Mapping[str, Any] = MappingProxyType({}),
    grid: Sequence[str] = (),
) -> list[Experiment]:
    """Return the experiment of every point of a sweep file, or of the one of this name that comes with the program.

    An experiment file that it names is looked for beside it, then among those that come with the program. What
    `assignments` and `flags` give (`qm7cli.runs.experiment.resolve`) goes before the base's. The `grid`, texts as
    ``seed=0,1,2``, is added to the file's; with one, the file may be absent, or an experiment, which is then the base.

    Raises QM7Error if the file or a point of it is wrong, or a setting is both swept and given.
    """
    if file is None and not grid:
        raise UsageError("name a sweep file, or give --grid KEY=VALUE,VALUE")
    found = find_experiment(file) if file else NO_FILE
    text, file, added = read_text(found) if file else "{}", file or NO_FILE, _parse_grid(grid)
    tree = parse_yaml(text, file)
    if not isinstance(tree, dict):
        raise QM7Error(f"{file}: a sweep file holds base, grid and points")
    is_experiment = bool(tree) and tree.keys() <= Experiment.model_fields.keys()
    if is_experiment and not grid:
        raise QM7Error(f"{file} is an experiment, not a sweep file: qm7 train --config {file} takes it")
    try:
        sweep = SweepFile.model_validate({"base": tree} if is_experiment else tree)
    except ValidationError as error:
        raise QM7Error(mistake(error, SweepFile, f"{file}, line {{line}}: ", text)) from error
    if isinstance(sweep.base, str):
        beside = found.parent / sweep.base
        base = read_source(beside, beside if beside.exists() or beside.suffix else find_experiment(Path(sweep.base)))
    else:
        place = () if is_experiment else ("base",)
        base = Source(dict(flatten(sweep.base)), f"{file}, line {{line}}: base: ", text, place)
    if twice := sweep.grid.keys() & added.keys():
        raise QM7Error(f"{file} sweeps {min(twice)}, so it cannot be given as well")
    sweep = sweep.model_copy(update={"grid": sweep.grid | added})
    given = given_settings(assignments, flags)
    return [_experiment(file, base, point, given) for point in _points(sweep, file)]


def _parse_grid(texts: Sequence[str]) -> dict[str, list[Any]]:
    """Return the values of settings by dotted key, each given as ``KEY=VALUE,VALUE`` with values in YAML."""
    grid: dict[str, list[Any]] = {}
    for text in texts:
        key, _, values = text.partition("=")
        if not key or not values.strip() or key in grid:
            raise UsageError(f'--grid "{text}": write each KEY once, as in --grid seed=0,1,2')
        grid[key] = parse_yaml(f"[{values}]", f"--grid {key}", UsageError)
    return grid


def _experiment(file: Path, base: Source, point: dict[str, Any], given: Sequence[Source]) -> Experiment:
    """Return the experiment of a point, to which the settings `given` of all points are added."""
    refusal = UsageError if file == NO_FILE else QM7Error
    twice = point.keys() & {key for source in given for key in source.settings}
    if twice:
        raise refusal(f"{file} sweeps {min(twice)}, so it cannot be given as well")
    if point.keys() & NOT_IDENTITY:
        raise refusal(f"{file}: {min(point.keys() & NOT_IDENTITY)} cannot be swept: it does not make another run")
    described = ", ".join(f"{key}={value}" for key, value in point.items())[:200] or "of the base"
    origin = f"{file}, the point {described}: "
    experiment = merge([base, Source(point, origin, error=refusal), *given])
    try:
        split = with_checksum(experiment.split)
    except QM7Error as error:
        raise QM7Error(f"{origin}{error}") from error
    return experiment.model_copy(update={"split": split})


def _points(sweep: SweepFile, file: Path) -> Iterator[dict[str, Any]]:
    """Give the settings of every point, by dotted key."""
    empty = [key for key, values in sweep.grid.items() if not values]
    if empty or not sweep.points:
        raise QM7Error(f"{file}: {f'grid.{empty[0]}' if empty else 'points'} is empty, so there is no point")
    count = len(sweep.points) * math.prod(map(len, sweep.grid.values()))
    if count > MAX_POINTS:
        raise QM7Error(f"{file} has {count} points, more than {MAX_POINTS}; split it into several files")
    for point in sweep.points:
        for values in product(*sweep.grid.values()):
            parts = [*flatten(point), *flatten(dict(zip(sweep.grid, values, strict=True)))]
            for one, other in pairwise(sorted(key for key, _ in parts)):
                if other == one or other.startswith(f"{one}."):
                    raise QM7Error(f"{file} sets {other} twice in one point; remove one of them")
            yield dict(parts)


def plan(experiments: Sequence[Experiment], directory: Path) -> list[tuple[Job, Dataset]]:
    """Return the jobs of a sweep, each fold of each experiment, with their data sets, each of which is read once.

    Raises QM7Error if two experiments would be the same run, or a data set cannot be used or has no such fold.
    """
    datasets: dict[Path, Dataset] = {}
    runs: set[Path] = set()
    checked = set()
    work = []
    for experiment in experiments:
        refuse_imported(experiment)
        path, subtract, split = locate(experiment.data), experiment.target.subtract, experiment.split
        dataset = datasets[path] = datasets.get(path) or load(path)
        if (check := (path, subtract, split.model_dump_json(exclude={"folds", "train_size"}))) not in checked:
            check_for_training(dataset, subtract, make_folds(dataset, split))
            checked.add(check)
        run = directory / default_name(experiment, dataset.name)
        if run in runs:
            raise QM7Error(f"two points are the same run, {run}: they have the same settings")
        runs.add(run)
        work += [(Job(run, experiment, fold.number), dataset) for fold in select_folds(dataset, experiment.split)]
    return work


def open_runs(work: Sequence[tuple[Job, Dataset]], *, overwrite: bool = False) -> list[tuple[Job, Dataset]]:
    """Make the run directories of a sweep, or check that they are runs of its points; return the jobs left to do.

    With `overwrite`, what they have of these jobs is removed first. Raises QM7Error if one cannot be used.
    """
    for run, own in groupby(work if overwrite else (), key=lambda each: each[0].run):
        jobs, datasets = zip(*own, strict=True)
        prepare_run(run, jobs[0].experiment, [job.fold for job in jobs], datasets[0], overwrite=True)
    left = []
    for job, dataset in work:
        status, iterations = job_status(job)
        if status == "longer":
            raise too_long(job.run, job.fold, iterations, job.experiment.iterations)
        if status != "complete":
            left.append((job, dataset))
    incomplete = {job.run for job, _ in left}
    for run, (job, dataset) in {job.run: (job, dataset) for job, dataset in work}.items():
        prepare_run(run, job.experiment, [], dataset, overwrite=False)
        if run not in incomplete and not (run / "results.yaml").exists():
            make_results(run)
    return left


def train_command(job: Job) -> str:
    """Return the shell's command that does a job: its run's directory, its fold, and all settings but defaults."""
    command = ["qm7", "train", "--out", str(job.run), "--fold", str(job.fold)]
    for key, value in flatten(job.experiment.model_dump(mode="json")):
        if value != DEFAULTS[key] and key not in {"split.folds", *RECORDED_SETTINGS}:
            text = format_yaml(value).splitlines()[0] if isinstance(value, str) else json.dumps(value)
            command += ["--set", f"{key}={text}"]
    return shlex.join(command)


def job_status(job: Job) -> tuple[str, int]:
    """Return a job's `qm7cli.training.claim_fold.fold_status`, or ``damaged``, and the iterations that are done."""
    try:
        result = read_fold(job.run, job.fold)
    except QM7Error:
        return "damaged", 0
    return fold_status(result, job.experiment.iterations), result.iterations if result else 0


def do_logged(
    work: Sequence[tuple[Job, Dataset]], executor: Executor, stopped: Callable[[], bool]
) -> Iterator[tuple[Job, Outcome]]:
    """Have jobs done, as `qm7cli.training.executor.do_jobs`, and note each outcome in the fold's log file."""
    for job, outcome in do_jobs(work, executor, stopped):
        if not isinstance(outcome, QM7Error):
            log(job.run, job.fold, outcome.reason or f"{outcome.status} after {outcome.iterations} iterations")
        elif not isinstance(outcome, BusyError):  # the other process logs its own
            log(job.run, job.fold, "\n".join([str(outcome), *getattr(outcome, "__notes__", [])]))
        yield job, outcome


def log_progress(progress: Progress) -> None:
    """Note an evaluation in the log file of its fold."""
    if progress.mae is not None:
        reached = f"{progress.unit} {progress.iteration} of {progress.iterations}"
        log(progress.run, progress.fold, f"{reached}, test MAE {progress.mae:.4f} kcal/mol")


def log_file(run: Path, fold: int) -> Path:
    """Return the log file of a fold."""
    return fold_directory(run, fold) / "log.txt"


def log(run: Path, fold: int, text: str) -> None:
    """Add a text with the time to the log file of a fold; if it cannot be written, the work goes on."""
    path = log_file(run, fold)
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(f"{datetime.now(UTC).isoformat(timespec='seconds')} {text}\n")
