"""The gradient variants against the loss gradient by finite differences, and what moving A does to the function.

A small network in float64, of real molecules and of the classes that train, takes one step. How far a parameter has
gone, divided by its rate, is the direction that a variant takes for a gradient. It is compared with

    dE/dp = (E(p + h) - E(p - h)) / 2h,        E = 1/2 sum_b (y - t)^2,

with the backward rescaling ``sqrt(m / n)`` on and off. Then the outputs before and after are compared. Every rule is
measured; held to something are those of `GRADIENTS`.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from qm7cli.core.seeds import Purpose, stream
from qm7cli.data.dataset import Dataset
from qm7cli.model.encoder import NOISE, Encoder
from qm7cli.model.network import Layer, Network, as_layers, count_parameters, feed_forward, layer_inputs
from qm7cli.model.target import Target
from qm7cli.model.variants import RULES, Array, Variant

HIDDEN: Final = [12, 5]
COARSE_STEP: Final = 25.0  # of the tanh expansion, hartree: some hundred features, where training has thousands
MOLECULES: Final = 500  # that the features are fitted to
MINIBATCH: Final = 25
DIFFERENCE: Final = 1e-4  # in the finite differences, where parameters, features and outputs are about 1
RATE: Final = 0.01  # of the steps whose changes of the outputs are reported, the published code's last
RATES: Final = (3e-4, 1e-4, 3e-5, 1e-5, 3e-6, 1e-6)  # over which the exponent is fitted
DEGREES: Final = 0.01  # a smaller angle counts as 0
RELATIVE: Final = 1e-4  # a ratio of lengths counts as right within it
ROUNDING: Final = 1e-9  # kcal/mol; a smaller change of the outputs counts as none
PLAIN: Final[Variant] = "no-prebias"  # W and B alone
COMPENSATED: Final = "dB - dA W"  # what is left of the step of B without the part that compensates for the step of A
GRADIENTS: Final[dict[str, tuple[str, ...]]] = {  # by rule: which of its directions are the loss gradient's
    "original": ("dW", COMPENSATED),
    "corrected": ("dW", "dA", "dB"),
    "no-prebias": ("dW", "dB"),
    "uncompensated": ("dW", "dB"),
}


class Direction(NamedTuple):
    """The direction of a variant for a parameter of a layer, from 1, against the loss gradient."""

    variant: Variant
    parameter: str
    layer: int
    rescaled: bool
    angle: float  # degrees
    ratio: float  # of the lengths
    expected: float | None  # ratio at an angle of 0; None where the direction need not be a gradient


class Motion(NamedTuple):
    """How A moves, and the outputs with it; changes are the largest of any output, kcal/mol, at the rate `RATE`."""

    variant: Variant
    to_mean: float | None  # angle between the step of all A together and the way to the mean inputs; None if A stays
    without_error: float | None  # length of that step if all outputs were right, as a multiple of what it is
    alone: float  # change of the outputs if A steps alone
    compensated: float  # the same if B takes the part of its step that is not the loss gradient's
    exponent: float | None  # of the rate, in how the outputs differ after the whole step and after one of W and B alone


class GradCheck(NamedTuple):
    """The findings for a network of `sizes`; `failures` are sentences, one for each expectation that does not hold."""

    sizes: list[int]
    directions: list[Direction]
    motions: list[Motion]
    failures: list[str]


def check_gradients(dataset: Dataset, variants: Sequence[Variant] = tuple(RULES), seed: int = 0) -> GradCheck:
    """Compare variants with the loss gradient, on 25 molecules of a data set that `seed` draws.

    Raises QM7Error if the molecules are all the same.
    """
    with threadpool_limits(1):
        case = Case(dataset, seed)
        gradient = case.gradient()
        directions = [each for variant in variants for each in _directions(case, variant, gradient)]
        motions = [_motion(case, variant) for variant in variants]
    wrong = [f"{own.variant}: it is not so that {claim}" for own in motions for claim in _wrong_claims(own)]
    return GradCheck(case.sizes, directions, motions, [*_wrong_directions(directions), *wrong])


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

    def to_mean(self) -> Array:
        """Return the mean input minus A, all layers in one vector."""
        layers = self.layers(self.P)
        pairs = zip(layer_inputs(layers, self.X), layers, strict=False)  # the last input is the output
        return np.concatenate([X.mean(axis=0) - layer.A for X, layer in pairs])


def _directions(case: Case, variant: Variant, gradient: list[Layer]) -> Iterator[Direction]:
    gradients = GRADIENTS.get(variant, ())
    for rescaled in (False, True):
        layers = case.direction(variant, rescaled=rescaled)
        for k, (own, true, point) in enumerate(zip(layers, gradient, case.layers(case.P), strict=True)):
            above = math.prod((m / n) ** 0.5 for m, n in zip(case.sizes[k + 1 :], case.sizes[k + 2 :], strict=False))
            found = {"dW": (own.W, true.W), "dA": (own.A, true.A), "dB": (own.B, true.B)}
            if COMPENSATED in gradients:
                found[COMPENSATED] = own.B - own.A @ point.W, true.B
            for parameter, (ours, theirs) in found.items():
                expected = (above if rescaled else 1.0) if parameter in gradients else None
                if expected or ours.any():
                    ratio = float(np.linalg.norm(ours) / np.linalg.norm(theirs))
                    yield Direction(variant, parameter, k + 1, rescaled, _angle(ours, theirs), ratio, expected)


def _angle(one: Array, other: Array) -> float:
    """Return the angle between two directions in degrees, accurate where it is small."""
    with np.errstate(invalid="ignore"):  # nan where one is 0
        u, v = (vector / np.linalg.norm(vector) for vector in (one, other))
    return math.degrees(2 * math.atan2(np.linalg.norm(u - v), np.linalg.norm(u + v)))


def _motion(case: Case, variant: Variant) -> Motion:
    whole, plain = case.stepped(variant, RATE), case.stepped(PLAIN, RATE)
    alone, compensated = case.P.copy(), case.P.copy()
    for own, other, after, without in zip(*map(case.layers, (alone, compensated, whole, plain)), strict=True):
        own.A[:] = other.A[:] = after.A
        other.B[:] += after.B - without.B
    changes = case.change(alone), case.change(compensated)
    dA, dA_right = (np.concatenate([d.A for d in case.direction(variant, right=right)]) for right in (False, True))
    if not dA.any():
        return Motion(variant, None, None, *changes, None)
    ratio = float(np.linalg.norm(dA_right) / np.linalg.norm(dA))
    return Motion(variant, _angle(-dA, case.to_mean()), ratio, *changes, _exponent(case, variant))


def _exponent(case: Case, variant: Variant) -> float | None:
    pairs = [[case.outputs(case.stepped(name, rate)) for name in (variant, PLAIN)] for rate in RATES]
    changes = [float(np.linalg.norm(outputs - plain)) for outputs, plain in pairs]
    return float(np.polyfit(np.log(RATES), np.log(changes), 1)[0]) if all(changes) else None


def _wrong_directions(directions: Sequence[Direction]) -> Iterator[str]:
    for each in directions:
        if each.expected and not (each.angle <= DEGREES and _near(each.ratio / each.expected, 1, RELATIVE)):
            yield (
                f"{each.parameter} of {each.variant}, layer {each.layer}, rescaling "
                f"{'on' if each.rescaled else 'off'}, is {each.angle:.3g} degrees from the loss gradient and "
                f"{each.ratio:.5g} times as long, not 0 degrees and {each.expected:.5g} times"
            )


def _wrong_claims(motion: Motion) -> list[str]:
    """Return what a variant should do and does not."""
    stays = motion.alone <= ROUNDING
    follows = {
        "A steps straight to the mean input": _near(motion.to_mean, 0, DEGREES),
        "A steps as far without an error": _near(motion.without_error, 1, RELATIVE),
    }
    moves = {
        "the outputs move with A": not stays and motion.compensated == motion.alone,
        "the step of A is of first order": _near(motion.exponent, 1, 0.05),
    }
    claims = {
        "original": follows
        | {
            "the outputs move if A steps alone": not stays,
            "the outputs stay if B compensates for A": motion.compensated <= ROUNDING,
            "what is left over of the step of A is of second order": _near(motion.exponent, 2, 0.05),
        },
        "corrected": {"A stays without an error": _near(motion.without_error, 0, RELATIVE)} | moves,
        "no-prebias": {"A stays": motion.to_mean is None and stays and motion.compensated <= ROUNDING},
        "uncompensated": follows | moves,
    }
    return [claim for claim, holds in claims.get(motion.variant, {}).items() if not holds]


def _near(value: float | None, expected: float, tolerance: float) -> bool:
    return value is not None and abs(value - expected) <= tolerance
