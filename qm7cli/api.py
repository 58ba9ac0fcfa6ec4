"""What `import qm7cli` gives to programs and notebooks: data sets, training, models and comparisons in a few calls.

All of it is importable from ``qm7cli`` itself, as docs/python.md shows, and raises QM7Error with one sentence for what
a user can cause.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, cast

from numpy.typing import ArrayLike

from qm7cli.analysis.compare import Comparison, compare_groups
from qm7cli.core.errors import QM7Error
from qm7cli.data.dataset import BUNDLED, Dataset, load, locate
from qm7cli.data.molecules import Given, as_molecules
from qm7cli.model.baseline_model import load_fold_model
from qm7cli.model.conformal import LEVEL
from qm7cli.model.fold_model import FoldModel
from qm7cli.model.predict import Prediction, predict_molecules
from qm7cli.runs import models as run_models
from qm7cli.runs.access import default_name, trained_folds
from qm7cli.runs.collect import Run, find_runs
from qm7cli.runs.experiment import Experiment
from qm7cli.runs.results import RunResults
from qm7cli.training.claim_fold import Progress
from qm7cli.training.executor import SerialExecutor
from qm7cli.training.fold_training import DivergenceError
from qm7cli.training.process_executor import ProcessExecutor
from qm7cli.training.sweep import do_logged, open_runs, plan, read_sweep
from qm7cli.training.train_run import FoldsError, train_run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PathLike: TypeAlias = str | os.PathLike[str]
Runs: TypeAlias = PathLike | Run | Iterable[PathLike | Run]
Keys: TypeAlias = str | Sequence[str]
Report: TypeAlias = Callable[[Progress], None]


def _expanded(path: PathLike) -> Path:
    return Path(path).expanduser()


def load_dataset(path_or_name: PathLike | None = None) -> Dataset:
    """Read a data set: a file, or ``gfn7``, which is built in; default: $QM7_DATA, then ``data/qm7.mat``."""
    return load(locate(None if path_or_name is None else os.fspath(path_or_name)))


def train(
    experiment: Experiment,
    dataset: Dataset,
    out: PathLike | None = None,
    *,
    jobs: int = 1,
    overwrite: bool = False,
    report: Report = lambda _: None,
) -> RunResults:
    """Train the folds of an experiment, or go on from where they stand, and return the results of the run.

    Its `split.folds` says which folds, default all; its `data` is not looked at. Complete folds are kept unless
    `overwrite` is set. The directory `out` is by default below ``runs/``, named as ``qm7 train`` does. `jobs` folds are
    trained at a time, one in this process, more in processes that don't import your program. `report` is called with a
    Progress ten times a second and at every evaluation, as ``report=print``.

    Raises FoldsError if a fold has no result, or has diverged, after the others: `errors` by fold, and `results`.
    """
    if experiment.data is None:  # so that others find it
        name = {path: name for name, path in BUNDLED.items()}.get(dataset.path, str(dataset.path))
        experiment = experiment.model_copy(update={"data": name})
    run = _expanded(out) if out is not None else Path("runs") / default_name(experiment, dataset.name)
    results = train_run(experiment, dataset, run, jobs=jobs, overwrite=overwrite, report=report)
    results = cast("RunResults", results)  # nothing stops it
    asked = experiment.split.folds
    diverged: dict[int, QM7Error] = {
        result.fold: DivergenceError(str(result.reason), result.diverged_at or 0, result.rate or 0.0)
        for result in results.folds
        if result.status == "diverged" and (asked is None or result.fold in asked)
    }
    if diverged:
        raise FoldsError(diverged, results)
    return results


def load_run(path: PathLike) -> Run:
    """Return a run's settings and results; there must be one run at or below the directory."""
    found = find_runs([_expanded(path)])
    if len(found) > 1:
        raise QM7Error(f"{os.fspath(path)} has {len(found)} runs below it, as {found[0].path}; compare takes several")
    return found[0]


def load_model(path: PathLike, fold: int | None = None) -> FoldModel:
    """Read the model of a fold, a network (`Model`) or a fitted baseline.

    `path` is a run's directory, where `fold` says which unless there is one, a fold's directory or a ``model.npz``.
    """
    path = _expanded(path)
    if (path / "model.npz").exists() or not path.is_dir():
        return load_fold_model(path / "model.npz" if path.is_dir() else path)
    folds = trained_folds(path)
    if fold is None and len(folds) > 1:
        raise QM7Error(f"{path} has models of the folds {', '.join(map(str, folds))}: say which, as fold={folds[0]}")
    return load_models(path, None if fold is None else [fold])[0]


