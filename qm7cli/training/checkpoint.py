"""``checkpoint.npz`` of a fold: all that an exact resume needs."""

from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

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
    """The plain values of a checkpoint: what it must agree in, and the state of a `FoldTraining`."""

    kind: Literal["checkpoint"] = "checkpoint"
    identity: dict[str, Any]
    iteration: Count
    seconds: Measure
    history: list[HistoryRow]
    s: Annotated[float, Field(gt=0, le=1)]


class Checkpoint(NamedTuple):
    """The state of a training: plain values, the parameters, their average and the basis that they are in.

    All are float32. Older versions wrote the parameters of all features and no basis (`qm7cli.model.reduced`).
    """

    about: CheckpointAbout
    P: Array
    Q: Array
    basis: Array | None


def save_checkpoint(path: Path, about: CheckpointAbout, P: Array, Q: Array, basis: Array) -> None:
    """Write the state of a training, a `Checkpoint`; raises QM7Error if it cannot."""
    save_arrays(path, about, {"P": P, "Q": Q, "basis": basis})


def load_checkpoint(path: Path, identity: dict[str, Any], sizes: list[int], turned: int) -> Checkpoint:
    """Read what `save_checkpoint` has written for a configuration, layers between `sizes` and a basis of `turned` rows.

    Raises
    ------
    QM7Error
        If there is none, or it is damaged, of another format or of another configuration.
    """
    about, arrays = load_arrays(path, CheckpointAbout)
    if differing_keys(about.identity, identity):
        raise QM7Error(f"{path} belongs to another configuration; remove it to train this fold from the start")
    basis = checked_array(path, arrays, "basis", np.float32, turned, None) if "basis" in arrays else None
    rows = sizes[0] if basis is None else sizes[0] - turned + basis.shape[1]
    parameters = count_parameters([rows, *sizes[1:]])
    P = checked_array(path, arrays, "P", np.float32, parameters)
    Q = checked_array(path, arrays, "Q", np.float32, parameters, largest=LARGEST / SMALLEST_S)
    return Checkpoint(about, P, Q, basis)
