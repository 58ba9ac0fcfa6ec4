"""The gradient variants against the loss gradient by finite differences, and what moving A does to the function.

A small network in float64, of real molecules and of the classes that train, takes one step. How far a parameter has
gone, divided by its rate, is the direction that a variant takes for a gradient. It is compared with

    dE/dp = (E(p + h) - E(p - h)) / 2h,        E = 1/2 sum_b (y - t)^2,

with the backward rescaling ``sqrt(m / n)`` on and off. Then the outputs before and after are compared. Last, it trains
with shifted inputs (`qm7cli.model.shiftcheck`).
"""

import math
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from qm7cli.data.dataset import Dataset
from qm7cli.model.gradcheck_case import ROUNDING, Case
from qm7cli.model.network import Layer
from qm7cli.model.shiftcheck import Shift, shift_claims, shift_inputs
from qm7cli.model.variants import RULES, Array, Variant

RATE: Final = 0.01  # of the steps whose changes of the outputs are reported, the published code's last
RATES: Final = (3e-4, 1e-4, 3e-5, 1e-5, 3e-6, 1e-6)  # over which the exponent is fitted
DEGREES: Final = 0.01  # a smaller angle counts as 0
RELATIVE: Final = 1e-4  # a ratio of lengths counts as right within it
PLAIN: Final[Variant] = "no-prebias"  # W and B alone


class Direction(NamedTuple):
    """The direction of a variant for a parameter, against the loss gradient.

    `parameter` is ``dW``, ``dA``, ``dB`` or, where B also makes up for the step of A, ``dB - dA W``; `layer` counts
    from 1. `angle` is in degrees, `ratio` that of the lengths. `expected` is the ratio at an angle of 0, or None
    where the direction is not a gradient.
    """

    variant: Variant
    parameter: str
    layer: int
    rescaled: bool
    angle: float
    ratio: float
    expected: float | None


class Motion(NamedTuple):
    """How A moves, and the outputs with it; changes are the largest of any output, kcal/mol, at the rate `RATE`.

    Attributes
    ----------
    to_mean : float or None
        Angle between the step of all A together and the way to the mean inputs, degrees; None if A stays.
    without_error : float or None
        Length of that step if all outputs were right, as a multiple of what it is.
    alone : float
        Change of the outputs if A steps alone.
    compensated : float
        The same if B takes the part of its step that is not the loss gradient's.
    exponent : float or None
        Of the rate, in the difference of the outputs after the whole step and after one of W and B alone.
    """

    variant: Variant
    to_mean: float | None
    without_error: float | None
    alone: float
    compensated: float
    exponent: float | None


class GradCheck(NamedTuple):
    """The findings for a network of `sizes`; `failures` are sentences, one for each expectation that does not hold."""

    sizes: list[int]
    directions: list[Direction]
    motions: list[Motion]
    shifts: list[Shift]
    failures: list[str]


def check_gradients(
    dataset: Dataset, variants: Sequence[Variant] = tuple(RULES), seed: int = 0, h: float = 1e-4
) -> GradCheck:
    """Compare variants with the loss gradient, and look at what moving A and shifting inputs does to the function.

    Parameters
    ----------
    dataset : Dataset
        Its molecules; 25 of them are the minibatch.
    variants : sequence of str
        Variants to compare; default all, the control last.
    seed : int
        Seed of the molecules, their random-sorted matrices and the network's parameters; default 0.
    h : float
        Step of the finite differences, where parameters, features and outputs are about 1; default 1e-4.

    Raises
    ------
    QM7Error
        If the molecules are all the same.
    """
    with threadpool_limits(1):
        case = Case(dataset, seed)
        gradient = case.gradient(h)
        directions = [each for variant in variants for each in _directions(case, variant, gradient)]
        motions = [_motion(case, variant) for variant in variants]
        shifts = [shift_inputs(case, variant) for variant in variants]
    failures = [*_wrong_directions(directions)]
    for motion, shift in zip(motions, shifts, strict=True):
        claims = _claims(motion) | shift_claims(shift)
        failures += [f"{motion.variant}: it is not so that {claim}" for claim, holds in claims.items() if not holds]
    return GradCheck(case.sizes, directions, motions, shifts, failures)


