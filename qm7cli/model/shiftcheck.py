"""What a constant added to a layer's inputs does to training with a gradient variant.

Every rule for A and B sees X - A alone. So if A takes the constant as well, training goes as before, to rounding. If A
does not, and B is set to ``B - c sum_i W_i`` so that the function is the same, training takes another way, until A has
followed. By the rule of `original`, with r the layer's rate and b the molecules of a minibatch,

    A <- A + r sum (X - A) = (1 - r b) A + r sum X,

two A that begin a constant apart come closer by 1 - r b an iteration. By the loss gradient they have no reason to.
"""

from typing import Final, NamedTuple

import numpy as np

from qm7cli.model.gradcheck_case import ROUNDING, Case
from qm7cli.model.network import Layer, Network, Units, as_layers, feed_forward
from qm7cli.model.variants import RULES, Array, Variant

SHIFT: Final = 1.0  # where features and activations are about 1
STEPS: Final = 100
RATE: Final = 0.001  # the published code's first
FACTOR: Final = 1e-9  # a forgetting factor counts as right within it
KEPT: Final = 0.1  # A keeps a shift if it forgets less than this part of what `original` does


class Shift(NamedTuple):
    """What becomes of the constant `SHIFT` in `STEPS` iterations on one minibatch at the rate `RATE`.

    Attributes
    ----------
    with_a : float or None
        The inputs of all layers are shifted and A too: the largest difference of an output from that of a training
        without a shift, kcal/mol. None if A stays where it is put and can take no shift.
    without_a : float
        The same if B takes the shift, so that the training begins with the same function.
    factors : list of float, or None
        For each layer, what is left after an iteration of the shift between two A, one that began with the shift and
        one that began without it, mean over the units and (geometric) over the iterations. None if A stays.
    expected : list of float
        For each layer, 1 - r b.
    """

    variant: Variant
    with_a: float | None
    without_a: float
    factors: list[float] | None
    expected: list[float]


def shift_inputs(case: Case, variant: Variant) -> Shift:
    """Train with shifted inputs, with A shifted too and with B making up for it.

    A factor of `Shift` is that of a layer as the first of a network whose features are the layer's inputs: so the
    layers below stand still, and both A see the same inputs.
    """
    layers = case.layers(case.P)
    plain = _trained(layers, variant, case.X, case, 0.0).outputs
    with_a, without_a = (
        _trained(start, variant, case.X + SHIFT, case, SHIFT)
        for start in (list(map(_shift_a, layers)), list(map(_shift_b, layers)))
    )
    stays = all(np.array_equal(A, layer.A) for A, layer in zip(without_a.A, layers, strict=True))

    def difference(trained: _Trained) -> float:
        return float(abs(trained.outputs - plain).max()) * case.unit

    return Shift(
        variant,
        None if stays else difference(with_a),
        difference(without_a),
        None if stays else [_factor(layers[k:], variant, X, case) for k, X in enumerate(case.inputs())],
        [1 - RATE / len(layer.A) ** 0.5 * len(case.X) for layer in layers],
    )


def shift_claims(shift: Shift) -> dict[str, bool]:
    """Return what a shift should do to a variant, and whether it does."""
    claims = {"training goes another way if B takes a shift of the inputs": shift.without_a > ROUNDING}
    if shift.variant == "no-prebias":
        return claims | {"A takes no shift": shift.with_a is None and shift.factors is None}
    claims["training goes the same way if A takes a shift of the inputs"] = (
        shift.with_a is not None and shift.with_a <= ROUNDING
    )
    factors, expected = np.array(shift.factors or np.nan), np.array(shift.expected)
    if shift.variant == "corrected":
        kept = bool((abs(1 - factors) <= KEPT * (1 - expected)).all())
        return claims | {"A keeps a shift that it began with": kept}
    forgotten = bool((abs(factors - expected) <= FACTOR).all())
    return claims | {"A forgets a shift that it began with by the factor 1 - r b an iteration": forgotten}


class _Trained(NamedTuple):
    A: list[Array]  # of each layer
    outputs: Array  # (b,), in standard deviations


def _trained(layers: list[Layer], variant: Variant, X: Array, case: Case, offset: float) -> _Trained:
    """Train copies of `layers` for `STEPS` iterations on the minibatch whose features are X."""
    network = Network.of(layers, RULES[variant], Units(offset=offset))
    for _ in range(STEPS):
        network.step(X, case.targets, RATE, 0.5)
    after = as_layers(network.P, network.sizes)
    return _Trained([layer.A for layer in after], feed_forward(after, X, Units(offset=offset)))


def _factor(layers: list[Layer], variant: Variant, X: Array, case: Case) -> float:
    """Return what an iteration leaves of a shift of the first layer's A, where its inputs are X."""
    near, far = (
        _trained([shifted(layers[0]), *layers[1:]], variant, X + SHIFT, case, 0.0).A[0]
        for shifted in (_shift_a, _shift_b)
    )
    left = float((near - far).mean()) / SHIFT
    return float(max(left, 0.0) ** (1 / STEPS))


def _shift_a(layer: Layer) -> Layer:
    return layer._replace(A=layer.A + SHIFT)


def _shift_b(layer: Layer) -> Layer:
    return layer._replace(B=layer.B - SHIFT * layer.W.sum(axis=0))
