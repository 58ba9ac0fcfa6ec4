"""``checkpoint.npz`` of a fold: all that an exact resume needs."""

from pathlib import Path
from typing import Any, Literal

from qm7cli.core.arrays import About, load_about, load_arrays, save_arrays
from qm7cli.core.errors import QM7Error
from qm7cli.model.variants import Array
from qm7cli.runs.results import HistoryRow


class CheckpointAbout(About):
    """The plain values of a checkpoint: the configuration's identity, and the state of a `FoldTraining`."""

    kind: Literal["checkpoint"] = "checkpoint"
    identity: dict[str, Any]
    iteration: int
    seconds: float
    history: list[HistoryRow]
    s: float


def save_checkpoint(path: Path, about: CheckpointAbout, P: Array, Q: Array, basis: Array) -> None:
    """Write a training's plain values, parameters, their average and the basis that they are in, all float32."""
    save_arrays(path, about, {"P": P, "Q": Q, "basis": basis})


def read_about(path: Path) -> CheckpointAbout:
    """Return the plain values of a checkpoint; raises QM7Error if there is none, or it is damaged."""
    return load_about(path, CheckpointAbout)


def load_checkpoint(path: Path, identity: dict[str, Any]) -> tuple[CheckpointAbout, Array, Array, Array]:
    """Read what `save_checkpoint` has written; raises QM7Error if it is damaged or of other settings."""
    about, arrays = load_arrays(path, CheckpointAbout)
    if about.identity != identity:
        raise QM7Error(f"{path} was written with other settings; remove it to train this fold from the start")
    return about, arrays["P"], arrays["Q"], arrays["basis"]
