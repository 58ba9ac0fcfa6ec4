"""Activations of the hidden units: the paper's ``1.5 tanh(Z / 1.5)``, and others, with their derivatives.

A derivative is taken by Z and computed from the activation's value Y. All are in the type of what they are given.
"""

from collections.abc import Callable
from typing import Final, Literal, NamedTuple

import numpy as np
from scipy.special import expit

from qm7cli.model.variants import Array


def scaled_tanh(Z: Array) -> Array:
    """Return ``1.5 tanh(Z / 1.5)``, in new memory."""
    Y = Z * (1 / 1.5)
    np.tanh(Y, out=Y)
    Y *= 1.5
    return Y


def scaled_tanh_derivative(Y: Array) -> Array:
    """Return ``1 - tanh^2(Z / 1.5)`` from the activation's value `Y`."""
    derivative = np.square(Y)
    derivative *= -1 / 1.5**2
    derivative += 1
    return derivative


def relu(Z: Array) -> Array:
    """Return ``max(Z, 0)``."""
    return np.maximum(Z, 0)


def relu_derivative(Y: Array) -> Array:
    """Return 1 where the activation's value `Y` is above 0, else 0."""
    return (Y > 0).astype(Y.dtype)


def logistic(Z: Array) -> Array:
    """Return ``3 / (1 + exp(-4 Z / 3))``, which is ``1.5 tanh(Z / 1.5) + 1.5``."""
    Y: Array = expit(Z * (4 / 3))
    Y *= 3
    return Y


def logistic_derivative(Y: Array) -> Array:
    """Return ``4/9 Y (3 - Y)``, the derivative by Z, from the activation's value `Y`."""
    derivative = 3 - Y
    derivative *= Y
    derivative *= 4 / 9
    return derivative


class Activation(NamedTuple):
    """An activation, of Z, and its derivative by Z, of the activation's value."""

    value: Callable[[Array], Array]
    derivative: Callable[[Array], Array]


ActivationName = Literal["tanh", "relu", "logistic"]
ACTIVATIONS: Final[dict[ActivationName, Activation]] = {
    "tanh": Activation(scaled_tanh, scaled_tanh_derivative),
    "relu": Activation(relu, relu_derivative),
    "logistic": Activation(logistic, logistic_derivative),
}


class Units(NamedTuple):
    """What the hidden units do to Z: an activation, plus an offset."""

    activation: ActivationName = "tanh"
    offset: float = 0.0


PUBLISHED_UNITS: Final = Units()
