"""``predictions.csv`` of a fold: its test molecules, and what was predicted of them."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from qm7cli.core.errors import QM7Error, damaged
from qm7cli.core.files import LARGEST_FILE, format_csv, read_text, write_text
from qm7cli.data.dataset import Dataset
from qm7cli.model.metrics import Evaluation
from qm7cli.runs.config import fold_directory


class Predictions(NamedTuple):
    """A fold's test molecules, as rows of the data set, and their energies in kcal/mol; (molecules,) each."""

    molecules: NDArray[np.intp]
    targets: NDArray[np.float64]
    predictions: NDArray[np.float64]

    @property
    def errors(self) -> NDArray[np.float64]:
        """Predicted minus true energies, kcal/mol, (molecules,)."""
        return self.predictions - self.targets


def write_predictions(run: Path, fold: int, evaluation: Evaluation, dataset: Dataset) -> None:
    """Write a fold's ``predictions.csv``: target, prediction and sample standard deviation over draws, kcal/mol."""
    molecules, predictions = evaluation.molecules, evaluation.predictions
    spread = [None] * len(molecules) if evaluation.spreads is None else evaluation.spreads
    columns = (molecules, dataset.T[molecules], predictions.mean(axis=0), spread)
    text = format_csv(("molecule", "target", "prediction", "spread"), zip(*columns, strict=True))
    write_text(_path(run, fold), text)


def read_predictions(run: Path, fold: int) -> Predictions:
    """Return what `write_predictions` has written, without the spread; raises QM7Error if it is missing or damaged."""
    path = _path(run, fold)
    if not path.exists():
        raise QM7Error(f"{path} is missing")
    lines = read_text(path, LARGEST_FILE).splitlines()[1:]
    try:
        molecules, targets, predictions = np.loadtxt(lines, delimiter=",", ndmin=2, usecols=(0, 1, 2)).T
    except (ValueError, IndexError) as error:
        raise damaged(path) from error
    return Predictions(molecules.astype(np.intp), targets, predictions)


def _path(run: Path, fold: int) -> Path:
    return fold_directory(run, fold) / "predictions.csv"
