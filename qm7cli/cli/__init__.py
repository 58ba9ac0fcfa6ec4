"""The commands, one file each; parsing and printing only."""

import sys
from typing import Annotated

import typer

import qm7cli
from qm7cli.cli.common import complain
from qm7cli.cli.evaluate import evaluate
from qm7cli.cli.info import info
from qm7cli.cli.train import train
from qm7cli.errors import QM7Error

# Plain help and usage errors in one line, without rich's frames: they are read in logs too.
app = typer.Typer(rich_markup_mode=None, add_completion=False, context_settings={"help_option_names": ["-h", "--help"]})
app.command()(info)
app.command()(train)
app.command("eval")(evaluate)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"qm7 {qm7cli.__version__}")
        raise typer.Exit


@app.callback()
def _qm7(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Train and evaluate pre-bias networks on the QM7 atomization energies.

    Example: qm7 train --variant corrected --iterations 20000
    """
    del version


def main() -> None:
    """Run the command line: errors that a user can cause are one line and exit status 1, or 2 for wrong usage."""
    try:
        status = app(sys.argv[1:] or ["--help"], standalone_mode=False)
    except typer.TyperException as error:
        complain(f"{error.format_message()} (qm7 --help shows what there is)")
        status = 2
    except (QM7Error, MemoryError) as error:
        if "--debug" in sys.argv:
            raise
        complain(str(error) if isinstance(error, QM7Error) else "not enough memory for these settings")
        status = 1
    sys.exit(status)
