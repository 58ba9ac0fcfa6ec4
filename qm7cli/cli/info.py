"""`qm7 info`: what is in a data set."""

from typing import Annotated

import typer

from qm7cli.cli.common import Data, Debug, load_dataset, print_table


def info(
    data: Data = None,
    quiet: Annotated[
        bool,
        typer.Option("--quiet", "-q", help="Print errors only: exit status 0 means that the data set is sound."),
    ] = False,
    debug: Debug = False,
) -> None:
    """Show what is in the data set, and whether it is the published one.

    Example: qm7 info --data data/qm7.mat
    """
    from qm7cli.inspection import describe

    description = describe(load_dataset(data))
    if not quiet:
        print_table(("property", "value"), list(description.items()), words=2)
