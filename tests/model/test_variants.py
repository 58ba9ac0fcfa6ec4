import numpy as np
import pytest

from qm7cli.model.variants import RULES


@pytest.fixture
def layer():
    """X, A, W, B of a float64 layer, and the gradient dZ of a loss that is linear in Z."""
    rng = np.random.default_rng(0)
    return (
        rng.normal(size=(9, 5)),
        rng.normal(size=5),
        rng.normal(size=(5, 3)),
        rng.normal(size=3),
        rng.normal(size=(9, 3)),
    )


def rule_at(variant, X, A, W, dZ):
    return RULES[variant](X - A, (X - A) @ W, dZ, W)


def test_corrected_is_the_derivative_of_the_loss(layer):
    X, A, W, B, dZ = layer

    def loss(A, B):
        return np.sum(dZ * ((X - A) @ W + B))

    dA, dB = rule_at("corrected", X, A, W, dZ)
    h = 1e-6
    for k in range(5):
        e = np.eye(5)[k] * h
        assert dA[k] == pytest.approx((loss(A + e, B) - loss(A - e, B)) / (2 * h), rel=1e-7)
    for k in range(3):
        e = np.eye(3)[k] * h
        assert dB[k] == pytest.approx((loss(A, B + e) - loss(A, B - e)) / (2 * h), rel=1e-7)


def test_original_moves_the_prebias_towards_the_mean_input_whatever_the_loss(layer):
    X, A, W, _, dZ = layer
    dA, _ = rule_at("original", X, A, W, dZ)
    np.testing.assert_allclose(A - dA / len(X), X.mean(axis=0))
    np.testing.assert_array_equal(dA, rule_at("original", X, A, W, -7 * dZ)[0])


def test_original_moves_the_bias_so_that_moving_the_prebias_leaves_the_function_unchanged(layer):
    X, A, W, B, dZ = layer
    dA, dB = rule_at("original", X, A, W, np.zeros_like(dZ))
    moved = (X - (A - 0.3 * dA)) @ W + (B - 0.3 * dB)
    np.testing.assert_allclose(moved, (X - A) @ W + B, atol=1e-13)
    assert abs(((X - (A - 0.3 * dA)) @ W + B) - ((X - A) @ W + B)).max() > 1  # not without dB


def test_without_prebias_a_stays_0_and_b_follows_the_loss(layer):
    X, A, W, _, dZ = layer
    dA, dB = rule_at("no-prebias", X, A, W, dZ)
    assert not dA.any()
    np.testing.assert_array_equal(dB, dZ.sum(axis=0))
