import math
from pathlib import Path

import numpy as np
import pytest

import reference
from qm7cli.model import network, variants
from qm7cli.model.gradcheck import RATES, Motion, _claims, check_gradients
from qm7cli.model.gradcheck_case import Case, Shift, shift_claims, shift_inputs
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
    wrong = network.Activation(network.scaled_tanh, lambda Y: 1 - Y**2 / 1.5)
    monkeypatch.setitem(network.ACTIVATIONS, "tanh", wrong)
    assert any("dW of corrected, layer 1" in failure for failure in check_gradients(small, ["corrected"]).failures)


@pytest.mark.parametrize("variant", RULES)
def test_the_directions_are_those_of_the_reference(case, variant):
    slow = reference.Network([layer.W for layer in case.layers(case.P)], variant)
    for own, point in zip(slow.layers, case.layers(case.P), strict=True):
        own.A, own.B = point.A, point.B
    slow.step(case.X, case.targets, 1e-3, 1)
    for (dW, dA, dB), own in zip(case.direction(variant), slow.layers, strict=True):
        np.testing.assert_allclose(dW, own.dW, atol=1e-9)
        np.testing.assert_allclose(dA, own.dA, atol=1e-9)
        np.testing.assert_allclose(dB, own.dB, atol=1e-9)


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
    AS_EXPECTED[0]._replace(to_mean=1.0),
    AS_EXPECTED[0]._replace(without_error=0.9),
    AS_EXPECTED[0]._replace(alone=0.0),
    AS_EXPECTED[0]._replace(compensated=1e-3),
    AS_EXPECTED[0]._replace(exponent=1.0),
    AS_EXPECTED[1]._replace(without_error=1.0),
    AS_EXPECTED[1]._replace(alone=0.0, compensated=0.0),
    AS_EXPECTED[1]._replace(compensated=1.0),
    AS_EXPECTED[1]._replace(exponent=2.0),
    AS_EXPECTED[2]._replace(to_mean=5.0),
    AS_EXPECTED[2]._replace(alone=1.0),
    AS_EXPECTED[2]._replace(compensated=1.0),
    AS_EXPECTED[3]._replace(to_mean=1.0),
    AS_EXPECTED[3]._replace(without_error=0.9),
    AS_EXPECTED[3]._replace(alone=0.0, compensated=0.0),
    AS_EXPECTED[3]._replace(compensated=1e-13),
    AS_EXPECTED[3]._replace(exponent=2.0),
]


@pytest.mark.parametrize("motion", WRONG_MOTIONS, ids=str)
def test_each_claim_about_a_fails_alone_where_it_does_not_hold(motion):
    assert all(all(_claims(expected).values()) for expected in AS_EXPECTED)
    assert list(_claims(motion).values()).count(False) == 1


@pytest.mark.parametrize("variant", ["original", "corrected", "uncompensated"])
def test_the_reference_trains_alike_with_inputs_and_a_shifted_and_otherwise_if_b_takes_the_shift(case, found, variant):
    """A slow training of all layers, its inputs shifted by an offset, as `Shift` has it."""
    points = case.layers(case.P)

    def outputs(shift, into):
        slow = reference.Network([layer.W for layer in points], variant, offset=shift)
        for own, point in zip(slow.layers, points, strict=True):
            own.A = point.A + shift if into == "A" else point.A.copy()
            own.B = point.B - shift * sum(point.W) if into == "B" else point.B.copy()
        for i in range(101):
            errors = slow.step(case.X + shift, case.targets, 0.001, i + 1)
        return errors + case.targets

    (shift,) = (each for each in found.shifts if each.variant == variant)
    plain = outputs(0.0, None)
    assert shift.with_a < 1e-9
    assert max(abs(outputs(1.0, "A") - plain)) * case.unit < 1e-9
    assert shift.without_a == pytest.approx(max(abs(outputs(1.0, "B") - plain)) * case.unit, rel=1e-6)


def test_a_forgets_the_shift_it_began_with_layer_by_layer_or_keeps_it(case, found):
    original, corrected, plain, control = found.shifts
    expected = [1 - 0.001 * 25 / math.sqrt(m) for m in case.sizes[:3]]
    for shift in (original, control):
        assert shift.factors == pytest.approx(expected, abs=1e-12)
    assert corrected.factors == pytest.approx([1, 1, 1], abs=1e-3)
    assert (plain.with_a, plain.factors) == (None, None)
    assert plain.without_a > 1
    assert all(shift.expected == pytest.approx(expected) for shift in found.shifts)


LEFT = [0.9, 0.8]
SHIFTS_AS_EXPECTED = [
    Shift("original", 1e-13, 20.0, LEFT, LEFT),
    Shift("corrected", 1e-13, 20.0, [1.0, 1.001], LEFT),
    Shift("no-prebias", None, 20.0, None, LEFT),
    Shift("uncompensated", 1e-13, 20.0, LEFT, LEFT),
]
WRONG_SHIFTS = [
    SHIFTS_AS_EXPECTED[2]._replace(with_a=1e-13),
    SHIFTS_AS_EXPECTED[2]._replace(factors=[1.0, 1.0]),
    *(shift._replace(without_a=1e-13) for shift in SHIFTS_AS_EXPECTED),
    *(
        shift._replace(**wrong)
        for shift in (SHIFTS_AS_EXPECTED[0], SHIFTS_AS_EXPECTED[1], SHIFTS_AS_EXPECTED[3])
        for wrong in (
            {"with_a": 1e-3},
            {"with_a": math.nan},
            {"factors": None},
            {"factors": [0.9, 0.9]},
            {"factors": [math.nan, math.nan]},
        )
    ),
    SHIFTS_AS_EXPECTED[0]._replace(factors=[1.0, 1.0]),
    SHIFTS_AS_EXPECTED[1]._replace(factors=[0.9, 1.0]),
    SHIFTS_AS_EXPECTED[1]._replace(factors=[1.0, 1.1]),
]


@pytest.mark.parametrize("shift", WRONG_SHIFTS, ids=str)
def test_each_claim_about_a_shift_fails_alone_where_it_does_not_hold(shift):
    assert all(all(shift_claims(expected).values()) for expected in SHIFTS_AS_EXPECTED)
    assert list(shift_claims(shift).values()).count(False) == 1


def failing(case, variant):
    return [claim for claim, holds in shift_claims(shift_inputs(case, variant)).items() if not holds]


@pytest.mark.parametrize("variant", ["original", "corrected", "uncompensated"])
def test_a_network_that_sees_its_inputs_otherwise_than_less_a_is_found_by_the_shift(case, monkeypatch, variant):
    begin = network.PreBiasLinear.__init__
    monkeypatch.setattr(network.PreBiasLinear, "__init__", lambda self, layer, m, _: begin(self, layer, m))
    assert failing(case, variant) == ["training goes the same way if A takes a shift of the inputs"]
