"""The small network that the gradient variants are checked with, and what a constant added to its inputs does.

Every rule for A and B sees X - A alone. So if A takes the constant as well, training goes as before, to rounding. If A
does not, and B is set to ``B - c sum_i W_i`` so that the function is the same, training takes another way, until A has
followed. By the rule of `original`, with r the layer's rate and b the molecules of a minibatch,

    A <- A + r sum (X - A) = (1 - r b) A + r sum X,

two A that begin a constant apart come closer by 1 - r b an iteration. By the loss gradient they have no reason to.
"""

from typing import Final, NamedTuple

import numpy as np

from qm7cli.core.seeds import Purpose, stream
from qm7cli.data.dataset import Dataset
from qm7cli.model.encoder import NOISE, Encoder
from qm7cli.model.network import Layer, Network, Units, as_layers, count_parameters, feed_forward, layer_inputs
from qm7cli.model.target import Target
from qm7cli.model.variants import RULES, Array, Variant

HIDDEN: Final = [12, 5]
COARSE_STEP: Final = 25.0  # of the tanh expansion, hartree: some hundred features, where training has thousands
MOLECULES: Final = 500  # that the features are fitted to
MINIBATCH: Final = 25
DIFFERENCE: Final = 1e-4  # in the finite differences, where parameters, features and outputs are about 1
ROUNDING: Final = 1e-9  # kcal/mol; a smaller change of the outputs counts as none
SHIFT: Final = 1.0  # where features and activations are about 1
STEPS: Final = 100
RATE: Final = 0.001  # the published code's first
FACTOR: Final = 1e-9  # a forgetting factor counts as right within it
KEPT: Final = 0.1  # A keeps a shift if it forgets less than this part of what `original` does


class Case:
    """A small network at a point P where no parameter is 0, and a minibatch."""

    def __init__(self, dataset: Dataset, seed: int) -> None:
        rng = stream(seed, 0, Purpose.MINIBATCHES)
        molecules = rng.permutation(len(dataset))[:MOLECULES]
        encoder = Encoder.fit(dataset, molecules, NOISE, COARSE_STEP, stream(seed, 0, Purpose.ENCODER))
        minibatch = rng.choice(molecules, MINIBATCH)
        features = encoder.draw(dataset, minibatch, stream(seed, 0, Purpose.PERMUTATIONS))
        self.X = features.astype(np.float64)
        target = Target.fit("mean", dataset.Z[molecules], dataset.T[molecules])
        self.unit = target.std  # kcal/mol
        self.targets = target.left(dataset.T[minibatch], dataset.Z[minibatch]) / self.unit
        self.sizes = [len(encoder.mean), *HIDDEN, 1]
        self.P = stream(seed, 0, Purpose.WEIGHTS).standard_normal(count_parameters(self.sizes))
        for layer in self.layers(self.P):
            layer.W[:] /= len(layer.A) ** 0.5
            layer.A[:] *= 0.3
            layer.B[:] *= 0.3

    def layers(self, P: Array) -> list[Layer]:
        """Return views of parameters, layer by layer."""
        return as_layers(P, self.sizes)

    def outputs(self, P: Array) -> Array:
        """Return the outputs (b,) of the network with the parameters P, in standard deviations of the energies."""
        return feed_forward(self.layers(P), self.X)

    def change(self, P: Array) -> float:
        """Return the largest difference between the outputs of P and of the point itself, kcal/mol."""
        return float(abs(self.outputs(P) - self.outputs(self.P)).max()) * self.unit

    def stepped(self, variant: Variant, rate: float, *, rescaled: bool = True, right: bool = False) -> Array:
        """Return the parameters after a step; if `right`, as though all outputs were the targets."""
        network = Network(self.sizes, RULES[variant], self.P.copy(), self.P.copy(), 1.0)
        for layer in network.layers:
            layer.backward_scale = layer.backward_scale if rescaled else 1.0
        network.step(self.X, self.outputs(self.P) if right else self.targets, rate, 0.5)
        return network.P

    def direction(self, variant: Variant, *, rescaled: bool = True, right: bool = False) -> list[Layer]:
        """Return (dW, dA, dB) of each layer."""
        taken = self.layers(self.P - self.stepped(variant, 1.0, rescaled=rescaled, right=right))
        return [Layer(*(len(layer.A) ** 0.5 * d for d in layer)) for layer in taken]  # a rate is 1/sqrt(m) there

    def gradient(self) -> list[Layer]:
        """Return the loss gradient (dW, dA, dB) of each layer by central differences."""
        h = DIFFERENCE

        def loss(k: int, change: float) -> float:
            P = self.P.copy()
            P[k] += change
            return float(np.square(self.outputs(P) - self.targets).sum()) / 2

        return self.layers(np.array([(loss(k, h) - loss(k, -h)) / (2 * h) for k in range(len(self.P))]))

    def inputs(self) -> list[Array]:
        """Return the inputs (b, m) of each layer."""
        return list(layer_inputs(self.layers(self.P), self.X))[:-1]

    def to_mean(self) -> Array:
        """Return the mean input minus A, all layers in one vector."""
        pairs = zip(self.inputs(), self.layers(self.P), strict=True)
        return np.concatenate([X.mean(axis=0) - layer.A for X, layer in pairs])


