"""`qm7 plot`: pictures of runs."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from qm7cli.cli.options import By, Reference, Runs, each_run, key_option
from qm7cli.cli.output import say

KindName = Literal["curves", "differences", "folds", "setting", "parity"]


def plot(
    kind: Annotated[KindName, typer.Option(help="What to draw; see above.")],
    output: Annotated[
        Path, typer.Option(metavar="FILE.png|FILE.svg|FILE.pdf", help="Where to write; the ending is the format.")
    ],
    runs: Runs = None,
    by: By = None,
    reference: Reference = None,
    x: Annotated[
        str | None, key_option("For setting: the one along the axis. Default: the one number that differs.")
    ] = None,
    log: Annotated[
        bool | None,
        typer.Option("--log/--no-log", help="Logarithmic axis of errors, or not. Default: as suits the picture."),
    ] = None,
    width: Annotated[float, typer.Option(metavar="MM", min=40, max=400, help="Width in mm.")] = 85,
    caption: Annotated[
        Literal["below", "none"], typer.Option(help="Whether the picture says below what it shows and what diverged.")
    ] = "below",
) -> None:
    """Draw a picture of runs, by default as wide as a column of a paper: 85 mm.

    \b
    curves       test MAE against training iterations
    differences  the same, minus that of the reference, with the 95% interval
    folds        test MAE of every fold, and the means with their 95% intervals
    setting      test MAE against a numeric setting, and where folds diverged
    parity       predicted against true energies with the MAE, and the errors

    Groups are those of qm7 compare; --reference is for differences. Needs matplotlib: pip install '.[plots]'

    Example: qm7 plot runs/variants --kind differences --output differences.pdf
    """  # noqa: D301 - a backspace keeps the lines of the list
    from qm7cli.analysis.compare import compare_groups
    from qm7cli.analysis.figure_style import Options, image_format, save
    from qm7cli.analysis.plots import KINDS
    from qm7cli.runs.collect import read_run

    image_format(output)
    usable, status = each_run(runs, read_run, output)
    comparison = compare_groups(usable, by or (), paired=False)
    options = Options(width=width, caption=caption == "below", log=log, setting=x, reference=reference)
    save(KINDS[kind].draw(comparison, options), output)
    say(str(output))
    raise typer.Exit(status)
