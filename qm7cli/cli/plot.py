"""`qm7 plot`: pictures of runs."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from qm7cli.cli.options import By, Reference, Runs, each_run, key_option
from qm7cli.cli.output import say

KindName = Literal["curves", "differences", "folds", "setting", "parity"]


def plot(
    kind: Annotated[KindName, typer.Option(help="What to draw, from the list above.")],
    output: Annotated[Path, typer.Option(metavar="FILE", help="File to write; it ends in .png, .svg or .pdf.")],
    runs: Runs = None,
    by: By = None,
    reference: Reference = None,
    x: Annotated[
        str | None, key_option("Setting on the axis, for --kind setting. [default: the one number that differs]")
    ] = None,
    log: Annotated[
        bool | None, typer.Option("--log/--no-log", help="Logarithmic axis of errors. [default: as suits the figure]")
    ] = None,
    width: Annotated[
        float, typer.Option(metavar="MM", min=40, max=400, help="Width in mm, 40 to 400. A column of a paper has 85.")
    ] = 85,
    caption: Annotated[
        Literal["below", "none"], typer.Option(help="Where to say what the figure shows: below or none.")
    ] = "below",
) -> None:
    """Draw a figure of runs.

    Kinds:
      curves       test MAE against training iterations
      differences  the same, minus that of --reference, with the 95% interval
      folds        test MAE of every fold, and the means with their 95% intervals
      setting      test MAE against a numeric setting, and where folds diverged
      parity       predicted against true energies with the MAE, and the errors

    Groups are those of qm7 compare. Needs matplotlib: pip install '.[plots]'

    Examples:
      qm7 plot runs/variants --kind differences --output differences.pdf
      qm7 plot runs/offset --kind setting --x network.offset --output offset.png
    """
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
