"""`qm7 plot`: pictures of runs."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from qm7cli.cli.options import By, Runs, read_usable_runs
from qm7cli.cli.output import say


def plot(
    kind: Annotated[
        Literal["curves", "parity", "errors", "folds"],
        typer.Option(help="Test MAE on the way, predicted against true energies, errors, or folds side by side."),
    ],
    output: Annotated[
        Path, typer.Option(metavar="FILE.png|FILE.svg|FILE.pdf", help="Where to write; the ending is the format.")
    ],
    runs: Runs = None,
    by: By = None,
) -> None:
    """Draw a picture of runs, as wide as a column of a paper: 85 mm.

    Groups of runs are made as by qm7 compare. Needs matplotlib: pip install 'qm7cli[plots]'

    Example: qm7 plot runs/variants --kind curves --output curves.pdf
    """
    from qm7cli.analysis.compare import compare_groups
    from qm7cli.analysis.figure_style import image_format, save
    from qm7cli.analysis.plots import KINDS

    image_format(output)
    usable, status = read_usable_runs(runs, output)
    save(KINDS[kind](compare_groups(usable, by or (), paired=False)), output)
    say(str(output))
    raise typer.Exit(status)
