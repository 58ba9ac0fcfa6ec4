"""`qm7 clean`: room on the disk."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qm7cli.cli import completion
from qm7cli.cli.options import find_run_directories, usable_runs
from qm7cli.cli.output import note, print_error, say

if TYPE_CHECKING:
    from qm7cli.runs.checkpoints import Checkpoint


def clean(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN...", autocompletion=completion.runs, help="Run directories, or directories above them."
        ),
    ],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Remove without asking.")] = False,
) -> None:
    """Remove the checkpoints of finished folds, to free room.

    It says what it would free, and asks. A fold without its checkpoint cannot go on to more iterations; its model, its
    results and all else stay. Folds that are being trained, were interrupted or are shorter than their run asks keep
    their checkpoints.

    Example: qm7 clean runs/variants
    """
    from qm7cli.core.errors import QM7Error
    from qm7cli.runs.checkpoints import find_checkpoints, remove_checkpoint
    from qm7cli.runs.collect import read_runs

    found, status = usable_runs(*read_runs(find_run_directories(runs), find_checkpoints))
    checkpoints = [checkpoint for of_run, _ in found for checkpoint in of_run]
    if kept := sum(others for _, others in found):
        note(f"{_count(kept, 'unfinished fold')} {'keeps its checkpoint' if kept == 1 else 'keep their checkpoints'}")
    if not checkpoints:
        say("nothing to remove: no finished fold has a checkpoint")
        raise typer.Exit(status)
    if not yes and not _agreed(_describe(checkpoints)):
        say("nothing is removed")
        raise typer.Exit(status)
    removed = []
    for checkpoint in checkpoints:
        try:
            remove_checkpoint(checkpoint)
            removed.append(checkpoint)
        except QM7Error as error:
            print_error(str(error))
            status = 1
    say(f"removed: {_describe(removed)}; these folds cannot go on to more iterations")
    raise typer.Exit(status)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _describe(checkpoints: "list[Checkpoint]") -> str:
    runs = len({checkpoint.run for checkpoint in checkpoints})
    size = sum(checkpoint.size for checkpoint in checkpoints)
    return f"{_count(len(checkpoints), 'checkpoint')} of {_count(runs, 'run')}, {size / 1e6:.1f} MB"


def _agreed(what: str) -> bool:
    """Ask on the terminal; raises QM7Error if there is none."""
    from qm7cli.core.errors import QM7Error

    if not sys.stdin.isatty():
        raise QM7Error(f"nothing is removed: there is no terminal to ask on whether to remove {what}; --yes does it")
    note(f"{what}: these folds could not go on to more iterations then, all else stays.")
    print("Remove them? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in {"y", "yes"}
