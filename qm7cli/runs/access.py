"""A run directory: what lies where, its ``config.yaml``, and who may train what in it.

There is one configuration per run and one process per fold. A run's ``.lock`` is held while ``config.yaml`` or
``results.yaml`` is written, a fold's while it is trained. The folds asked for are entered into ``config.yaml`` when
the training of the first is about to begin, so a command that is refused changes nothing.
"""

import hashlib
import json
import re
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Final, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from qm7cli.core.errors import QM7Error, damaged
from qm7cli.core.files import make_directory, read_text, remove_file, write_text
from qm7cli.core.locks import lock
from qm7cli.core.validation import flatten
from qm7cli.core.yaml_text import format_yaml, parse_yaml
from qm7cli.data.dataset import Dataset
from qm7cli.data.splits import make_folds
from qm7cli.runs.experiment import RECORDED_SETTINGS, Experiment, identity
from qm7cli.runs.fingerprints import fingerprints
from qm7cli.runs.settings import Baseline

FOLD_FILES: Final = ("result.yaml", "model.npz", "checkpoint.npz", "predictions.csv", "log.txt")
LONGEST_NAME: Final = 200  # bytes


def default_name(experiment: Experiment, dataset: str) -> str:
    """Return the name of an experiment's directory under ``runs/``; one too long ends in a digest of the whole."""
    model = experiment.baseline.model
    name = f"{dataset}-{experiment.imported or model or experiment.variant}-seed{experiment.seed}"
    same = {key: getattr(experiment, key) for key in ("variant", "seed", "imported")}
    usual = Experiment(**same, baseline=Baseline(model=model))
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


def fold_directory(run: Path, fold: int) -> Path:
    """Return the directory of a fold."""
    return run / f"fold-{fold}"


def fold_numbers(run: Path) -> list[int]:
    """Return the numbers of the folds that a run directory has, in order."""
    numbers = (path.name.removeprefix("fold-") for path in run.glob("fold-*") if path.is_dir())
    return sorted(int(number) for number in numbers if number.isdecimal())


def trained_folds(run: Path) -> list[int]:
    """Return the numbers of the folds whose model a run directory has, in order."""
    return [fold for fold in fold_numbers(run) if (fold_directory(run, fold) / "model.npz").exists()]


class DatasetRecord(BaseModel):
    """The data set of a run."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    sha256: str
    molecules: int


class RunConfig(NamedTuple):
    """What a run is of; `split.folds` of the experiment are the folds asked for, `rule` is its fingerprint."""

    experiment: Experiment
    dataset: DatasetRecord
    rule: str | None


def read_config(run: Path) -> RunConfig:
    """Read ``config.yaml``; raises QM7Error if there is none, or it is damaged."""
    path = run / "config.yaml"
    text = read_text(path)
    try:
        record = parse_yaml(text, path)
        dataset, rule = DatasetRecord.model_validate(record.pop("dataset")), record.pop("fingerprint", None)
        return RunConfig(Experiment.model_validate(record), dataset, rule)
    except (QM7Error, ValidationError, AttributeError, LookupError) as error:
        raise damaged(path) from error


def lock_fold(run: Path, fold: int) -> AbstractContextManager[None]:
    """Return a context that holds a fold; entering it raises BusyError if another process trains the fold."""
    directory = fold_directory(run, fold)
    make_directory(directory)
    return lock(directory / ".lock", busy=f"fold {fold} of {run} is being trained by another process")


def prepare_run(run: Path, experiment: Experiment, folds: list[int], dataset: Dataset, *, overwrite: bool) -> None:
    """Make a run directory, or check that `folds` of an experiment may be trained in the one that is there.

    With `overwrite`, remove these folds first, and the whole run if its configuration is another one. Raises QM7Error
    if the directory is no run or was trained with other settings, or a fold to remove is in training.
    """
    if run.is_dir() and not (run / "config.yaml").exists() and not all(map(_is_bare, run.iterdir())):
        raise QM7Error(f"{run} is a directory with other files, not a run; choose another --out")
    make_directory(run)
    with lock(run / ".lock"):
        if not overwrite:
            _refuse_differences(run, experiment, dataset)
            return
        try:
            differing = _differences(run, experiment, dataset)
        except QM7Error:  # config.yaml is damaged
            differing = ["config.yaml"]
        _remove_folds(run, [number for number in fold_numbers(run) if differing or number in folds])
        if differing:  # last: a command that is killed before finds the same differences again
            remove_file(run / "config.yaml")


def _is_bare(path: Path) -> bool:
    """Say whether a run without ``config.yaml`` may have a file: locks, and folds with nothing else."""
    return path.name.startswith((".", "fold-")) and not (path / "result.yaml").exists()


def _remove_folds(run: Path, folds: list[int]) -> None:
    """Remove the files of folds, and the run's results: all, or none if one of the folds is in training."""
    with ExitStack() as locks:
        for fold in folds:
            locks.enter_context(lock_fold(run, fold))
        remove_file(run / "results.yaml")
        for fold in folds:
            for name in FOLD_FILES:
                remove_file(fold_directory(run, fold) / name)


def register_fold(run: Path, experiment: Experiment, fold: int, dataset: Dataset) -> None:
    """Enter the settings of a fold that is held, and all folds asked for; raises QM7Error if the run's are others."""
    asked = experiment.split.folds or range(len(make_folds(dataset, experiment.split)))
    with lock(run / ".lock"):
        _refuse_differences(run, experiment, dataset)
        before = (read_config(run).experiment.split.folds or []) if (run / "config.yaml").exists() else []
        split = experiment.split.model_copy(update={"folds": sorted({fold, *asked, *before})})
        record = {"name": dataset.name, "sha256": dataset.sha256, "molecules": len(dataset)}
        settings = experiment.model_copy(update={"split": split}).model_dump(mode="json")
        rule = fingerprints(experiment).get("rule")
        write_text(run / "config.yaml", format_yaml({"dataset": record, "fingerprint": rule, **settings}))


def _refuse_differences(run: Path, experiment: Experiment, dataset: Dataset) -> None:
    if differing := _differences(run, experiment, dataset):
        differing = ["imported"] if "imported" in differing else differing  # as do all settings of a model
        keys = f"{', '.join(differing)} {'differs' if len(differing) == 1 else 'differ'}"
        if differing == ["rule"]:
            rule = experiment.variant
            raise QM7Error(f"{run}: the rule {rule} has changed since; choose another --out, or --overwrite it")
        raise QM7Error(f"{run} was trained with other settings ({keys}); choose another --out, or --overwrite it")


def _differences(run: Path, experiment: Experiment, dataset: Dataset) -> list[str]:
    """Return in what settings a run differs; raises QM7Error if its ``config.yaml`` is damaged."""
    if not (run / "config.yaml").exists():
        return []
    config = read_config(run)
    there, asked = identity(config.experiment), identity(experiment)
    differing = [key for key in there | asked if there.get(key) != asked.get(key)]
    if config.dataset.sha256 != dataset.sha256:
        differing.append(f"data (SHA-256 {config.dataset.sha256[:12]}... there, {dataset.sha256[:12]}... now)")
    known = {config.rule, fingerprints(experiment).get("rule")} - {None}  # what has no fingerprint is trusted
    return differing or ["rule"] * (len(known) > 1)
