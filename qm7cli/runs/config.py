"""What lies where in a run, and its ``config.yaml``: the settings and the data set, written when a fold is begun."""

from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from qm7cli.core.errors import QM7Error, damaged
from qm7cli.core.files import read_text, write_text
from qm7cli.core.yaml_text import format_yaml, parse_yaml
from qm7cli.data.dataset import Dataset
from qm7cli.runs.experiment import Experiment


def fold_directory(run: Path, fold: int) -> Path:
    """Return the directory of a fold."""
    return run / f"fold-{fold}"


def fold_numbers(run: Path) -> list[int]:
    """Return the numbers of the folds that a run directory has, in order."""
    numbers = (path.name.removeprefix("fold-") for path in run.glob("fold-*") if path.is_dir())
    return sorted(int(number) for number in numbers if number.isdecimal() and number == str(int(number)))


def trained_folds(run: Path) -> list[int]:
    """Return the numbers of the folds whose model a run directory has, in order."""
    return [fold for fold in fold_numbers(run) if (fold_directory(run, fold) / "model.npz").exists()]


class DatasetRecord(BaseModel):
    """The data set of a run."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    sha256: str
    molecules: int

    @classmethod
    def of(cls, dataset: Dataset) -> "DatasetRecord":
        """Return the record of a data set."""
        return cls(name=dataset.name, sha256=dataset.sha256, molecules=len(dataset))


class RunConfig(NamedTuple):
    """What a run is of; `split.folds` of the experiment are the folds that were begun."""

    experiment: Experiment
    dataset: DatasetRecord


def write_config(run: Path, config: RunConfig) -> None:
    """Write ``config.yaml``."""
    record = {"dataset": config.dataset.model_dump(), **config.experiment.model_dump(mode="json")}
    write_text(run / "config.yaml", format_yaml(record))


def read_config(run: Path) -> RunConfig:
    """Read ``config.yaml``; raises QM7Error if there is none, or it is damaged."""
    path = run / "config.yaml"
    text = read_text(path)
    try:
        record = parse_yaml(text, path)
        dataset = DatasetRecord.model_validate(record.pop("dataset"))
        return RunConfig(Experiment.model_validate(record), dataset)
    except (QM7Error, ValidationError, AttributeError, LookupError) as error:
        raise damaged(path) from error
