"""Predictions of another program: a CSV file of them becomes a run, which is compared like our own.

    molecule,prediction
    0,-417.3
    1,-712.9

Columns are `molecule`, the row of the data set from 0, and `prediction`, kcal/mol; `fold` and `spread` may follow.
Others are ignored: the true energies are those of the data set.
"""

import csv
import io
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from qm7cli.core.errors import QM7Error
from qm7cli.core.files import LARGEST_FILE, read_text
from qm7cli.core.validation import LARGEST
from qm7cli.data.dataset import Dataset
from qm7cli.data.splits import Fold, select_folds, with_checksum
from qm7cli.model.metrics import Evaluation
from qm7cli.runs.access import fold_directory, lock_fold, prepare_run, register_fold
from qm7cli.runs.experiment import Experiment
from qm7cli.runs.models import write_predictions
from qm7cli.runs.results import FoldResult, RunResults, current_environment, read_results, write_fold

EXAMPLES: Final = 3  # that a sentence names


class _Row(NamedTuple):
    """A line of the file; None is a number that is not given."""

    molecule: int
    prediction: float
    fold: int | None = None
    spread: float | None = None


def refuse_imported(experiment: Experiment) -> None:
    """Raise QM7Error if an experiment is that of an imported run, which cannot be trained."""
    if experiment.imported:
        raise QM7Error(f"imported is {experiment.imported}: a run of imported predictions has no model to train")


def import_predictions(
    file: Path, experiment: Experiment, dataset: Dataset, run: Path, *, overwrite: bool = False
) -> RunResults:
    """Make a run of the predictions in a CSV file; `experiment` has its `imported` name, seed and split.

    A fold that the file has molecules of must have them all. With `overwrite`, these folds are removed first. Raises
    QM7Error if the file is not as it should be, or the directory cannot be used; nothing is written then.
    """
    experiment = experiment.model_copy(update={"split": with_checksum(experiment.split)})
    rows, folds = _checked(file, experiment, dataset)
    numbers = [fold.number for fold in folds]
    there = [fold for fold in numbers if (fold_directory(run, fold) / "result.yaml").exists()]
    prepare_run(run, experiment, numbers, dataset, overwrite=overwrite)
    if there and not overwrite:
        raise QM7Error(f"{run} has predictions of fold {there[0]} already; choose another --out, or --overwrite it")
    now = datetime.now(UTC).isoformat(timespec="seconds")
    environment = current_environment().model_copy(update={"started": now, "finished": now})
    for fold in folds:
        own = [rows[molecule] for molecule in fold.test.tolist()]
        evaluation = Evaluation(fold.test, np.array([[row.prediction for row in own]]), dataset.T[fold.test])
        errors: dict[str, Any] = evaluation.errors("test")
        result = FoldResult(
            fold=fold.number,
            status="complete",
            **errors,
            iterations=0,
            seconds=0.0,
            train_molecules=len(fold.train),
            test_molecules=len(fold.test),
            environment=environment,
        )
        with lock_fold(run, fold.number):
            register_fold(run, experiment, fold.number, dataset)
            write_predictions(run, fold.number, evaluation, dataset, [row.spread for row in own])
            write_fold(run, result)
    return read_results(run)


def _checked(file: Path, experiment: Experiment, dataset: Dataset) -> tuple[dict[int, _Row], list[Fold]]:
    """Return the rows by molecule, and the folds that they are the test molecules of."""
    rows = _read(file)
    size, scheme = len(dataset), experiment.split.scheme
    beyond = [row.molecule for row in rows if row.molecule >= size]
    _refuse(file, f"rows of no molecule of {dataset.name}, which has 0 to {size - 1}", beyond)
    counts = Counter(row.molecule for row in rows)
    _refuse(file, "molecules in several rows", [molecule for molecule, count in counts.items() if count > 1])
    folds = select_folds(dataset, experiment.split)
    places = {molecule: fold.number for fold in folds for molecule in fold.test.tolist()}
    apart = [molecule for molecule in counts if molecule not in places]
    _refuse(file, f"rows of no test molecule of the split {scheme}", apart)
    moved = [row for row in rows if row.fold not in {None, places[row.molecule]}]
    examples = [f"{row.molecule} ({row.fold} instead of {places[row.molecule]})" for row in moved]
    _refuse(file, f"molecules in another fold than in the split {scheme}", examples)
    begun = [fold for fold in folds if not counts.keys().isdisjoint(fold.test.tolist())]
    for fold in begun:
        missing = sorted({*fold.test.tolist()} - counts.keys())
        _refuse(file, f"no rows of some test molecules of fold {fold.number}", missing)
    return {row.molecule: row for row in rows}, begun


def _refuse(file: Path, what: str, examples: Sequence[object]) -> None:
    """Raise QM7Error if there are examples of what a file should not have; it has their number and the first."""
    if examples:
        first = ", ".join(map(str, examples[:EXAMPLES])) + (", ..." if len(examples) > EXAMPLES else "")
        raise QM7Error(f"{file} has {what} ({len(examples)}): {first}")


def _read(file: Path) -> list[_Row]:
    """Read the lines of the file; raises QM7Error if a column is missing, or something is not a number."""
    text = read_text(file, LARGEST_FILE).removeprefix("\ufeff")  # which spreadsheets put first
    reader = csv.DictReader(io.StringIO(text, newline=""), restval="", skipinitialspace=True)
    rows, wrong = [], []
    try:
        columns = [name.strip() for name in reader.fieldnames or ()]
        reader.fieldnames = columns
        if absent := [name for name in _Row._fields[:2] if name not in columns]:
            raise QM7Error(f"{file} has no column {absent[0]}; its first line is: {', '.join(columns)[:80]}")
        for line in reader:
            values: dict[str, Any] = {name: _number(line[name], name) for name in _Row._fields if name in columns}
            if bad := [name for name, value in values.items() if value is None and (name != "spread" or line[name])]:
                wrong.append(f"{bad[0]} is {line[bad[0]][:20]!r} in line {reader.line_num}")
            else:
                rows.append(_Row(**values))
    except csv.Error as error:
        raise QM7Error(f"{file} is not a CSV file: {error}") from error
    _refuse(file, "wrong values", wrong)
    if not rows:
        raise QM7Error(f"{file} has no predictions")
    return rows


def _number(text: str, name: str) -> float | int | None:
    """Return a number as a column has it, a whole one from 0 for molecules and folds; None if it is not one."""
    with suppress(ValueError):
        if abs(value := float(text)) < LARGEST:
            if name not in {"molecule", "fold"}:
                return value
            return int(value) if value >= 0 and value.is_integer() else None
    return None
