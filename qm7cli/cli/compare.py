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
    within: Annotated[
        str | None, key_option("Make one table, with its own reference, per value of this setting.")
    ] = None,
    format_: OutputFormat = None,
    output: Output = None,
) -> None:
    """Compare groups of runs, paired by fold and seed, with a verdict on each group.

    The runs need only their results.yaml. A fold that diverged is worse than any that did not, before any test.

    Columns:
      MAE         mean +- standard deviation over folds, kcal/mol
      difference  MAE minus the reference's, seeds averaged; with the 95% interval
                  of the corrected resampled t-test (Nadeau & Bengio 2003)
      Holm p      p of that test, corrected for the number of comparisons in all
                  tables; below 0.05 it decides: better or worse

    Verdicts:
      inconclusive  does not mean equal. "detectable with 80% power" is the
                    smallest difference that the test alone would find so often
      equivalent    the 95% interval lies between -M and M of --margin (two
                    one-sided tests at 2.5%, Schuirmann 1987; not corrected)

    Examples:
      qm7 compare runs/variants --reference variant=original --margin 0.05
      qm7 compare runs/offset --by variant --within network.offset

    The other formats also have the RMSE.
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
