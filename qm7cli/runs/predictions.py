"""``predictions.csv`` of a fold: its test molecules, and what was predicted of them."""

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from qm7cli.core.errors import QM7Error
from qm7cli.core.files import format_csv, write_text
from qm7cli.core.validation import LARGEST
from qm7cli.data.dataset import Dataset
from qm7cli.model.fold_model import Evaluation
from qm7cli.runs.directory import fold_directory
from qm7cli.runs.results import REMEDY, FoldResult, read_checked


class Predictions(NamedTuple):
    """A fold's test molecules, as rows of the data set, and their energies in kcal/mol; (molecules,) each."""

    molecules: NDArray[np.intp]
    targets: NDArray[np.float64]
    predictions: NDArray[np.float64]

    @property
    def errors(self) -> NDArray[np.float64]:
        """Predicted less true energies, kcal/mol, (molecules,)."""
        return self.predictions - self.targets


def predictions_file(run: Path, fold: int) -> Path:
    """Return where a fold's predictions are, if it has any."""
    return fold_directory(run, fold) / "predictions.csv"


def write_predictions(run: Path, fold: int, evaluation: Evaluation, dataset: Dataset) -> None:
    """Write a fold's ``predictions.csv``: target, prediction and sample standard deviation over draws, kcal/mol."""
    molecules, predictions = evaluation.molecules, evaluation.predictions
    spread = predictions.std(axis=0, ddof=1) if len(predictions) > 1 else [None] * len(molecules)
    columns = (molecules, dataset.T[molecules], predictions.mean(axis=0), spread)
    text = format_csv(("molecule", "target", "prediction", "spread"), zip(*columns, strict=True))
    write_text(predictions_file(run, fold), text)


def read_predictions(run: Path, result: FoldResult) -> Predictions:
    """Return what `write_predictions` has written for a fold, without the spread.

    Raises QM7Error if the file is missing or damaged, or its errors are not those of the fold's result.
    """
    path, text = predictions_file(run, result.fold), read_checked(run, result, "predictions_checksum")
    lines = [line for line in text.splitlines()[1:] if line.strip()]
    try:
        table = np.loadtxt(lines, delimiter=",", usecols=(0, 1, 2), ndmin=2) if lines else np.empty((0, 3))
    except (ValueError, IndexError) as error:
        raise QM7Error(f"{path} is damaged: {error}") from error
    if not len(table) or not (np.abs(table) < LARGEST).all():
        raise QM7Error(f"{path} is damaged: it lacks predictions, or has some that are not energies")
    molecules, targets, predictions = table.T  # (molecules,) each
    if (molecules < 0).any() or (molecules % 1).any() or len(np.unique(molecules)) < len(molecules):
        raise QM7Error(f"{path} is damaged: its molecules are not different rows of a data set")
    errors = predictions - targets.astype(np.float32)  # as data sets have them
    for name, own, actual in (
        ("MAE", result.mae, np.abs(errors).mean()),
        ("RMSE", result.rmse, np.sqrt(np.square(errors).mean())),
    ):
        if own is None or not math.isclose(actual, own, rel_tol=1e-6, abs_tol=1e-6):
            raise QM7Error(
                f"{path} does not belong to the fold's result: its {name} is {actual:.6g} kcal/mol, "
                f"in the result it is {'missing' if own is None else format(own, '.6g')}; {REMEDY}"
            )
    return Predictions(molecules.astype(np.intp), targets, predictions)
