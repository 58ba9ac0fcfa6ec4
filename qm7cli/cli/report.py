"""`qm7 report`: a comparison of runs as a page."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from qm7cli.cli.compare import comparison_table
from qm7cli.cli.options import By, Margin, Reference, Runs, each_run
from qm7cli.cli.output import say


def report(
    output: Annotated[Path, typer.Option(metavar="FILE.html", help="Page to write.")],
    runs: Runs = None,
    by: By = None,
    reference: Reference = None,
    margin: Margin = None,
) -> None:
    """Write a comparison of runs as one HTML page.

    It has verdicts, tables, figures, settings and environment, and needs no other file. It prints on A4. Needs
    matplotlib: pip install '.[plots]'

    Examples:
      qm7 report --output report.html
      qm7 report runs/variants --reference variant=original --output report.html
    """
    from qm7cli.analysis.compare import compare_groups
    from qm7cli.analysis.report import render_report
    from qm7cli.core.files import write_text
    from qm7cli.runs.collect import read_run

    usable, status = each_run(runs, read_run, output)
    comparison = compare_groups(usable, by or (), reference, margin=margin)
    choices = [*(("--by", key) for key in by or ()), ("--reference", reference), ("--margin", margin and f"{margin:g}")]
    chosen = [part for option, value in choices if value for part in (option, value)]
    command = shlex.join(["qm7", "report", *map(str, runs or ()), *chosen, "--output", "FILE.html"])
    table = comparison_table(comparison)
    write_text(output, render_report(comparison, usable, list(table.columns), table.rows, command, reference))
    say(str(output))
    raise typer.Exit(status)
