"""What lies where in a run's directory."""

from pathlib import Path


def fold_directory(run: Path, fold: int) -> Path:
    """Return the directory of a fold."""
    return run / f"fold-{fold}"


def fold_numbers(run: Path) -> list[int]:
    """Return the numbers of the folds that a run directory has, in order."""
    numbers = (path.name.removeprefix("fold-") for path in run.glob("fold-*") if path.is_dir())
    return sorted(int(number) for number in numbers if number.isdecimal() and number == str(int(number)))


def trained_folds(run: Path) -> list[int]:
    """Return the numbers of the folds whose model a run directory has, in order."""
    return [fold for fold in fold_numbers(run) if (fold_directory(run, fold) / "model.npz").exists()]
