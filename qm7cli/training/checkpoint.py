"""``checkpoint.npz`` of a fold: all that an exact resume needs."""

from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from qm7cli.core.arrays import About, checked_array, load_arrays, save_arrays
from qm7cli.core.errors import QM7Error
from qm7cli.core.validation import LARGEST, Count, Measure
from qm7cli.model.network import SMALLEST_S, count_parameters
from qm7cli.model.variants import Array
from qm7cli.runs.experiment import differing_keys
from qm7cli.runs.history import HistoryRow


class CheckpointAbout(About):
    """The plain values of a checkpoint: the configuration's identity, and the state of a `FoldTraining`."""

    kind: Literal["checkpoint"] = "checkpoint"
    identity: dict[str, Any]
    iteration: Count
    seconds: Measure
    history: list[HistoryRow]
    s: Annotated[float, Field(gt=0, le=1)]


def save_checkpoint(path: Path, about: CheckpointAbout, P: Array, Q: Array, basis: Array) -> None:
    """Write a training's plain values, parameters, their average and the basis that they are in, all float32."""
    save_arrays(path, about, {"P": P, "Q": Q, "basis": basis})


def read_about(path: Path) -> CheckpointAbout:
    """Return the plain values of a checkpoint; raises QM7Error if there is none, or it is damaged."""
    return load_arrays(path, CheckpointAbout)[0]


def load_checkpoint(
    path: Path, identity: dict[str, Any], sizes: list[int], turned: int
) -> tuple[CheckpointAbout, Array, Array, Array | None]:
    """Read what `save_checkpoint` has written, for layers between `sizes` and a basis of `turned` rows.

    The basis is None in a file of an older version, which has the parameters of all features (`qm7cli.model.reduced`).

    Raises
    ------
    QM7Error
        If there is no such file, or it is damaged, of another format or of other settings.
    """
    about, arrays = load_arrays(path, CheckpointAbout)
    if differing_keys(about.identity, identity):
        raise QM7Error(f"{path} was written with other settings; remove it to train this fold from the start")
    basis = checked_array(path, arrays, "basis", np.float32, turned, None) if "basis" in arrays else None
    rows = sizes[0] if basis is None else sizes[0] - turned + basis.shape[1]
    parameters = count_parameters([rows, *sizes[1:]])
    P = checked_array(path, arrays, "P", np.float32, parameters)
    Q = checked_array(path, arrays, "Q", np.float32, parameters, largest=LARGEST / SMALLEST_S)
    return about, P, Q, basis
