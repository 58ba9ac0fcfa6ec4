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
from qm7cli.model.conformal import Interval
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
    spread = [None] * len(molecules) if evaluation.spreads is None else evaluation.spreads
    columns = (molecules, dataset.T[molecules], predictions.mean(axis=0), spread)
    text = format_csv(("molecule", "target", "prediction", "spread"), zip(*columns, strict=True))
    write_text(predictions_file(run, fold), text)


def read_predictions(run: Path, result: FoldResult) -> Predictions:
    """Return what `write_predictions` has written for a fold, without the spread.

    Raises QM7Error if the file is missing or damaged, or its errors are not those of the fold's result.
    """
    return _read(run, result)[0]


def read_interval(run: Path, result: FoldResult) -> Interval | None:
    """Return the interval that a fold's predictions teach; raises QM7Error as `read_predictions`."""
    predictions, spreads = _read(run, result)
    return Interval.of(predictions.errors, spreads)


def _read(run: Path, result: FoldResult) -> tuple[Predictions, NDArray[np.float64] | None]:
    """Return a fold's predictions and their spreads, kcal/mol, (molecules,), if there are some."""
    path, text = predictions_file(run, result.fold), read_checked(run, result, "predictions_checksum")
    lines = [line for line in text.splitlines()[1:] if line.strip()]
    try:
        table = np.loadtxt(lines, delimiter=",", ndmin=2, converters={3: _spread}) if lines else np.empty((0, 4))
        molecules, targets, predictions, spreads = table.T  # (molecules,) each
    except (ValueError, IndexError) as error:
        raise QM7Error(f"{path} is damaged: {error}") from error
    single = bool(np.isnan(spreads).all())
    if not len(table) or not (np.abs(table[:, : 3 if single else 4]) < LARGEST).all():
        raise QM7Error(f"{path} is damaged: it lacks predictions, or has some that are not energies")
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
    return Predictions(molecules.astype(np.intp), targets, predictions), None if single else np.abs(spreads)


def _spread(text: str) -> float:
    return float(text or "nan")