def load_models(run: PathLike, folds: Sequence[int] | None = None) -> list[FoldModel]:
    """Read the models of folds of a run, or of all that are trained, in order."""
    return run_models.load_models(_expanded(run), folds)


def predict(
    models: FoldModel | Sequence[FoldModel],
    molecules: Given,
    R: ArrayLike | None = None,
    *,
    draws: int | None = None,
    level: float = LEVEL,
) -> list[Prediction]:
    """Predict molecules as ``qm7 predict`` does: with spreads over draws and models, and how each is outside.

    Several models are averaged, each over so many draws, by default as many as in its run's evaluation. Molecules are
    nuclear charges and coordinates R in bohr, or ASE atoms (`qm7cli.data.molecules.as_molecules`). Intervals hold
    `level` of molecules like those trained on, 0.5 to 0.99. For a molecule with too many atoms the energy is None.
    """
    models = [models] if isinstance(models, FoldModel) else list(models)
    if not models:
        raise QM7Error("there are no models to predict with")
    return predict_molecules(models, as_molecules(molecules, R), draws, level=level)


def compare(
    runs: Runs,
    by: Keys = (),
    reference: PathLike | None = None,
    *,
    margin: float | None = None,
    within: str | None = None,
) -> Comparison:
    """Compare groups of runs, or of those below directories, paired by fold and seed, as ``qm7 compare`` does.

    `by` has the settings that make the groups, as ``network.offset``; default: all in which the runs differ, but the
    seed. `reference`, `margin` and `within` are those of `qm7cli.analysis.compare.compare_groups`.
    ``pandas.DataFrame(compare("runs").to_records())`` has a row for each group; ``sentences`` says it in words.
    """
    return compare_groups(_found(runs), _keys(by), _expanded_reference(reference), margin=margin, within=within)


def plot(
    runs: Runs,
    kind: str,
    output: PathLike | None = None,
    *,
    by: Keys = (),
    reference: PathLike | None = None,
    x: str | None = None,
    log: bool | None = None,
    width: float = 85.0,
    caption: bool = True,
) -> "Figure":
    """Draw a figure of runs as ``qm7 plot`` does, `width` mm wide, and write it to `output`, a .png, .svg or .pdf file.

    `kind` is ``curves``, ``differences``, ``folds``, ``setting`` or ``parity``; `runs`, `by` and `reference` are those
    of `compare`, `x` is the setting on the axis. Raises QM7Error if matplotlib is missing or there is nothing to draw.
    """
    from qm7cli.analysis import figure_style  # noqa: PLC0415 - slow to import
    from qm7cli.analysis.plots import KINDS  # noqa: PLC0415

    if kind not in KINDS:
        raise QM7Error(f"there is no figure {kind}, only {', '.join(KINDS)}")
    comparison = compare_groups(_found(runs), _keys(by), paired=False)
    options = figure_style.Options(width, caption, log, x, _expanded_reference(reference))
    figure = KINDS[kind].draw(comparison, options)
    if output is not None:
        figure_style.save(figure, _expanded(output))
    return figure


def sweep(
    experiments: PathLike | Iterable[Experiment], out: PathLike, *, jobs: int = 1, report: Report = lambda _: None
) -> list[Run]:
    """Train every fold of several experiments, or of a sweep file, below a directory, and return the runs.

    It does `jobs` at a time, as `train`. Diverged folds are results. Raises QM7Error, after all, if jobs have failed.
    """
    several = read_sweep(_expanded(experiments)) if isinstance(experiments, str | os.PathLike) else list(experiments)
    work = plan(several, _expanded(out))
    with closing(ProcessExecutor(jobs, report) if jobs > 1 else SerialExecutor(report, lambda: False)) as executor:
        outcomes = [outcome for _, outcome in do_logged(open_runs(work), executor, lambda: False)]
    if errors := [outcome for outcome in outcomes if isinstance(outcome, QM7Error)]:
        raise QM7Error(f"{len(errors)} of {len(work)} jobs failed: {errors[0]}") from errors[0]
    return find_runs(dict.fromkeys(job.run for job, _ in work))


def _keys(by: Keys) -> Sequence[str]:
    return (by,) if isinstance(by, str) else by


def _found(runs: Runs) -> list[Run]:
    """Return the runs that are given, and those at or below directories; raises QM7Error if there are none."""
    several = [runs] if isinstance(runs, str | os.PathLike | Run) else list(runs)
    found = [run for each in several for run in ([each] if isinstance(each, Run) else find_runs([_expanded(each)]))]
    if not found:
        raise QM7Error("there are no runs to compare")
    return found


def _expanded_reference(reference: PathLike | None) -> str | None:
    return None if reference is None else os.path.expanduser(reference)  # noqa: PTH111 - which may be no path
