"""What lies where in a run's directory."""

import os
from pathlib import Path

from qm7cli.core.errors import QM7Error


def fold_directory(run: Path, fold: int) -> Path:
    """Return the directory of a fold."""
    return run / f"fold-{fold}"


def refuse_links_out(run: Path, directory: Path) -> None:
    """Raise QM7Error if a directory of a run, or a file in it, is a link that leads out of the run."""
    inside = os.path.realpath(run)
    try:
        files = list(directory.iterdir()) if directory.is_dir() else []
    except OSError as error:
        raise QM7Error(f"cannot read {directory}: {error.strerror or error}") from error
    for path in (directory, *files):
        if path.is_symlink() and path != run and not Path(os.path.realpath(path)).is_relative_to(inside):
            raise QM7Error(f"{path} is a link out of the run, which is not followed; put what it names in its place")


def fold_numbers(run: Path) -> list[int]:
    """Return the numbers of the folds that a run directory has, in order."""
    numbers = (path.name.removeprefix("fold-") for path in run.glob("fold-*") if path.is_dir())
    return sorted(int(number) for number in numbers if number.isdecimal() and number == str(int(number)))


def trained_folds(run: Path) -> list[int]:
    """Return the numbers of the folds whose model a run directory has, in order."""
    return [fold for fold in fold_numbers(run) if (fold_directory(run, fold) / "model.npz").exists()]
