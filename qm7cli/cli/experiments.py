"""`qm7 experiments`: the experiments that come with the program."""

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qm7cli.cli import completion
from qm7cli.cli.output import say
from qm7cli.cli.tables import WIDTH

if TYPE_CHECKING:
    from collections.abc import Iterator


def experiments(
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", autocompletion=completion.every_experiment, help="Print this file instead."),
    ] = None,
) -> None:
    """List the experiments that come with the program, or print one.

    qm7 train --config NAME takes those of one run, qm7 sweep NAME the others. Jobs are the folds to be trained. To
    change one, print it to a file: a file of that name goes before what comes with the program.

    Example: qm7 experiments quick > quick.yaml
    """
    from qm7cli.core.errors import UsageError
    from qm7cli.core.files import read_text
    from qm7cli.core.validation import suggestion
    from qm7cli.runs.experiment import ENDING, experiment_files

    files = experiment_files()
    if name is None:
        for line in _listing(files):
            say(line)
    elif file := files.get(name.removesuffix(ENDING)):
        print(read_text(file), end="")
    else:
        close = suggestion(name, files) or f"; there are {', '.join(files)}"
        raise UsageError(f"no experiment {name} comes with the program{close}")


def _listing(files: dict[str, Path]) -> "Iterator[str]":
    """Give the lines of the list: name, jobs and what the file says of itself."""
    from qm7cli.runs.experiment import is_sweep, purpose, resolve
    from qm7cli.training.sweep import read_sweep

    width = max(map(len, files))
    kinds = {"qm7 train --config NAME": False, "qm7 sweep NAME": True}
    for command, wanted in kinds.items():
        yield f"{command}  (jobs; what for)"
        for name, file in files.items():
            if is_sweep(file) == wanted:
                points = read_sweep(file) if wanted else [resolve(file, (), {})]
                jobs = sum(len(each.split.folds or range(each.split.count)) for each in points)
                start = f"  {name:{width}}  {jobs:2}  "
                indent = " " * len(start)
                yield from textwrap.wrap(
                    purpose(file), WIDTH, initial_indent=start, subsequent_indent=indent, break_on_hyphens=False
                )
