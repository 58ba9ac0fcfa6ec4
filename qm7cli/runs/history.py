"""``history.csv`` of a fold: its errors on the way."""

import csv
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

from pydantic import TypeAdapter, ValidationError

from qm7cli.core.errors import QM7Error
from qm7cli.core.files import format_csv, write_text
from qm7cli.core.validation import Count, Measure, first_mistake
from qm7cli.runs.directory import fold_directory
from qm7cli.runs.results import FoldResult, read_checked


class HistoryRow(NamedTuple):
    """An evaluation on the way: after which iteration and how many seconds of training, and errors in kcal/mol."""

    iteration: Count
    seconds: Measure
    test_mae: Measure
    test_rmse: Measure
    train_mae: Measure
    train_rmse: Measure


_ROWS: Final = TypeAdapter(list[HistoryRow])


def write_history(run: Path, fold: int, rows: Iterable[HistoryRow]) -> None:
    """Write a fold's ``history.csv``."""
    write_text(fold_directory(run, fold) / "history.csv", format_csv(HistoryRow._fields, rows))


def read_history(run: Path, result: FoldResult) -> list[HistoryRow]:
    """Return what `write_history` has written; raises QM7Error if the file is missing or damaged."""
    path, text = fold_directory(run, result.fold) / "history.csv", read_checked(run, result, "history_checksum")
    try:
        rows = _ROWS.validate_python(list(csv.DictReader(io.StringIO(text))))
    except csv.Error as error:
        raise QM7Error(f"{path} is damaged: {error}") from error
    except ValidationError as error:
        raise QM7Error(f"{path} is damaged: {first_mistake(error)}") from error
    if not rows or not all(row.iteration and row.test_mae for row in rows):
        raise QM7Error(f"{path} is damaged: it has no rows, or some that are not errors")
    return rows
