"""Who may train what in a run directory: one configuration per run, one process per fold.

A run's ``.lock`` is held while ``config.yaml`` or ``results.yaml`` is written, a fold's while it is trained. A fold is
entered into ``config.yaml`` when its training is about to begin, so a command that is refused changes nothing.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Final

from qm7cli.core.errors import QM7Error
from qm7cli.core.files import make_directory, remove_file
from qm7cli.core.locks import lock
from qm7cli.core.validation import flatten
from qm7cli.data.dataset import Dataset
from qm7cli.runs.config import DatasetRecord, RunConfig, fold_directory, fold_numbers, read_config, write_config
from qm7cli.runs.experiment import RECORDED_SETTINGS, Experiment, differing_keys, identity
from qm7cli.runs.results import make_results
from qm7cli.runs.settings import Baseline

FOLD_FILES: Final = ("result.yaml", "model.npz", "checkpoint.npz", "predictions.csv", "log.txt")
LONGEST_NAME: Final = 200  # bytes


def default_directory(parent: Path, experiment: Experiment, dataset: str) -> Path:
    """Return where an experiment goes by default below `parent`."""
    return parent / default_name(experiment, dataset)


def default_name(experiment: Experiment, dataset: str) -> str:
    """Return the name of an experiment's directory under ``runs/``; one too long ends in a digest of the whole."""
    model = experiment.baseline.model
    name = f"{dataset}-{model or experiment.variant}-seed{experiment.seed}"
    usual = Experiment(variant=experiment.variant, seed=experiment.seed, baseline=Baseline(model=model))
    defaults = dict(flatten(usual.model_dump(mode="json")))
    if experiment.split.file:
        name += f"-split={experiment.split.file.stem}"
    for key, value in identity(experiment).items():
        named = experiment.split.file and key in RECORDED_SETTINGS | {"split.scheme"}
        if value != defaults[key] and not named:
            text = re.sub(r'[][" ]', "", json.dumps(value))
            name += f"-{key}={text}"
    if len(name.encode()) > LONGEST_NAME:
        digest = hashlib.sha256(name.encode()).hexdigest()[:12]
        return name.encode()[: LONGEST_NAME - 13].decode(errors="ignore") + f"-{digest}"
    return name


def lock_fold(run: Path, fold: int) -> AbstractContextManager[None]:
    """Return a context that holds a fold; entering it raises BusyError if another process trains the fold."""
    directory = fold_directory(run, fold)
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

    Raises StoppedError if stopped then; QM7Error if the directory is not a run or was trained with other settings, or a
    fold to remove is in training.
    """
    if run.is_dir() and not (run / "config.yaml").exists() and not all(map(_is_bare, run.iterdir())):
        raise QM7Error(f"{run} is a directory with other files, not a run; choose another --out")
    make_directory(run)
    with lock(run / ".lock", stopped=stopped):
        if not overwrite:
            _refuse_differences(run, experiment, dataset)
            return
        try:
            differing = _differences(run, experiment, dataset)
        except QM7Error:  # config.yaml is damaged
            differing = ["config.yaml"]
        _remove_folds(run, [number for number in fold_numbers(run) if differing or number in folds])
        if differing:  # config.yaml last: a command that is killed here finds the same differences again
            remove_file(run / "results.yaml")
            remove_file(run / "config.yaml")
        elif (run / "results.yaml").exists():
            make_results(run)


def _is_bare(path: Path) -> bool:
    """Say whether a run without ``config.yaml`` may have a file: locks, and folds with nothing else."""
    return path.name.startswith((".", "fold-")) and not (path / "result.yaml").exists()


def register_fold(
    run: Path, experiment: Experiment, fold: int, dataset: Dataset, stopped: Callable[[], bool] = lambda: False
) -> None:
    """Enter a fold, whose lock is held, and its settings into ``config.yaml``; its training is about to begin.

    Raises StoppedError if stopped while waiting for the run's lock; QM7Error if the run's configuration has changed.
    """
    with lock(run / ".lock", stopped=stopped):
        _refuse_differences(run, experiment, dataset)
        begun = (read_config(run).experiment.split.folds or []) if (run / "config.yaml").exists() else []
        split = experiment.split.model_copy(update={"folds": sorted({fold, *begun})})
        write_config(run, RunConfig(experiment.model_copy(update={"split": split}), DatasetRecord.of(dataset)))


def _refuse_differences(run: Path, experiment: Experiment, dataset: Dataset) -> None:
    if differing := _differences(run, experiment, dataset):
        keys = f"{', '.join(differing)} {'differs' if len(differing) == 1 else 'differ'}"
        raise QM7Error(f"{run} was trained with other settings ({keys}); choose another --out, or --overwrite it")


def _differences(run: Path, experiment: Experiment, dataset: Dataset) -> list[str]:
    """Return in what settings a run differs; raises QM7Error if its ``config.yaml`` is damaged."""
    if not (run / "config.yaml").exists():
        return []
    config = read_config(run)
    differing = differing_keys(identity(config.experiment), identity(experiment))
    if config.dataset.sha256 != dataset.sha256:
        differing.append(f"data (SHA-256 {config.dataset.sha256[:12]}... there, {dataset.sha256[:12]}... now)")
    return differing


def _remove_folds(run: Path, folds: Iterable[int]) -> None:
    """Remove the files of folds: of all, or of none if one is in training."""
    with ExitStack() as locks:
        for fold in folds:
            locks.enter_context(lock_fold(run, fold))
        for fold in folds:
            for name in FOLD_FILES:
                remove_file(fold_directory(run, fold) / name)