class Shift(NamedTuple):
    """What becomes of the constant `SHIFT` in `STEPS` iterations on one minibatch at the rate `RATE`.

    The inputs of all layers are shifted. Differences are the largest of any output, kcal/mol. A factor is what an
    iteration leaves of the shift between two A of a layer, one that began with the shift and one without it: mean over
    the units, geometric over the iterations.
    """

    variant: Variant
    with_a: float | None  # difference from a training without a shift, if A is shifted too; None if A always stays
    without_a: float  # the same if B takes the shift, so that the training begins with the same function
    factors: list[float] | None  # of each layer; None if A stays
    expected: list[float]  # of each layer, 1 - r b


def shift_inputs(case: Case, variant: Variant) -> Shift:
    """Train with shifted inputs, with A shifted too and with B compensating for it.

    A factor of `Shift` is that of a layer as the first of a network whose features are the layer's inputs: so the
    layers below stand still, and both A see the same inputs.
    """
    layers = case.layers(case.P)
    _, plain = _train(layers, variant, case.X, case)
    (_, with_a), (A, without_a) = (
        _train([_shifted(layer, into) for layer in layers], variant, case.X + SHIFT, case, SHIFT) for into in "AB"
    )
    stays = all(np.array_equal(after, layer.A) for after, layer in zip(A, layers, strict=True))
    differences = [float(abs(outputs - plain).max()) * case.unit for outputs in (with_a, without_a)]
    return Shift(
        variant,
        None if stays else differences[0],
        differences[1],
        None if stays else [_factor(layers[k:], variant, X, case) for k, X in enumerate(case.inputs())],
        [1 - RATE / len(layer.A) ** 0.5 * len(case.X) for layer in layers],
    )


def shift_claims(shift: Shift) -> dict[str, bool]:
    """Return what a shift should do to a variant, and whether it does; nothing is expected of other rules."""
    factors, expected = np.array(shift.factors or np.nan), np.array(shift.expected)
    same = {
        "training goes another way if B takes a shift of the inputs": shift.without_a > ROUNDING,
        "training goes the same way if A takes a shift of the inputs": (shift.with_a or 0.0) <= ROUNDING,
    }
    match shift.variant:
        case "no-prebias":
            return same | {"A takes no shift": shift.with_a is None and shift.factors is None}
        case "corrected":
            kept = bool((abs(1 - factors) <= KEPT * (1 - expected)).all())
            return same | {"A keeps a shift that it began with": kept}
        case "original" | "uncompensated":
            left = bool((abs(factors - expected) <= FACTOR).all())
            return same | {"A forgets a shift that it began with by the factor 1 - r b per iteration": left}
        case _:
            return {}


def _train(
    layers: list[Layer], variant: Variant, X: Array, case: Case, offset: float = 0.0
) -> tuple[list[Array], Array]:
    """Train copies of `layers` on the minibatch whose features are X; return each A, and the outputs (b,)."""
    network = Network.of(layers, RULES[variant], Units(offset=offset))
    for _ in range(STEPS):
        network.step(X, case.targets, RATE, 0.5)
    after = as_layers(network.P, network.sizes)
    return [layer.A for layer in after], feed_forward(after, X, Units(offset=offset))


def _factor(layers: list[Layer], variant: Variant, X: Array, case: Case) -> float:
    """Return what an iteration leaves of a shift of the first layer's A, where its inputs are X."""
    near, far = (_train([_shifted(layers[0], into), *layers[1:]], variant, X + SHIFT, case)[0][0] for into in "AB")
    return float(max(float((near - far).mean()) / SHIFT, 0.0) ** (1 / STEPS))


def _shifted(layer: Layer, into: str) -> Layer:
    """Return a layer of the same function where its inputs are shifted, by a shift of A or of B."""
    if into == "A":
        return layer._replace(A=layer.A + SHIFT)
    return layer._replace(B=layer.B - SHIFT * layer.W.sum(axis=0))
