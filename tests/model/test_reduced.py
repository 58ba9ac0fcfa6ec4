import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from qm7cli.core.files import load_arrays, save_arrays
from qm7cli.data.splits import select_folds
from qm7cli.model.encoder import Encoder
from qm7cli.model.network import Layer, as_layers, as_vector
from qm7cli.model.reduced import ReducedFeatures, moves_unused
from qm7cli.model.variants import RULES
from qm7cli.training.fold_training import CheckpointAbout, FoldTraining

ALL = np.arange(60)


@pytest.fixture(scope="module")
def encoder(small):
    return Encoder.fit(small, ALL[:48], 1.0, 1.0, np.random.default_rng(3))


@pytest.fixture(scope="module")
def features(small, encoder):
    return ReducedFeatures.of(encoder, small)


@pytest.fixture(scope="module")
def layer(encoder):
    """A layer of 5 units on all features, no parameter 0."""
    rng = np.random.default_rng(0)
    m = len(encoder.mean)
    return Layer(*(rng.standard_normal(shape).astype(np.float32) for shape in ((m, 5), (m,), (5,))))


def drawn(of, dataset):
    return of.draw(dataset, ALL, np.random.default_rng(1))


@pytest.mark.parametrize("fitted", ["all", "without oxygen"])
def test_coordinates_are_fewer_and_give_the_features_again(small, encoder, features, fitted):
    if fitted != "all":  # the values of all molecules are known, not only of those trained on
        train = np.flatnonzero((small.Z != 8).all(axis=1))
        encoder = Encoder.fit(small, train, 1.0, 1.0, np.random.default_rng(3))
        features = ReducedFeatures.of(encoder, small)
    full, reduced = drawn(encoder, small), drawn(features, small)
    r = features.q.shape[1]
    assert reduced.shape[1] == full.shape[1] - len(features.q) + r
    assert r < len(features.q) / 5
    np.testing.assert_array_equal(reduced[:, :-r], full[:, ~features.turned])
    np.testing.assert_allclose(reduced[:, -r:] @ features.q.T, full[:, features.turned], atol=2e-5)


def test_a_layer_expands_to_what_it_was_reduced_from(features, layer):
    layer = layer._replace(A=layer.A * (~features.turned))  # beyond the basis it holds what `corrected` may reach
    basis = features.basis(layer.W)
    for again, before in zip(features.expand(features.reduce(layer, basis), basis), layer, strict=True):
        np.testing.assert_allclose(again, before, atol=2e-6)


def test_only_the_true_gradient_moves_a_where_inputs_are_0(small, quick):
    fold = select_folds(small, quick().split)[0]
    for variant, rule in RULES.items():
        training = FoldTraining(quick(variant=variant), small, fold)
        beyond = training.basis.shape[1] - training.features.q.shape[1]
        assert moves_unused(rule) == (variant == "corrected") == (beyond > 0) == (not training.resting.any())


def test_a_layer_for_prediction_gives_what_the_whole_one_does(small, encoder, features, layer):
    W, A, B = features.for_prediction(layer)
    expected = (drawn(encoder, small) - layer.A) @ layer.W + layer.B
    np.testing.assert_allclose((drawn(features, small) - A) @ W + B, expected, atol=1e-3)


def test_a_checkpoint_in_another_basis_goes_on_but_for_rounding(small, quick, tmp_path):
    """Another machine may find another one."""
    experiment = quick(variant="corrected")
    fold = select_folds(small, experiment.split)[0]
    with threadpool_limits(1):
        training = FoldTraining(experiment, small, fold)
        for _ in range(20):
            training.iterate()
        training.save(tmp_path / "new.npz")
        about, arrays = load_arrays(tmp_path / "new.npz", CheckpointAbout)
        basis = np.ascontiguousarray(-training.basis[:, ::-1])

        def turned(name):
            layers = training.layers(as_layers(arrays[name], training.network.sizes))
            return as_vector([training.features.reduce(layers[0], basis), *layers[1:]])

        save_arrays(tmp_path / "old.npz", about, {"P": turned("P"), "Q": turned("Q"), "basis": basis})
        resumed = FoldTraining.resume(experiment, small, fold, tmp_path / "old.npz")
        for each in (training, resumed):
            for _ in range(20):
                each.iterate()
    assert resumed.iteration == 40
    for one, other in zip(training.model().layers, resumed.model().layers, strict=True):
        for P, expected in zip(one, other, strict=True):
            np.testing.assert_allclose(P, expected, atol=2e-6)
