"""`qm7 collect`: the folds of many runs as one table."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import typer

from qm7cli.cli.common import Debug, Output, Table, complain, deliver, number
from qm7cli.cli.formats import Fitted, TableFormat, TableFormatOption, cell, fit, format_records

if TYPE_CHECKING:
    from qm7cli.collect import Directories, Run, Unusable

Read = TypeVar("Read")
RUNS: Final = Path("runs")  # where training writes
Runs = Annotated[
    list[Path] | None,
    typer.Argument(metavar="RUN", help="Run directories, or directories above them. Without: all under runs."),
]


def found_directories(paths: list[Path] | None, *outputs: Path | None) -> "Directories":
    """Return the directories of the runs at or below some paths.

    Exits if there is none; raises QM7Error if an output would lie among the files of one.
    """
    from qm7cli.collect import find_directories
    from qm7cli.errors import QM7Error
    from qm7cli.files import refuse_output

    if not paths and not RUNS.exists():
        raise QM7Error(f"there is no directory {RUNS} here, where qm7 train puts its runs: name a run")
    directories = find_directories(paths or [RUNS])
    if not directories.runs:
        _exit_without_runs(directories.unusable)
    for output in outputs:
        refuse_output(output, directories.runs)
    return directories


def usable_runs(made: list[Read], unusable: "Sequence[Unusable]") -> tuple[list[Read], int]:
    """Return what `qm7cli.collect.read_runs` has made of runs, and the exit status: 1 if one that was given is missing.

    Says in a line each why others are left out. Exits if none is left.
    """
    if not made:
        _exit_without_runs(unusable)
    for each in unusable:
        complain(f"left out: {each.error}")
    return made, int(any(each.given for each in unusable))


def _exit_without_runs(unusable: "Sequence[Unusable]") -> None:
    if len(unusable) == 1:
        raise unusable[0].error
    for each in unusable:
        complain(str(each.error))
    raise typer.Exit(1)


def found_runs(paths: list[Path] | None, output: Path | None) -> "tuple[list[Run], int]":
    """Return the runs at or below some paths, and the exit status, as `usable_runs`."""
    from qm7cli.collect import read_run, read_runs

    return usable_runs(*read_runs(found_directories(paths, output), read_run))


def collect(
    runs: Runs = None,
    format_: TableFormatOption = TableFormat.TABLE,
    output: Output = None,
    debug: Debug = False,
) -> None:
    """Print a row for every fold of some runs, with the settings in which the runs differ as columns.

    The table fits 80 columns and leaves out what that takes; the other formats have all.

    Example: qm7 collect runs --format csv --output folds.csv
    """
    from qm7cli.collect import collect as collected

    found, status = found_runs(runs, output)
    records = collected(found)
    fitted = _fitted(records)
    table, words = _table(records, _settings(records), ", kcal/mol")
    text = format_records(records, table, format_, words)
    deliver(fitted.table, text, output, fitted.words, fitted.after)
    raise typer.Exit(status)


def _settings(records: Sequence[dict[str, Any]]) -> list[str]:
    """Return the dotted keys of the settings that the records have."""
    from qm7cli.collect import FOLD_COLUMNS

    return [key for key in records[0] if key not in {"run", *FOLD_COLUMNS}]


def _fitted(records: Sequence[dict[str, Any]]) -> Fitted:
    """Return the table to look at: the settings in which the runs differ or, where there are too many, their names."""
    from qm7cli.config import RESUMABLE_SETTINGS

    optional = ("minutes", "train RMSE", "train MAE", "status", "iterations")
    for keys in ([key for key in _settings(records) if key not in RESUMABLE_SETTINGS or key == "data"], []):
        table, words = _table(records, keys)
        header = _last_parts(table[0])
        fitted = fit((header, table[1]), words, "MAE and RMSE in kcal/mol", optional, header[1:words])
        if fitted.fits:
            break
    return fitted


def _last_parts(keys: Sequence[str]) -> list[str]:
    """Return the last part of each dotted key, or the whole where two have the same."""
    last = [key.rpartition(".")[2] for key in keys]
    return [own if last.count(own) == 1 else key for key, own in zip(keys, last, strict=True)]


def _table(records: Sequence[dict[str, Any]], settings: Sequence[str], unit: str = "") -> tuple[Table, int]:
    """Return header and rows, and how many columns are of words."""
    from qm7cli.results import METRICS

    figures = (f"{name}{unit}" for name in ("test MAE", "test RMSE", "train MAE", "train RMSE"))
    rows = [
        [
            record["run"],
            *(cell(record[key]) for key in settings),
            str(record["fold"]),
            record["status"],
            str(record["iterations"] or "-"),
            *(number(record[metric]) for metric in METRICS),
            number(record["seconds"] and record["seconds"] / 60, 1),
        ]
        for record in records
    ]
    header = ["run", *settings, "fold", "status", "iterations", *figures, "minutes"]
    return (header, rows), len(settings) + 2
