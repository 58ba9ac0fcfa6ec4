"""`qm7 compare`: groups of runs against a reference."""

import json
import textwrap
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qm7cli.cli.collect import Runs, found_runs
from qm7cli.cli.common import Debug, Output, Table, deliver, note, number
from qm7cli.cli.formats import TableFormat, TableFormatOption, format_records
from qm7cli.escaping import printable

if TYPE_CHECKING:
    from qm7cli.compare import Comparison, Group

DIFFERENCE = "difference (95 %)"
NARROW = ("MAE, kcal/mol", DIFFERENCE, "Holm p")
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
    """Compare groups of runs, paired by fold and seed, and say in words what the difference shows.

    A difference is a group's test MAE less the reference's. Its 95 % interval is that of the corrected resampled
    t-test (Nadeau & Bengio 2003) over the test sets, seeds averaged, which allows for overlapping training sets. The
    test decides, with p-values corrected for the number of comparisons (Holm). What "such a comparison finds in four
    of five cases" is the smallest difference that this test alone, with the same standard error, would find so often.
    Groups are made of the settings in which the runs differ, but the seed.

    Other formats than the table have more: the RMSE, and the interval for other test molecules (bootstrap) where there
    are predictions. results.yaml is enough for all else.

    Example: qm7 compare runs/variants --baseline variant=original
    """
    from qm7cli.compare import compare as compared
    from qm7cli.compare import records
    from qm7cli.yaml_text import format_yaml

    found, status = found_runs(runs, output)
    comparison = compared(found, by or (), baseline)
    plain = list(records(comparison))
    table = comparison_table(comparison, wide=format_ is not TableFormat.TABLE)
    match format_:
        case TableFormat.JSON:
            text: str | None = json.dumps({"groups": plain, "notes": comparison.notes}) + "\n"
        case TableFormat.YAML:
            text = format_yaml({"groups": plain, "notes": comparison.notes})
        case _:
            text = format_records(plain, table, format_, words=1)
    if format_ is TableFormat.MARKDOWN:
        text = f"{text}\n" + "".join(f"- {printable(sentence)}\n" for sentence in _sentences(comparison))
    if format_ in {TableFormat.CSV, TableFormat.LATEX}:
        for sentence in comparison.notes:
            note(sentence)
    deliver(table, text, output, after=_after(comparison))
    raise typer.Exit(status)


def print_comparison(comparison: "Comparison") -> None:
    """Print a comparison as `qm7 compare` does without options."""
    deliver(comparison_table(comparison), None, None, after=_after(comparison))


def _sentences(comparison: "Comparison") -> list[str]:
    return [*filter(None, [comparison.explanation]), *comparison.sentences]


def _after(comparison: "Comparison") -> str:
    """Return what stands below the table, a paragraph for each sentence, as wide as a terminal at least is."""
    options: dict[str, Any] = {"subsequent_indent": "  ", "break_long_words": False, "break_on_hyphens": False}
    return "".join(f"{textwrap.fill(sentence, 80, **options)}\n" for sentence in _sentences(comparison))


def comparison_table(comparison: "Comparison", *, wide: bool = False) -> Table:
    """Return header and rows: each group's errors, its difference from the reference and what decides.

    Columns without a figure are left out. With differences a table that is not `wide` fits a terminal: of the errors it
    has the test MAE alone.
    """
    from qm7cli.compare import short_keys

    keys = list(short_keys(comparison.groups[0].settings).values())
    name = keys[0] if len(keys) == 1 else "group"
    rows = [{name: group.name, **_figures(group)} for group in comparison.groups]
    header = [column for column in rows[0] if any(row[column] != "-" for row in rows)]
    if DIFFERENCE in header and not wide:
        header = [name, *(column for column in header if column in NARROW)]
    return header, [[row[column] for column in header] for row in rows]


def _figures(group: "Group") -> dict[str, str]:
    """Return the figures of a group, by column."""
    from qm7cli.compare import bootstrap_text, difference_text, p_text, percent_text

    difference = group.difference
    columns = {"folds": str(len(group.folds))}
    for metric, figures in (("MAE", group.mae), ("RMSE", group.rmse)):
        over_folds = f" +- {figures.over_folds:.2f}" if figures and figures.over_folds is not None else ""
        columns[f"{metric}, kcal/mol"] = number(figures and figures.mean) + over_folds
        columns[f"{metric} over seeds"] = number(figures and figures.over_seeds, 3)
    return columns | {
        DIFFERENCE: difference_text(difference) if difference else "-",
        "of the MAE": percent_text(difference and difference.percent),
        "bootstrap 95 %": bootstrap_text(difference),
        "p": p_text(difference and difference.t_test and difference.t_test.p),
        "Holm p": p_text(group.p),
    }
