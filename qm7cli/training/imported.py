"""Predictions of another program: a CSV file of them becomes a run, which is compared like our own.

Its columns are `molecule`, the row of the data set from 0, and `prediction`, kcal/mol; `fold` and `spread` may follow.
"""

import csv
import io
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import numpy as np

from qm7cli.core.errors import QM7Error
from qm7cli.core.files import LARGEST_FILE, read_text
from qm7cli.core.validation import LARGEST
from qm7cli.data.dataset import Dataset
from qm7cli.data.splits import Fold, select_folds, with_checksum
from qm7cli.model.metrics import Evaluation
from qm7cli.runs.access import fold_directory, prepare_run
from qm7cli.runs.experiment import Experiment
from qm7cli.runs.models import write_predictions
from qm7cli.runs.results import RunResults, read_results
from qm7cli.training.claim_fold import claim_fold

COLUMNS: Final = ("molecule", "prediction", "fold", "spread")  # the last two may be missing
EXAMPLES: Final = 3  # that a sentence names
Rows = dict[int, dict[str, Any]]  # by molecule, with the values of `COLUMNS`; a spread may be None


def import_predictions(
    file: Path, experiment: Experiment, dataset: Dataset, run: Path, *, overwrite: bool = False
) -> RunResults:
    """Make a run of the predictions in a CSV file; `experiment` has its `imported` name, seed and split.

    With `overwrite`, the folds that it has are removed first. Raises QM7Error, and writes nothing, if the file is not
    as it should be, or the directory cannot be used.
    """
    experiment = experiment.model_copy(update={"split": with_checksum(experiment.split)})
    rows, folds = _checked(file, experiment, dataset)
    there = [fold.number for fold in folds if (fold_directory(run, fold.number) / "result.yaml").exists()]
    prepare_run(run, experiment, [fold.number for fold in folds], dataset, overwrite=overwrite)
    if there and not overwrite:
        raise QM7Error(f"{run} has predictions of fold {there[0]} already; choose another --out, or --overwrite it")
    for fold in folds:
        own = [rows[molecule] for molecule in fold.test.tolist()]
        evaluation = Evaluation(fold.test, np.array([[row["prediction"] for row in own]]), dataset.T[fold.test])
        with claim_fold(experiment, dataset, fold, run, lambda _: None, lambda: False) as work:
            write_predictions(run, fold.number, evaluation, [row.get("spread") for row in own])
            work.begin(work.result("complete", 0, 0.0, **evaluation.errors("test")))
    return read_results(run)


def _checked(file: Path, experiment: Experiment, dataset: Dataset) -> tuple[Rows, list[Fold]]:
    """Return the rows, and the folds that they are the test molecules of."""
    rows, size, scheme = _read(file), len(dataset), experiment.split.scheme
    counts = Counter(row["molecule"] for row in rows)
    beyond = [molecule for molecule in counts if molecule >= size]
    _refuse(file, f"rows of no molecule of {dataset.name}, which has 0 to {size - 1}", beyond)
    _refuse(file, "molecules in several rows", [molecule for molecule, count in counts.items() if count > 1])
    folds = select_folds(dataset, experiment.split)
    places = {molecule: fold.number for fold in folds for molecule in fold.test.tolist()}
    _refuse(file, f"rows of no test molecule of the split {scheme}", [*filter(lambda each: each not in places, counts)])
    told = [(row["molecule"], row["fold"], places[row["molecule"]]) for row in rows if "fold" in row]
    moved = [f"{molecule} ({fold} instead of {place})" for molecule, fold, place in told if fold != place]
    _refuse(file, f"molecules in another fold than in the split {scheme}", moved)
    begun = [fold for fold in folds if not counts.keys().isdisjoint(fold.test.tolist())]
    for fold in begun:
        missing = sorted({*fold.test.tolist()} - counts.keys())
        _refuse(file, f"no rows of some test molecules of fold {fold.number}", missing)
    return {row["molecule"]: row for row in rows}, begun


def _refuse(file: Path, what: str, examples: Sequence[object]) -> None:
    """Raise QM7Error if there are examples of what a file should not have; it has their number and the first."""
    if examples:
        first = ", ".join(map(str, examples[:EXAMPLES])) + (", ..." if len(examples) > EXAMPLES else "")
        raise QM7Error(f"{file} has {what} ({len(examples)}): {first}")


def _read(file: Path) -> list[dict[str, Any]]:
    """Read the lines of the file; raises QM7Error if a column is missing, or something is not a number."""
    text = read_text(file, LARGEST_FILE).removeprefix("\ufeff")  # which spreadsheets put first
    reader = csv.DictReader(io.StringIO(text, newline=""), restval="", skipinitialspace=True)
    rows: list[dict[str, Any]] = []
    wrong: list[str] = []
    try:
        reader.fieldnames = header = [name.strip() for name in reader.fieldnames or ()]
        if absent := [name for name in COLUMNS[:2] if name not in header]:
            raise QM7Error(f"{file} has no column {absent[0]}; its first line is: {', '.join(header)[:80]}")
        for line in reader:
            rows.append({name: _number(line[name], name) for name in COLUMNS if name in header})
            bad = [name for name, value in rows[-1].items() if value is None and (name != "spread" or line[name])]
            wrong += [f"{name} is {line[name][:20]!r} in line {reader.line_num}" for name in bad[:1]]
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
            whole = value >= 0 and value.is_integer()
            return value if name in {"prediction", "spread"} else int(value) if whole else None
    return None
