"""`qm7 compare`: groups of runs against a reference."""

from typing import TYPE_CHECKING, Annotated, Final

import typer

from qm7cli.cli.options import By, Margin, Output, OutputFormat, Reference, Runs, each_run, key_option
from qm7cli.cli.output import Table, note, show_number, write_output

if TYPE_CHECKING:
    from qm7cli.analysis.compare import Comparison
    from qm7cli.analysis.groups import Group

NARROW: Final = ("diverged", "MAE, kcal/mol", "difference (95%)", "Holm p")  # columns that fit a terminal


def compare(
    runs: Runs = None,
    by: By = None,
    reference: Reference = None,
    margin: Margin = None,
    within: Annotated[str | None, key_option("A table, with its own reference, for each value of a setting.")] = None,
    format_: OutputFormat = None,
    output: Output = None,
) -> None:
    """Compare groups of runs, paired by fold and seed, and say in words what the difference shows.

    A difference is a group's test MAE minus the reference's, with the 95 % interval of the corrected resampled t-test
    (Nadeau & Bengio 2003) over the test sets, seeds averaged. The test decides, with p-values corrected for the number
    of comparisons (Holm), of all tables with --within. A fold that diverged is worse than any that did not, and decides
    before the test. What "such a comparison finds in four of five cases" is the smallest difference that this test
    alone, with the same standard error, would find so often.

    "Not decided" does not mean equal. With --margin a group is equivalent to the reference within M kcal/mol if its
    whole 95 % interval lies between -M and M (two one-sided tests at 2.5 %, Schuirmann 1987; each comparison alone).
    The other formats have more than the table. The results.yaml of the runs are enough.

    Example: qm7 compare runs/variants --reference variant=original --margin 0.05
    """
    from qm7cli.analysis.compare import compare_groups
    from qm7cli.runs.collect import read_run

    usable, status = each_run(runs, read_run, output)
    comparison = compare_groups(usable, by or (), reference, margin=margin, within=within)
    tables = [comparison_table(part) for part in comparison.parts or [comparison]]
    if comparison.parts:
        tables[0].sentences.insert(0, comparison.explanation)
    written = write_output(tables, comparison.to_records(), format_, output)
    for sentence in comparison.notes if written in {"csv", "json", "latex"} else ():  # which have no sentences
        note(sentence)
    raise typer.Exit(status)


def comparison_table(comparison: "Comparison") -> Table:
    """Return a row for each group, without columns that have no figure: errors, difference, what decides."""
    from qm7cli.analysis.groups import short_keys

    keys = list(short_keys(comparison.groups[0].settings).values())
    name = keys[0] if len(keys) == 1 else "group"
    rows = [{name: group.name, **_figures(group)} for group in comparison.groups]
    header = [column for column in rows[0] if any(row[column] != "-" for row in rows)]
    return Table(
        {column: [row[column] for row in rows] for column in header},
        {name},
        title=comparison.place,
        sentences=[*filter(None, [comparison.explanation]), *comparison.sentences],
        wrapped=name,
        details=[column for column in header if column not in {name, *NARROW}],
    )


def _figures(group: "Group") -> dict[str, str]:
    """Return the figures of a group, by column."""
    from qm7cli.analysis.compare import difference_text, p_text, percent_text

    difference = group.difference
    columns = {"folds": group.folds_text}
    columns["diverged"] = f"{len(group.diverged)} of {len(group.ended)}" if group.diverged else "-"
    for metric, figures in (("MAE", group.mae), ("RMSE", group.rmse)):
        over_folds = f" +- {figures.over_folds:.2f}" if figures and figures.over_folds is not None else ""
        shown = "diverged" if group.diverged and not figures else show_number(figures and figures.mean) + over_folds
        columns[f"{metric}, kcal/mol"] = shown
        columns[f"{metric} over seeds"] = show_number(figures and figures.over_seeds, 3)
    return columns | {
        "difference (95%)": difference_text(difference) if difference else "-",
        "of the MAE": percent_text(difference and difference.percent),
        "p": p_text(difference and difference.t_test and difference.t_test.p),
        "Holm p": p_text(group.p),
    }
