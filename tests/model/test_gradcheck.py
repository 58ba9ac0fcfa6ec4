import math
from pathlib import Path

import numpy as np
import pytest

import reference
from qm7cli.model import activations, variants
from qm7cli.model.gradcheck import RATES, Case, Motion, _wrong_claims, check_gradients
from qm7cli.model.variants import RULES

# Each term of variants.py, and the same with the wrong sign.
TERMS = [
    ("original", "-C.sum(axis=0), dZ.sum(axis=0) - CW", "C.sum(axis=0), dZ.sum(axis=0) - CW"),
    ("original", "dZ.sum(axis=0) - CW", "-dZ.sum(axis=0) - CW"),
    ("original", "- CW.sum(axis=0)", "+ CW.sum(axis=0)"),
    ("corrected", "-(W @ sum_dZ)", "(W @ sum_dZ)"),
    ("corrected", "), sum_dZ", "), -sum_dZ"),
    ("corrected", "= dZ.sum(axis=0)", "= -dZ.sum(axis=0)"),
    ("no-prebias", "C.dtype), dZ.sum(axis=0)", "C.dtype), -dZ.sum(axis=0)"),
    ("uncompensated", "-C.sum(axis=0), dZ.sum(axis=0)\n", "C.sum(axis=0), dZ.sum(axis=0)\n"),
    ("uncompensated", "-C.sum(axis=0), dZ.sum(axis=0)\n", "-C.sum(axis=0), -dZ.sum(axis=0)\n"),
]


@pytest.fixture(scope="module")
def case(small):
    return Case(small, 0)


@pytest.fixture(scope="module")
def found(small):
    return check_gradients(small)


@pytest.mark.parametrize("seed", range(3))
def test_all_is_as_expected_for_the_rules_as_they_are(small, seed):
    assert check_gradients(small, seed=seed).failures == []


@pytest.mark.parametrize(("variant", "right", "wrong"), TERMS)
def test_a_wrong_sign_in_any_term_is_found(small, monkeypatch, variant, right, wrong):
    source = Path(variants.__file__).read_text()
    assert source.count(right) == 1
    broken = {}
    exec(source.replace(right, wrong), broken)  # noqa: S102
    monkeypatch.setitem(RULES, variant, broken["RULES"][variant])
    assert any(variant in failure for failure in check_gradients(small, [variant]).failures)


def test_a_wrong_derivative_of_the_activation_is_found(small, monkeypatch):
    wrong = activations.Activation(activations.scaled_tanh, lambda Y: 1 - Y**2 / 1.5)
    monkeypatch.setitem(activations.ACTIVATIONS, "tanh", wrong)
    assert any("dW of corrected, layer 1" in failure for failure in check_gradients(small, ["corrected"]).failures)


@pytest.mark.parametrize("variant", RULES)
def test_the_directions_are_those_of_the_reference(case, variant):
    slow = reference.Network([layer.W for layer in case.layers(case.P)], variant)
    for own, point in zip(slow.layers, case.layers(case.P), strict=True):
        own.A, own.B = point.A, point.B
    slow.step(case.X, case.targets, 1e-3, 1)
    for layer, own in zip(case.direction(variant), slow.layers, strict=True):
        for ours, theirs in zip(layer, (own.dW, own.dA, own.dB), strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-9)


def test_moving_a_and_making_up_for_it_leaves_the_function_unchanged_in_original_alone(found):
    original, corrected, plain, control = found.motions
    assert original.compensated < 1e-10
    assert original.alone > 1
    assert corrected.compensated == corrected.alone > 1
    assert plain.compensated == plain.alone == 0
    assert control.compensated == control.alone == original.alone


def test_what_is_left_over_is_of_second_order_in_original_and_of_first_in_the_others(case, found):
    """The exponents are worked out again from the changes at the largest and the smallest rate."""
    for motion, expected in zip(found.motions, (2, 1, None, 1), strict=True):
        if expected is None:
            assert motion.exponent is None
            continue
        ends = [
            abs(case.outputs(case.stepped(motion.variant, rate)) - case.outputs(case.stepped("no-prebias", rate))).max()
            for rate in (RATES[0], RATES[-1])
        ]
        slope = math.log(ends[0] / ends[1]) / math.log(RATES[0] / RATES[-1])
        assert motion.exponent == pytest.approx(slope, abs=0.02)
        assert motion.exponent == pytest.approx(expected, abs=0.05)


AS_EXPECTED = [
    Motion("original", 0.0, 1.0, 20.0, 1e-13, 2.0),
    Motion("corrected", 80.0, 0.0, 17.0, 17.0, 1.0),
    Motion("no-prebias", None, None, 0.0, 0.0, None),
    Motion("uncompensated", 0.0, 1.0, 20.0, 20.0, 1.0),
]
WRONG_MOTIONS = [
    expected._replace(**wrong)
    for expected, changes in zip(
        AS_EXPECTED,
        (
            [{"to_mean": 1.0}, {"without_error": 0.9}, {"alone": 0.0}, {"compensated": 1e-3}, {"exponent": 1.0}],
            [{"without_error": 1.0}, {"alone": 0.0, "compensated": 0.0}, {"compensated": 1.0}, {"exponent": 2.0}],
            [{"to_mean": 5.0}, {"alone": 1.0}, {"compensated": 1.0}],
            [{"to_mean": 1.0}, {"without_error": 0.9}, {"compensated": 1e-13}, {"exponent": 2.0}],
        ),
        strict=True,
    )
    for wrong in changes
]


@pytest.mark.parametrize("motion", WRONG_MOTIONS, ids=str)
def test_each_claim_about_a_fails_alone_where_it_does_not_hold(motion):
    assert not any(map(_wrong_claims, AS_EXPECTED))
    assert len(_wrong_claims(motion)) == 1
