"""`qm7 collect`: the folds of many runs as one table."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qm7cli.cli.common import Debug, Output, Table, deliver, number, refuse_within
from qm7cli.cli.formats import TableFormat, TableFormatOption, cell, format_records

if TYPE_CHECKING:
    from qm7cli.collect import Run

Runs = Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run directories, or directories above them.")]


def found_runs(paths: list[Path], output: Path | None) -> "list[Run]":
    """Return the runs at or below some paths; raises QM7Error if the output would lie among the files of one."""
    from qm7cli.collect import find_runs

    runs = find_runs(paths)
    refuse_within(output, [run.path for run in runs])
    return runs


def collect(
    runs: Runs,
    format_: TableFormatOption = TableFormat.TABLE,
    output: Output = None,
    debug: Debug = False,
) -> None:
    """Print a row for every fold of some runs, with the settings in which the runs differ as columns.

    Example: qm7 collect runs --format csv --output folds.csv
    """
    from qm7cli.collect import collect as collected

    records = collected(found_runs(runs, output))
    table = _table(records)
    words = table[0].index("fold") + 1
    deliver(table, format_records(records, table, format_, words), output, words)


def _table(records: list[dict[str, Any]]) -> Table:
    from qm7cli.collect import FOLD_COLUMNS
    from qm7cli.results import METRICS

    settings = [key for key in records[0] if key not in {"run", *FOLD_COLUMNS}]
    figures = ("test MAE", "test RMSE", "train MAE", "train RMSE")
    rows = [
        [
            record["run"],
            *(cell(record[key]) for key in settings),
            str(record["fold"]),
            record["status"],
            str(record["iterations"]),
            *(number(record[metric]) for metric in METRICS),
            number(record["seconds"] and record["seconds"] / 60, 1),
        ]
        for record in records
    ]
    return ["kcal/mol", *settings, "fold", "status", "iterations", *figures, "minutes"], rows