def _directions(case: Case, variant: Variant, gradient: list[Layer]) -> Iterator[Direction]:
    for rescaled in (False, True):
        layers = case.direction(variant, rescaled=rescaled)
        for k, (own, true, point) in enumerate(zip(layers, gradient, case.layers(case.P), strict=True)):
            above = math.prod((m / n) ** 0.5 for m, n in zip(case.sizes[k + 1 :], case.sizes[k + 2 :], strict=False))
            expected = above if rescaled else 1.0
            found = {"dW": (own.W, true.W, expected)}
            if variant != "no-prebias":
                found["dA"] = own.A, true.A, expected if variant == "corrected" else None
            found["dB"] = own.B, true.B, None if variant == "original" else expected
            if variant == "original":
                found["dB - dA W"] = own.B - own.A @ point.W, true.B, expected
            for parameter, (ours, theirs, ratio) in found.items():
                lengths = float(np.linalg.norm(ours) / np.linalg.norm(theirs))
                yield Direction(variant, parameter, k + 1, rescaled, _angle(ours, theirs), lengths, ratio)


def _angle(one: Array, other: Array) -> float:
    """Return the angle between two directions in degrees, accurate where it is small."""
    u, v = (vector / np.linalg.norm(vector) for vector in (one, other))
    return math.degrees(2 * math.atan2(np.linalg.norm(u - v), np.linalg.norm(u + v)))


def _motion(case: Case, variant: Variant) -> Motion:
    dA, dA_right = (
        np.concatenate([layer.A for layer in case.direction(variant, right=right)]) for right in (False, True)
    )
    whole, plain = case.stepped(variant, RATE), case.stepped(PLAIN, RATE)
    alone, compensated = case.P.copy(), case.P.copy()
    for P in (alone, compensated):
        for layer, after in zip(case.layers(P), case.layers(whole), strict=True):
            layer.A[:] = after.A
    for layer, after, without in zip(*map(case.layers, (compensated, whole, plain)), strict=True):
        layer.B[:] += after.B - without.B
    moves = bool(dA.any())
    return Motion(
        variant,
        _angle(-dA, case.to_mean()) if moves else None,
        float(np.linalg.norm(dA_right) / np.linalg.norm(dA)) if moves else None,
        case.change(alone),
        case.change(compensated),
        _exponent(case, variant) if moves else None,
    )


def _exponent(case: Case, variant: Variant) -> float:
    changes = [
        np.linalg.norm(case.outputs(case.stepped(variant, rate)) - case.outputs(case.stepped(PLAIN, rate)))
        for rate in RATES
    ]
    return float(np.polyfit(np.log(RATES), np.log(changes), 1)[0])


def _wrong_directions(directions: Sequence[Direction]) -> Iterator[str]:
    for each in directions:
        if each.expected is None or (each.angle <= DEGREES and _near(each.ratio / each.expected, 1, RELATIVE)):
            continue
        yield (
            f"{each.parameter} of {each.variant}, layer {each.layer}, rescaling {'on' if each.rescaled else 'off'}, is "
            f"{each.angle:.3g} degrees from the loss gradient and {each.ratio:.5g} times as long, "
            f"not 0 degrees and {each.expected:.5g} times"
        )


def _claims(motion: Motion) -> dict[str, bool]:
    """Return what a variant should do, and whether it does."""
    stays = motion.alone <= ROUNDING
    follows = {
        "A steps straight to the mean input": _near(motion.to_mean, 0, DEGREES),
        "A steps as far without an error": _near(motion.without_error, 1, RELATIVE),
    }
    moves = {
        "the outputs move with A": not stays and motion.compensated == motion.alone,
        "the step of A is of first order": _near(motion.exponent, 1, 0.05),
    }
    match motion.variant:
        case "original":
            return follows | {
                "the outputs move if A steps alone": not stays,
                "the outputs stay if B makes up for A": motion.compensated <= ROUNDING,
                "what is left over of the step of A is of second order": _near(motion.exponent, 2, 0.05),
            }
        case "corrected":
            return {"A stays without an error": _near(motion.without_error, 0, RELATIVE)} | moves
        case "uncompensated":
            return follows | moves
        case "no-prebias":
            return {"A stays": motion.to_mean is None and stays and motion.compensated <= ROUNDING}


def _near(value: float | None, expected: float, tolerance: float) -> bool:
    return value is not None and abs(value - expected) <= tolerance
