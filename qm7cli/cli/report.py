"""`qm7 report`: a comparison of runs as a page for a browser."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from qm7cli.cli.compare import comparison_table
from qm7cli.cli.options import By, Margin, Reference, Runs, read_each_run
from qm7cli.cli.output import say


def report(
    output: Annotated[Path, typer.Option(metavar="FILE.html", help="Where to write.")],
    runs: Runs = None,
    by: By = None,
    reference: Reference = None,
    margin: Margin = None,
) -> None:
    """Write a comparison of runs as one HTML page: verdicts, figures, pictures, settings and environment.

    The page needs no other file and no network, and prints on A4. Needs matplotlib: pip install 'qm7cli[plots]'

    Example: qm7 report runs/variants --output report.html
    """
    from qm7cli.analysis.compare import compare_groups
    from qm7cli.analysis.report import render_report
    from qm7cli.core.files import write_text

    usable, status = read_each_run(runs, output)
    comparison = compare_groups(usable, by or (), reference, margin=margin)
    choices = [part for key in by or () for part in ("--by", key)] + (["--reference", reference] if reference else [])
    choices += ["--margin", f"{margin:g}"] if margin is not None else []
    command = shlex.join(["qm7", "report", *map(str, runs or ()), *choices, "--output", "FILE.html"])
    table = comparison_table(comparison)
    write_text(output, render_report(comparison, usable, list(table.columns), table.rows, command, reference))
    say(str(output))
    raise typer.Exit(status)
