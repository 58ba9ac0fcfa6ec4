"""`qm7 experiments`: the experiments that come with the program."""

import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from qm7cli.cli.options import complete_experiments
from qm7cli.cli.output import WIDTH, say


def experiments(
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", autocompletion=complete_experiments, help="Print this file instead."),
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


def _listing(files: dict[str, Path]) -> Iterator[str]:
    """Give the lines of the list: name, jobs and what the file says of itself."""
    from qm7cli.runs.experiment import is_sweep, purpose, resolve
    from qm7cli.training.sweep import read_sweep

    width = max(map(len, files))
    for command, wanted in (("qm7 train --config NAME", False), ("qm7 sweep NAME", True)):
        yield f"{command}  (jobs; what for)"
        for name, file in files.items():
            if is_sweep(file) == wanted:
                points = read_sweep(file) if wanted else [resolve(file, (), {})]
                jobs = sum(len(each.split.folds or range(each.split.count)) for each in points)
                start = f"  {name:{width}}  {jobs:2}  "
                lines = textwrap.wrap(purpose(file), WIDTH - len(start), break_on_hyphens=False)
                yield start + lines[0]
                yield from (" " * len(start) + line for line in lines[1:])
