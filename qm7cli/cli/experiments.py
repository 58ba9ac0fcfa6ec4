"""`qm7 experiments`: the experiments that come with the program."""

from pathlib import Path
from typing import Annotated, Any, Final

import typer

from qm7cli.cli.options import Output, OutputFormat, complete_experiments
from qm7cli.cli.output import Column, Table, make_table, write_output

COMMANDS: Final = {"train": "train --config NAME", "sweep": "sweep NAME"}


def experiments(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME", autocompletion=complete_experiments, help="Experiment to print. [default: list all]"
        ),
    ] = None,
    format_: OutputFormat = None,
    output: Output = None,
) -> None:
    """List the experiments that come with the program, or print one.

    Jobs are folds to train. To change an experiment, print it to a file and edit that file.

    Examples:
      qm7 experiments quick > mine.yaml
      qm7 train --config mine.yaml
    """
    from qm7cli.core.errors import UsageError
    from qm7cli.core.files import read_text
    from qm7cli.core.validation import suggestion
    from qm7cli.runs.experiment import ENDING, experiment_files

    files = experiment_files()
    if name is None:
        records = sorted((_record(*each) for each in files.items()), key=lambda record: record["command"] == "sweep")
        headings = [f"qm7 {COMMANDS[record['command']]}" for record in records]
        columns = [Column(key, key, left=key != "jobs") for key in ("name", "jobs", "purpose")]
        write_output(make_table(records, columns, headings=headings, wrapped="purpose"), records, format_, output)
    elif format_:
        raise UsageError("--format is for the list of experiments; a file is YAML")
    elif file := files.get(name.removesuffix(ENDING)):
        write_output(Table({}, below=read_text(file)), output=output)
    else:
        close = suggestion(name, files) or f"; there are {', '.join(files)}"
        raise UsageError(f"no experiment {name} comes with the program{close}")


def _record(name: str, file: Path) -> dict[str, Any]:
    """Return what is said of an experiment: its name, what takes it, its jobs and what the file says of itself."""
    from qm7cli.runs.experiment import is_sweep, purpose, resolve
    from qm7cli.training.sweep import read_sweep

    points = read_sweep(file) if is_sweep(file) else [resolve(file, (), {})]
    jobs = sum(len(each.split.folds or range(each.split.count)) for each in points)
    return {"name": name, "command": "sweep" if is_sweep(file) else "train", "jobs": jobs, "purpose": purpose(file)}
