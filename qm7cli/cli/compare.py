"""`qm7 compare`: groups of runs against a baseline."""

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qm7cli.cli.collect import Runs, found_runs
from qm7cli.cli.common import Debug, Output, Table, deliver, note, number
from qm7cli.cli.formats import TableFormat, TableFormatOption, cell, format_records

if TYPE_CHECKING:
    from qm7cli.compare import Comparison, Statistics
    from qm7cli.pairs import Interval

By = Annotated[
    list[str] | None,
    typer.Option(metavar="KEY", help="Setting that makes the groups; may be given again. Without: all that differ."),
]
Baseline = Annotated[
    str | None,
    typer.Option(
        metavar="RUN|KEY=VALUE|GROUP",
        help="Group to compare with. Without: that of the default settings, or the first.",
    ),
]


def compare(
    runs: Runs = None,
    by: By = None,
    baseline: Baseline = None,
    format_: TableFormatOption = TableFormat.TABLE,
    output: Output = None,
    debug: Debug = False,
) -> None:
    """Compare groups of runs, paired by fold, seed and molecule, and say in words what the difference shows.

    The first 95 % interval is that of the tested molecules (bootstrap), the second that of the corrected resampled
    t-test (Nadeau & Bengio 2003) over the folds, seeds averaged, which allows for overlapping training sets and
    decides. Groups are made of the settings in which the runs differ, but the seed.

    Example: qm7 compare runs/variants --baseline variant=original
    """
    from qm7cli.compare import compare as compared
    from qm7cli.compare import records
    from qm7cli.files import format_yaml

    found, status = found_runs(runs, output)
    comparison = compared(found, by or (), baseline)
    plain = list(records(comparison))
    table, words = comparison_table(comparison), _words(comparison)
    match format_:
        case TableFormat.JSON:
            text: str | None = json.dumps({"groups": plain, "notes": comparison.notes}) + "\n"
        case TableFormat.YAML:
            text = format_yaml({"groups": plain, "notes": comparison.notes})
        case _:
            text = format_records(plain, table, format_, words)
    if format_ is TableFormat.MARKDOWN:
        text = f"{text}\n" + "".join(f"- {sentence}\n" for sentence in comparison.sentences)
    if format_ in {TableFormat.CSV, TableFormat.LATEX}:
        for sentence in comparison.notes:
            note(sentence)
    deliver(table, text, output, words, _after(comparison))
    raise typer.Exit(status)


def print_comparison(comparison: "Comparison") -> None:
    """Print a comparison as `qm7 compare` does without options."""
    deliver(comparison_table(comparison), None, None, _words(comparison), _after(comparison))


def _words(comparison: "Comparison") -> int:
    return max(1, len(comparison.groups[0].settings))


def _after(comparison: "Comparison") -> str:
    return "".join(f"{sentence}\n" for sentence in comparison.sentences)


def comparison_table(comparison: "Comparison") -> Table:
    """Return header and rows: each group's errors, its difference from the baseline and the intervals."""
    groups = comparison.groups
    several_seeds = any(group.mae and group.mae.over_seeds is not None for group in groups)
    header = [*(groups[0].settings or ["group"]), "folds"]
    for metric in ("MAE, kcal/mol", "RMSE, kcal/mol"):
        header += [metric, "over seeds"] if several_seeds else [metric]
    header += ["difference", "bootstrap 95 %", "t-test 95 %"] if len(groups) > 1 else []
    rows = []
    for group in groups:
        row = [_cell(key, value) for key, value in group.settings.items()] or [group.name]
        row.append(str(len(group.folds)))
        for statistics in (group.mae, group.rmse):
            row += _figures(statistics)[: 1 + several_seeds]
        if group.difference is not None:
            intervals = (group.difference.bootstrap, group.difference.t_test)
            row += [f"{group.difference.mean:+.3f}", *map(_interval, intervals)]
        rows.append(row + ["-"] * (len(header) - len(row)))
    return header, rows


def _cell(key: str, value: Any) -> str:
    return "network" if key == "baseline.model" and value is None else cell(value)


def _interval(bounds: "Interval | None") -> str:
    return "-" if bounds is None else f"{bounds[0]:.3f} to {bounds[1]:.3f}"


def _figures(statistics: "Statistics | None") -> list[str]:
    """Return mean +- standard deviation over folds, and the standard deviation over seeds."""
    if statistics is None:
        return ["-", "-"]
    over_folds = "" if statistics.over_folds is None else f" +- {statistics.over_folds:.2f}"
    return [f"{statistics.mean:.2f}{over_folds}", number(statistics.over_seeds, 3)]
