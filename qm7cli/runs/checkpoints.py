"""The checkpoints of finished folds, which only a longer training needs."""

from pathlib import Path
from typing import NamedTuple

from qm7cli.core.errors import QM7Error
from qm7cli.core.files import remove_file
from qm7cli.core.locks import is_held
from qm7cli.runs.access import lock_fold
from qm7cli.runs.directory import fold_directory, fold_numbers, refuse_links_out
from qm7cli.runs.experiment import read_experiment
from qm7cli.runs.results import read_fold


class Checkpoint(NamedTuple):
    """The checkpoint of a fold, and its bytes."""

    run: Path
    fold: int
    size: int

    @property
    def path(self) -> Path:
        """The file."""
        return _path(self.run, self.fold)


def _path(run: Path, fold: int) -> Path:
    return fold_directory(run, fold) / "checkpoint.npz"


def find_checkpoints(run: Path) -> tuple[list[Checkpoint], int]:
    """Return the checkpoints of a run that its finished folds have, and how many others keep theirs.

    A fold is finished that diverged, or is complete, has its model and is as long as the run's settings ask, and which
    no process holds. Raises QM7Error if a file of the run is damaged.
    """
    folds = [fold for fold in fold_numbers(run) if _path(run, fold).exists()]
    finished = [fold for fold in folds if not is_held(fold_directory(run, fold) / ".lock") and _is_finished(run, fold)]
    return [Checkpoint(run, fold, _path(run, fold).stat().st_size) for fold in finished], len(folds) - len(finished)


def _is_finished(run: Path, fold: int) -> bool:
    refuse_links_out(run, fold_directory(run, fold))
    result = read_fold(run, fold)
    if result is None or result.status != "complete":
        return result is not None and result.status == "diverged"
    asked = read_experiment(run / "config.yaml").iterations
    return result.iterations >= asked and (fold_directory(run, fold) / "model.npz").exists()


def remove_checkpoint(checkpoint: Checkpoint) -> None:
    """Remove the checkpoint of a fold, if that is still finished.

    Raises BusyError if a process holds the fold; QM7Error if it is not finished any more, or cannot be removed.
    """
    with lock_fold(checkpoint.run, checkpoint.fold):
        if not _is_finished(checkpoint.run, checkpoint.fold):
            raise QM7Error(
                f"fold {checkpoint.fold} of {checkpoint.run} is not finished any more and keeps its checkpoint"
            )
        remove_file(checkpoint.path)
