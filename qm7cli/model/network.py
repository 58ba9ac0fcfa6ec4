"""The network of Montavon et al. (NIPS 2012) and the running average of its parameters.

Linear layers with a pre-bias, ``Z = (X - A) W + B``, with an activation between them (`qm7cli.model.activations`).
An offset c may be added to it, 0 in the paper. A layer sees its inputs X only as X - A, so training takes c from A.

Two things make a training step fast. ``W <- W - r (X - A)^T dZ`` is one in-place BLAS update: the gradient is never
formed. And all parameters lie in one vector P, whose average, ``avg <- a P + (1 - a) avg`` after every step, is kept
as ``avg = s Q``: the step is then

    s <- (1 - a) s        Q <- Q + (a / s) P,

a single pass over P and Q, again in BLAS. Training is in float32; everything here computes in the type of P.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple, Self

import numpy as np
from scipy.linalg import get_blas_funcs

from qm7cli.model.activations import ACTIVATIONS, PUBLISHED_UNITS, Units
from qm7cli.model.variants import Array, Rule

SMALLEST_S = 1e-6  # below it, s is folded into Q: left alone, s and Q leave float32's range


class Layer(NamedTuple):
    """The parameters of a linear layer: W (m, n), A (m,) and B (n,)."""

    W: Array
    A: Array
    B: Array


def layer_inputs(layers: list[Layer], X: Array, units: Units = PUBLISHED_UNITS) -> Iterator[Array]:
    """Yield what each layer is given, (b, m), beginning with the features `X`, and last the output (b, 1)."""
    activation = ACTIVATIONS[units.activation].value
    for k, (W, A, B) in enumerate(layers, start=1):
        yield X
        Z = (X - A) @ W  # (b, n)
        Z += B
        X = activation(Z) + units.offset if k < len(layers) else Z
    yield X


def feed_forward(layers: list[Layer], X: Array, units: Units = PUBLISHED_UNITS) -> Array:
    """Return the output (b,) of a network for the features `X` (b, m), in the unit of the targets."""
    for Y in layer_inputs(layers, X, units):
        output = Y
    return output[:, 0]


def draw_layers(
    sizes: list[int], weights: np.random.Generator, bias: Sequence[float], biases: np.random.Generator
) -> list[Layer]:
    """Draw the parameters that a training begins with, float32.

    Parameters
    ----------
    sizes : list of int
        Features m, hidden units of each layer, 1.
    weights : Generator
        Gives W, of the normal distribution of standard deviation ``1/sqrt(m)``; the last W is 0.
    bias : sequence of float
        Standard deviation of the B of each hidden layer.
    biases : Generator
        Gives B, of the normal distribution; A and the last B are 0.
    """
    layers = as_layers(np.zeros(count_parameters(sizes), dtype=np.float32), sizes)
    for layer, deviation in zip(layers[:-1], bias, strict=True):
        layer.W[:] = weights.standard_normal(layer.W.shape, dtype=np.float32) / np.float32(len(layer.A) ** 0.5)
        layer.B[:] = np.float32(deviation) * biases.standard_normal(layer.B.shape, dtype=np.float32)
    return layers


def count_parameters(sizes: list[int]) -> int:
    """Return the number of parameters of layers between the `sizes` m, ..., 1."""
    return sum(m * n + m + n for m, n in pairwise(sizes))


def as_vector(layers: list[Layer]) -> Array:
    """Return the parameters of layers in one vector, in new memory."""
    return np.concatenate([parameters.reshape(-1) for layer in layers for parameters in layer])


def as_layers(P: Array, sizes: list[int]) -> list[Layer]:
    """Return views of the vector `P` as the parameters of layers between the `sizes` m, ..., 1."""
    layers, start = [], 0
    for m, n in pairwise(sizes):
        W, A, B = np.split(P[start : start + m * n + m + n], [m * n, m * n + m])
        layers.append(Layer(W.reshape(m, n), A, B))
        start += m * n + m + n
    return layers


class PreBiasLinear:
    """A linear layer in training.

    Its input may have fewer columns than W has rows: the others are then 0 (`qm7cli.model.reduced`) and cost nothing,
    or next to nothing where A is not 0 in them.

    Attributes
    ----------
    W : (m, n)
    A : (m,)
        The pre-bias.
    B : (n,)
    C : (b, m)
        X + offset - A of the last forward pass.
    CW : (b, n)
        C W of the last forward pass.
    backward_scale : float
        Multiplies the signal for the layer below: ``sqrt(m / n)``, where 1 would make it the loss gradient.
    rate_divisor : float
        Divides the learning rate: ``sqrt(m)``.
    offset : float
        Constant that the layer's inputs have beside the X that it is given.
    """

    def __init__(self, parameters: Layer, m: int, offset: float = 0.0) -> None:
        self.W, self.A, self.B = parameters
        self.offset = offset
        self.C = self.CW = np.empty((0, 0), dtype=self.W.dtype)
        n = self.W.shape[1]
        self.backward_scale, self.rate_divisor = (m / n) ** 0.5, m**0.5
        self._gemm, self._ger = get_blas_funcs(("gemm", "ger"), dtype=self.W.dtype)

    def forward(self, X: Array) -> Array:
        """Return Z (b, n) for the input X (b, m)."""
        k = X.shape[1]
        self.C = X - (self.A[:k] - self.offset)  # (b, k)
        self.CW = self.C @ self.W[:k]  # (b, n)
        if self.A[k:].any():
            self.CW -= self.A[k:] @ self.W[k:]
        return self.CW + self.B

    def backward(self, dZ: Array) -> Array:
        """Return the signal (b, m) for the layer below, rescaled: ``sqrt(m / n) dZ W^T``."""
        dX = dZ @ self.W.T
        dX *= self.backward_scale
        return dX

    def step(self, dZ: Array, rule: Rule, rate: float) -> None:
        """Move the parameters by the signal dZ (b, n) at the rate ``rate / sqrt(m)``."""
        dA, dB = rule(self.C, self.CW, dZ, self.W)
        r = rate / self.rate_divisor
        k = self.C.shape[1]
        # W -= r C^T dZ in place; BLAS knows columns first, so it is given the transposes of all three.
        self._gemm(-r, dZ.T, self.C.T, beta=1.0, c=self.W[:k].T, trans_b=1, overwrite_c=1)
        if self.A[k:].any():  # there, C is -A for all molecules
            self._ger(r, dZ.sum(axis=0), self.A[k:], a=self.W[k:].T, overwrite_a=1)
        self.A[: len(dA)] -= r * dA
        self.B -= r * dB


class Network:
    """A pre-bias network in training.

    Parameters
    ----------
    sizes : list of int
        Rows of the first W, hidden units of each layer, 1.
    rule : Rule
        Update rule of A and B (`qm7cli.model.variants`).
    P, Q : (parameters,)
        All parameters, layer by layer, and the scaled average.
    s : float
        The average is s Q.
    features : int, optional
        The first layer's m, where its W has other rows (`qm7cli.model.reduced`). Default: as many.
    units : Units, optional
        The hidden units. Default: the paper's.
    """

    def __init__(
        self,
        sizes: list[int],
        rule: Rule,
        P: Array,
        Q: Array,
        s: float,
        *,
        features: int | None = None,
        units: Units = PUBLISHED_UNITS,
    ) -> None:
        self.sizes, self.rule, self.activation = sizes, rule, ACTIVATIONS[units.activation]
        self.P, self.Q, self.s = P, Q, s
        widths = [features or sizes[0], *sizes[1:-1]]
        offsets = [0.0, *(units.offset for _ in sizes[1:-1])]  # the first layer's inputs are the features
        self.layers = [
            PreBiasLinear(layer, m, c) for layer, m, c in zip(as_layers(P, sizes), widths, offsets, strict=True)
        ]
        self._axpy = get_blas_funcs("axpy", dtype=P.dtype)

    @classmethod
    def of(cls, layers: list[Layer], rule: Rule, units: Units = PUBLISHED_UNITS) -> Self:
        """Return a network that begins with copies of the parameters `layers`."""
        P = as_vector(layers)
        return cls([len(layer.A) for layer in layers] + [1], rule, P, P.copy(), 1.0, units=units)

    def step(self, X: Array, targets: Array, rate: float, a: float) -> Array:
        """Train on one minibatch.

        Parameters
        ----------
        X : (b, m)
            Features.
        targets : (b,)
            What is left to learn of the energies, in standard deviations (`qm7cli.model.target`).
        rate : float
            Learning rate before each layer's ``1/sqrt(m)``; gradients are summed over the minibatch.
        a : float
            Weight of the new parameters in the average.

        Returns
        -------
        (b,), the errors before the step, in standard deviations
        """
        inputs = [X]
        for layer in self.layers[:-1]:
            inputs.append(self.activation.value(layer.forward(inputs[-1])))  # (b, n)
        errors: Array = self.layers[-1].forward(inputs[-1])[:, 0] - targets  # (b,)
        dZ = errors[:, None]  # (b, 1)
        for index in reversed(range(len(self.layers))):
            layer, signal = self.layers[index], dZ
            if index:  # before the step, with the W that the forward pass has used
                dZ = layer.backward(signal)
                dZ *= self.activation.derivative(inputs[index])
            layer.step(signal, self.rule, rate)
        self._average(a)
        return errors

    def _average(self, a: float) -> None:
        self.s *= 1 - a
        self._axpy(self.P, self.Q, a=a / self.s)  # in place
        if self.s < SMALLEST_S:  # s depends on the iteration alone, so this happens at fixed iterations
            self.Q *= self.s
            self.s = 1.0

    def averaged(self) -> list[Layer]:
        """Return the averaged parameters, in new memory: the model."""
        return as_layers(self.s * self.Q, self.sizes)
