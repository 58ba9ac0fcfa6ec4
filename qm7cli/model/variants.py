"""The question, on one page: the update rules of the pre-bias A and the bias B.

A layer computes ``Z = (X - A) W + B`` with X (b, m), W (m, n), A (m,), B (n,), Z (b, n). Given the signal
dZ = dE/dZ, the loss gradient is, all sums over the b molecules of the minibatch,

    dW = (X - A)^T dZ        dA = -(sum dZ) W^T        dB = sum dZ.

All variants descend along this dW. They differ in ``(dA, dB)`` alone. The last, `uncompensated`, is a control: nobody
has proposed it, and it shows what the term ``dA W`` of `original` does. Each rule below is given what the layer has at
hand: C = X - A (b, m), CW = (X - A) W (b, n), dZ (b, n) and W (m, n), all from before the step.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]  # float32 in training
Rule = Callable[[Array, Array, Array, Array], tuple[Array, Array]]
Variant = str  # a name in `RULES`


def original(C: Array, CW: Array, dZ: Array, W: Array) -> tuple[Array, Array]:
    """As published: A follows the mean input, and B makes up for it (``dA W = -sum CW`` costs no product)."""
    del W
    return -C.sum(axis=0), dZ.sum(axis=0) - CW.sum(axis=0)


def corrected(C: Array, CW: Array, dZ: Array, W: Array) -> tuple[Array, Array]:
    """Follow the true derivatives of the loss."""
    del C, CW
    sum_dZ = dZ.sum(axis=0)
    return -(W @ sum_dZ), sum_dZ


def no_prebias(C: Array, CW: Array, dZ: Array, W: Array) -> tuple[Array, Array]:
    """Leave A at 0: an ordinary linear layer."""
    del CW, W
    return np.zeros(C.shape[1], dtype=C.dtype), dZ.sum(axis=0)


def uncompensated(C: Array, CW: Array, dZ: Array, W: Array) -> tuple[Array, Array]:
    """Control: A follows the mean input as in `original`, but B does not make up for it."""
    del CW, W
    return -C.sum(axis=0), dZ.sum(axis=0)


RULES: Final[dict[Variant, Rule]] = {
    "original": original,
    "corrected": corrected,
    "no-prebias": no_prebias,
    "uncompensated": uncompensated,
}
CONTROLS: Final[frozenset[Variant]] = frozenset({"uncompensated"})


def display_name(variant: str) -> str:
    """Return a variant's name as tables and pictures have it: of a control ``uncompensated (control)``."""
    return f"{variant} (control)" if variant in CONTROLS else variant
