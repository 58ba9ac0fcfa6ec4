"""The options and arguments that commands share, and what reads them."""

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeVar

import typer

from qm7cli.cli.output import Format, print_error, refuse_inputs

if TYPE_CHECKING:
    from qm7cli.data.dataset import Dataset

Read = TypeVar("Read")
SubtractName = Literal["mean", "composition"]  # qm7cli.model.target.Subtract, without what that imports
RUNS: Final = Path("runs")  # where training writes


def whole_number(text: str) -> int:
    """Read a whole number as an experiment file has it, 1e6 too; raises BadParameter if it is not one."""
    with suppress(ValueError):
        return int(text)
    with suppress(ValueError):
        if (number := float(text)).is_integer():
            return int(number)
    raise typer.BadParameter(f"{text} is not a whole number")


def whole(meaning: str) -> Any:
    """Return an option that takes a whole number."""
    return typer.Option(parser=whole_number, metavar="N", help=meaning)


def margin_of_equivalence(text: str) -> float:
    """Read a difference in kcal/mol, above 0; raises BadParameter if it is not one."""
    with suppress(ValueError):
        if 0 < (number := float(text)) < math.inf:
            return number
    raise typer.BadParameter(f"{text} is not a number of kcal/mol above 0")


def complete_variants() -> list[str]:
    """Return the names of the variants."""
    from qm7cli.model.variants import RULES

    return list(RULES)


def complete_experiments() -> list[str]:
    """Return the experiments and sweeps that come with the program."""
    from qm7cli.runs.experiment import experiment_files

    return list(experiment_files())


def complete_keys() -> list[str]:
    """Return the dotted keys of the settings that a user chooses."""
    from qm7cli.runs.experiment import DEFAULTS, RECORDED_SETTINGS

    return [key for key in DEFAULTS if key not in RECORDED_SETTINGS]


def complete_runs() -> list[str]:
    """Return the runs under runs/ and the directories between."""
    from qm7cli.runs.collect import find_directories

    return sorted({str(path) for run in find_directories([RUNS]).runs for path in (run, *run.parents)} - {".", "runs"})


def key_option(meaning: str, *names: str, metavar: str = "KEY") -> Any:
    """Return an option that takes the dotted key of a setting, or more."""
    return typer.Option(*names, metavar=metavar, autocompletion=complete_keys, help=meaning)


Data = Annotated[
    str | None, typer.Option(metavar="FILE", help="Data set; gfn7 is built in. [default: $QM7_DATA, then data/qm7.mat]")
]
RunData = Annotated[
    str | None, typer.Option(metavar="FILE", help="Data set. [default: each run's own, found by its SHA-256]")
]
Split = Annotated[
    str | None,
    typer.Option(
        metavar="SPLIT",
        show_default=False,
        help="published, stratified, random or a file of qm7 split. [default: published]",
    ),
]
Folds = Annotated[
    list[int] | None,
    typer.Option("--fold", metavar="N", min=0, help="Fold to hold out, from 0; repeatable. [default: all]"),
]
Seed = Annotated[int | None, whole("Seed of the random numbers. [default: 0]")]
Settings = Annotated[
    list[str] | None,
    key_option("Set any setting, as training.batch_size=50; repeatable.", "--set", metavar="KEY=VALUE"),
]
Jobs = Annotated[int | None, typer.Option(metavar="N", min=1, help="Folds trained at a time. [default: one per core]")]
Out = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Run directory. [default: runs/NAME, named after the settings]")
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Start these folds again; if the settings differ, remove all folds.")
]
Runs = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="RUN", autocompletion=complete_runs, help="Run directories, or directories above them. [default: runs]"
    ),
]
TrainedFolds = Annotated[
    list[int] | None,
    typer.Option("--fold", metavar="N", min=0, help="Fold to use, from 0; repeatable. [default: all trained folds]"),
]
Draws = Annotated[
    int | None,
    typer.Option(metavar="N", min=1, max=10**6, help="Random matrices per molecule. [default: as in the run]"),
]
By = Annotated[list[str] | None, key_option("Setting that defines the groups; repeatable. [default: all that differ]")]
Reference = Annotated[
    str | None,
    typer.Option(
        metavar="GROUP",
        autocompletion=complete_runs,
        help="Group to compare with: name, KEY=VALUE or run. [default: that of the default settings, or the first]",
    ),
]
Margin = Annotated[
    float | None,
    typer.Option(parser=margin_of_equivalence, metavar="M", help="Also test for equivalence within M kcal/mol."),
]
MOLECULE_FORMATS = "Molecules in angstrom: .xyz, .extxyz, .sdf, .mol, .pdb or .traj, optionally .gz, .bz2 or .xz"
InputFormat = Annotated[
    Literal["xyz", "sdf", "pdb", "traj", "smi", "csv"] | None,
    typer.Option(help="xyz, sdf, pdb, traj, smi or csv. [default: by ending or content]"),
]
MoleculeFiles = Annotated[list[Path], typer.Argument(metavar="FILE", help=f"{MOLECULE_FORMATS}.")]
OutputFormat = Annotated[
    Format | None,
    typer.Option(
        "--format",
        help="table, csv, json, markdown or latex. csv and json are not rounded; latex needs booktabs. "
        "[default: by the ending of --output, else table]",
    ),
]
Output = Annotated[Path | None, typer.Option(metavar="FILE", help="Write to FILE instead of standard output.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print only results and errors.")]


def load_dataset(data: str | None) -> "Dataset":
    """Find, read and check the data set."""
    from qm7cli.data import dataset

    return dataset.load(dataset.locate(data))


def each_run(
    paths: Sequence[Path] | None, read: Callable[[Path], Read], output: Path | None = None
) -> tuple[list[Read], int]:
    """Return what `read` makes of each run at or below some paths, and the exit status: 1 if one that was given fails.

    Prints why each run is left out, and exits if none is left.
    """
    from qm7cli.core.errors import QM7Error
    from qm7cli.runs.collect import find_directories, read_runs

    if not paths and not RUNS.exists():
        raise QM7Error(f"there is no directory {RUNS} here: name a run, or go to the directory where you trained")
    directories = find_directories(paths or [RUNS])
    refuse_inputs(output, directories.runs)
    made, unusable = read_runs(directories, read)
    if not made and len(unusable) == 1:
        raise unusable[0].error
    for each in unusable:
        print_error(f"left out: {each.error}" if made else str(each.error))
    if not made:
        raise typer.Exit(1)
    return made, int(any(each.given for each in unusable))
