import numpy as np
import pytest

import reference
from qm7cli.model.activations import ACTIVATIONS, Units
from qm7cli.model.network import Network, draw_layers, feed_forward
from qm7cli.model.variants import RULES

SIZES = [30, 12, 6, 1]


def initial(sizes, variant):
    rngs = [np.random.default_rng(seed) for seed in (0, 1)]
    return Network.of(draw_layers(sizes, rngs[0], [0.0] * (len(sizes) - 2), rngs[1]), RULES[variant])


@pytest.fixture
def network():
    return initial(SIZES, "original")


def minibatches(count, b=25):
    rng = np.random.default_rng(1)
    for _ in range(count):
        yield rng.normal(0.5, 1, (b, 30)).astype(np.float32), rng.normal(size=b).astype(np.float32)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_and_its_derivative_are_those_of_the_equation(name):
    Z, h = np.linspace(-4, 4, 100), 1e-6  # 0, where a rectified unit has no derivative, is not among these
    activation = ACTIVATIONS[name]
    equation, derivative = reference.activate(Z, name)
    Y = activation.value(Z.astype(np.float32))
    assert Y.dtype == activation.derivative(Y).dtype == np.float32
    np.testing.assert_allclose(Y, equation, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(activation.derivative(Y), derivative, atol=1e-6)
    differences = (reference.activate(Z + h, name)[0] - reference.activate(Z - h, name)[0]) / (2 * h)
    np.testing.assert_allclose(derivative, differences, atol=1e-8)


def test_a_logistic_unit_is_the_published_one_with_an_offset():
    Z = np.linspace(-200, 200, 1001, dtype=np.float32)
    published = ACTIVATIONS["tanh"].value(Z) + 1.5
    np.testing.assert_allclose(ACTIVATIONS["logistic"].value(Z), published, atol=1e-6)


def test_initial_weights_and_biases_have_their_standard_deviations_and_neither_moves_the_other():
    sizes = [10, 20_000, 3, 30_000, 1]  # wide layers have many biases, and a narrow one between them few weights
    deviations = [0.5, 0, 4]
    plain, scattered = (
        draw_layers(sizes, np.random.default_rng(0), bias, np.random.default_rng(1)) for bias in ([0, 0, 0], deviations)
    )
    assert [layer.B.std() for layer in scattered[:3]] == pytest.approx(deviations, rel=0.02)
    assert not scattered[3].B.any()
    assert scattered[1].W.std() == pytest.approx(20_000**-0.5, rel=0.01)
    assert not scattered[3].W.any()
    assert all(np.array_equal(one.W, other.W) for one, other in zip(plain, scattered, strict=True))
    assert not any(layer.A.any() for layer in scattered)


def test_an_offset_makes_no_difference_to_a_layer_whose_pre_bias_starts_there():
    """Where A follows its gradient or the mean input, and all that is left of it is rounding."""
    for variant in ("original", "corrected", "uncompensated"):
        plain, moved = initial(SIZES, variant), initial(SIZES, variant)
        moved = Network.of(moved.averaged(), RULES[variant], Units(offset=2.0))
        for layer in moved.layers[1:]:
            layer.A[:] = 2.0
        for X, targets in minibatches(100):
            errors = [network.step(X, targets, 0.02, 0.1) for network in (plain, moved)]
            np.testing.assert_allclose(*errors, atol=1e-4)
        np.testing.assert_allclose(plain.layers[1].A + 2, moved.layers[1].A, atol=1e-4)


@pytest.mark.parametrize("variant", RULES)
def test_a_step_is_that_of_the_reference(variant):
    """Alone, without the loop of training around it: any difference would be here."""
    network = initial(SIZES, variant)
    slow = reference.Network([layer.W.astype(np.float64) for layer in network.layers], variant)
    for iteration, (X, targets) in enumerate(minibatches(20), start=1):
        errors = network.step(X, targets, 0.02, 10 / (10 + iteration))
        expected = slow.step(X.astype(np.float64), targets, 0.02, iteration)
        np.testing.assert_allclose(errors, expected, atol=2e-5)


def test_the_average_survives_a_scale_that_leaves_float32():
    """Over 3,000 steps s Q is folded many times; left alone, s would be below 1e-38 after the first 60."""
    network = initial([3, 1], "original")
    average = network.P.astype(np.float64)
    rng = np.random.default_rng(2)
    for iteration in range(1, 3001):
        a = 1000 / (1000 + iteration)
        network.step(rng.normal(size=(5, 3)).astype(np.float32), np.zeros(5, dtype=np.float32) + 1, 0.01, a)
        average = a * network.P + (1 - a) * average
    averaged = np.concatenate([np.concatenate([W.ravel(), A, B]) for W, A, B in network.averaged()])
    np.testing.assert_allclose(averaged, average, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("units", [Units(), Units("relu"), Units("logistic", 1.5)])
def test_feeding_forward_gives_what_the_training_network_gives(network, units):
    network = Network.of(network.averaged(), RULES["original"], units)
    for X, targets in minibatches(5):
        network.step(X, targets, 0.02, 0.5)
    network.s, network.Q[:] = 1.0, network.P  # the average is the parameters
    X, targets = next(minibatches(1))
    before = feed_forward(network.averaged(), X, units)
    np.testing.assert_allclose(network.step(X, targets, 0.02, 0.5), before - targets, atol=1e-5)
