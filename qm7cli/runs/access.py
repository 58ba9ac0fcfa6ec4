"""Who may train what in a run directory: one configuration a run, one process a fold.

A run's ``.lock`` is held while ``config.yaml`` or ``results.yaml`` is written, a fold's while it is trained. A fold is
entered into ``config.yaml`` when its training is about to begin, so a command that is refused changes nothing.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from types import MappingProxyType
from typing import Final

from qm7cli.core.errors import QM7Error
from qm7cli.core.files import make_directory, remove_file, remove_stale, write_text
from qm7cli.core.locks import lock
from qm7cli.core.validation import flatten
from qm7cli.core.yaml_text import format_yaml
from qm7cli.data.dataset import Dataset
from qm7cli.runs.directory import fold_directory, fold_numbers, refuse_links_out
from qm7cli.runs.experiment import RECORDED_SETTINGS, RENAMED, Experiment, differing_keys, identity, read_experiment
from qm7cli.runs.results import known_results, read_fold, write_results
from qm7cli.runs.settings import Baseline

FOLD_FILES: Final = ("result.yaml", "model.npz", "checkpoint.npz", "history.csv", "predictions.csv", "log.txt")
LONGEST_NAME: Final = 200  # bytes


def default_directory(parent: Path, experiment: Experiment, dataset: str) -> Path:
    """Return where an experiment goes by default below `parent`, or where an older version has put it."""
    directory, older = (parent / default_name(experiment, dataset, keys) for keys in ({}, RENAMED))
    return older if older.is_dir() and not directory.is_dir() else directory


def default_name(experiment: Experiment, dataset: str, renamed: Mapping[str, str] = MappingProxyType({})) -> str:
    """Return the name of an experiment's directory under ``runs/``; one too long ends in a digest of the whole.

    Keys of `renamed` stand in it for their values.
    """
    model = experiment.baseline.model
    name = f"{dataset}-{model or experiment.variant}-seed{experiment.seed}"
    usual = Experiment(variant=experiment.variant, seed=experiment.seed, baseline=Baseline(model=model))
    defaults = dict(flatten(usual.model_dump(mode="json")))
    if experiment.split.file:
        name += f"-split={experiment.split.file.stem}"
    older = {new: old for old, new in renamed.items()}
    for key, value in identity(experiment).items():
        named = experiment.split.file and key in RECORDED_SETTINGS | {"split.scheme"}
        if value != defaults[key] and not named:
            text = re.sub(r'[][" ]', "", json.dumps(value))
            name += f"-{older.get(key, key)}={text}"
    if len(name.encode()) > LONGEST_NAME:
        digest = hashlib.sha256(name.encode()).hexdigest()[:12]
        return name.encode()[: LONGEST_NAME - 13].decode(errors="ignore") + f"-{digest}"
    return name


def lock_fold(run: Path, fold: int) -> AbstractContextManager[None]:
    """Return a context that holds a fold; entering it raises BusyError if another process trains the fold.

    Raises QM7Error if a file of the fold is a link out of the run.
    """
    directory = fold_directory(run, fold)
    refuse_links_out(run, directory)
    make_directory(directory)
    return lock(directory / ".lock", busy=f"fold {fold} of {run} is being trained by another process")


def prepare_run(
    run: Path,
    experiment: Experiment,
    folds: list[int],
    dataset: Dataset,
    *,
    overwrite: bool,
    stopped: Callable[[], bool] = lambda: False,
) -> None:
    """Make a run directory, or check that `folds` of an experiment may be trained in the one that is there.

    With `overwrite`, remove these folds first, and the whole run if its configuration is another one. `stopped` is
    asked while another process holds the run's lock.

    Raises StoppedError if stopped then; QM7Error if the directory is not a run, was trained with other settings or
    has a link out of it, or a fold to remove is in training.
    """
    if run.is_dir() and not (run / "config.yaml").exists() and not all(map(_is_bare, run.iterdir())):
        raise QM7Error(f"{run} is a directory with other files, not a run; choose another --out")
    refuse_links_out(run, run)
    make_directory(run)
    with lock(run / ".lock", stopped=stopped):
        if overwrite:
            # A command that is killed here must find the same differences when it is started again. So what shows them
            # goes last: config.yaml after the folds, results.yaml, which alone names the data set, after config.yaml.
            differing = _differences(run, experiment, dataset, damaged=["config.yaml is damaged"])
            _remove_folds(run, [number for number in fold_numbers(run) if differing or number in folds])
            if differing:
                remove_file(run / "config.yaml")
        else:
            _refuse_differences(run, experiment, dataset)
        if not (run / "config.yaml").exists() or (overwrite and not any(read_fold(run, k) for k in fold_numbers(run))):
            remove_file(run / "results.yaml")
        elif overwrite:
            write_results(run, dataset)


def _is_bare(path: Path) -> bool:
    """Say whether a run without ``config.yaml`` may have a file: locks, folds with nothing else, old results."""
    if path.name == "results.yaml":
        return path.with_name(".lock").exists()
    return path.name.startswith((".", "fold-")) and not (path / "result.yaml").exists()


def register_fold(
    run: Path, experiment: Experiment, fold: int, dataset: Dataset, stopped: Callable[[], bool] = lambda: False
) -> None:
    """Enter a fold, whose lock is held, and its settings into ``config.yaml``; its training is about to begin.

    Raises StoppedError if stopped while waiting for the run's lock; QM7Error if the run's configuration has changed.
    """
    with lock(run / ".lock", stopped=stopped):
        _refuse_differences(run, experiment, dataset)
        path = run / "config.yaml"
        entered = (read_experiment(path).split.folds or []) if path.exists() else []
        split = experiment.split.model_copy(update={"folds": sorted({fold, *entered})})
        write_text(path, format_yaml(experiment.model_copy(update={"split": split}).model_dump(mode="json")))


def _refuse_differences(run: Path, experiment: Experiment, dataset: Dataset) -> None:
    if differing := _differences(run, experiment, dataset):
        keys = f"{', '.join(differing)} {'differs' if len(differing) == 1 else 'differ'}"
        raise QM7Error(f"{run} was trained with other settings ({keys}); choose another --out, or --overwrite it")


def _differences(run: Path, experiment: Experiment, dataset: Dataset, damaged: list[str] | None = None) -> list[str]:
    """Return in what settings a run differs; `damaged` if its ``config.yaml`` is, instead of an error."""
    if not (run / "config.yaml").exists():
        return []
    try:
        differing = differing_keys(identity(read_experiment(run / "config.yaml")), identity(experiment))
    except QM7Error:
        if damaged is None:
            raise
        return damaged
    results = known_results(run)
    if results and results.dataset.sha256 != dataset.sha256:
        differing.append(f"data (SHA-256 {results.dataset.sha256[:12]}... there, {dataset.sha256[:12]}... now)")
    return differing


def _remove_folds(run: Path, folds: Iterable[int]) -> None:
    """Remove the files of folds: of all, or of none if one is in training."""
    with ExitStack() as locks:
        for fold in folds:
            locks.enter_context(lock_fold(run, fold))
        for fold in folds:
            for name in FOLD_FILES:
                remove_file(fold_directory(run, fold) / name)
            remove_stale(fold_directory(run, fold))
