from pathlib import Path

import pytest

from qm7cli.model import activations, variants
from qm7cli.model.gradcheck import Motion, _wrong_claims, check_gradients
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
