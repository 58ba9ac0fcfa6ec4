"""The experiment and sweep files that come with the program, which go by their names."""

import re
from itertools import takewhile
from pathlib import Path
from typing import Final

from qm7cli.core.errors import QM7Error
from qm7cli.core.files import read_text

ENDING: Final = ".yaml"
_PACKAGE: Final = Path(__file__).parents[1]


def experiment_files() -> dict[str, Path]:
    """Return the files that come with the program, by name: ``quick`` is ``quick.yaml``."""
    installed = _PACKAGE / "experiments"
    directory = installed if installed.is_dir() else _PACKAGE.parent / "experiments"  # in a checkout
    return {path.stem: path for path in sorted(directory.glob(f"*{ENDING}"))}


def find_experiment(file: Path) -> Path:
    """Return the file of an experiment or a sweep: one that is there, else that which comes with the program.

    Raises QM7Error if there is neither.
    """
    if file.exists() and not file.is_dir():
        return file
    named = experiment_files() if file.parent == Path() else {}
    if found := named.get(file.name.removesuffix(ENDING)):
        return found
    if file.exists():
        return file  # a directory, which its reader refuses
    raise QM7Error(
        f"cannot read {file}: No such file or directory; qm7 experiments lists those that come with the program"
    )


def is_sweep(file: Path) -> bool:
    """Say whether an experiment file has the keys of a sweep; raises QM7Error if it cannot be read."""
    return re.search(r"^(grid|points):", read_text(file), re.MULTILINE) is not None


def purpose(file: Path) -> str:
    """Return the first sentence of the comment at the top of an experiment file."""
    lines = takewhile(lambda line: line.startswith("# "), read_text(file).splitlines())
    return re.split(r"(?<=[.?]) (?=[A-Z])", " ".join(line.removeprefix("# ") for line in lines))[0]
