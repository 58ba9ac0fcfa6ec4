"""The engine follows the slow reference step for step."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

import reference
from qm7cli.core.errors import QM7Error
from qm7cli.core.seeds import Purpose, stream
from qm7cli.data.splits import Split, select_folds
from qm7cli.model.activations import ACTIVATIONS
from qm7cli.model.encoder import FIT_DRAWS
from qm7cli.model.network import Layer
from qm7cli.model.variants import RULES
from qm7cli.training.fold_training import BLOCK, DivergenceError, FoldTraining

STEPS = 200
# A step rounds each parameter once more, by at most 2^-24 of the largest: 200 steps, if all roundings pointed the
# same way, would make 200 x 2^-24 = 1.2e-5 of it. Products rounded inside a step are smaller by the learning rate.
TOLERANCE = STEPS * 2.0**-24


def reference_steps(fold_training, dtype, steps):
    """Yield the reference's network after each step, from the same random numbers as `fold_training`."""
    experiment, dataset, fold = fold_training.experiment, fold_training.dataset, fold_training.fold
    n, b = dataset.Z.shape[1], experiment.training.batch_size
    X = dataset.X.astype(dtype)

    def draws(purpose, molecules, *index):
        noise = stream(experiment.seed, fold.number, purpose, *index).standard_normal((len(molecules), n), np.float32)
        return np.array([reference.random_sorted(X[k], e) for k, e in zip(molecules, noise, strict=True)])

    fit = draws(Purpose.ENCODER, np.tile(fold.train, FIT_DRAWS + 1)).reshape(FIT_DRAWS + 1, len(fold.train), -1)
    largest = reference.largest_entries(fit[:-1])
    normalise = reference.Normalisation(reference.expand(fit[-1], largest, 1.0), experiment.encoding.center)
    energies = dataset.T[fold.train].astype(float)
    left = energies - energies.mean()
    if experiment.target.subtract == "composition":
        _, left = reference.composition_target(dataset.Z[fold.train], energies)
    targets = np.full(len(dataset), np.nan, dtype)
    targets[fold.train] = left / left.std()

    layers = fold_training.model().layers
    weights, biases = ([getattr(layer, symbol).astype(dtype) for layer in layers] for symbol in "WB")
    network = reference.Network(weights, experiment.variant, biases, *experiment.network.units[::-1])
    per_block = BLOCK // b
    for block in itertools.count():
        chosen = stream(experiment.seed, fold.number, Purpose.MINIBATCHES, block).integers(
            0, len(fold.train), per_block * b
        )
        drawn = draws(Purpose.PERMUTATIONS, fold.train[chosen], block)
        for place in range(per_block):
            iteration = block * per_block + place + 1
            part = slice(place * b, (place + 1) * b)
            features = normalise(reference.expand(drawn[part], largest, 1.0)).astype(dtype)
            rate = [r for start, r in experiment.training.schedule if start <= iteration][-1]
            network.step(features, targets[fold.train[chosen[part]]], rate, iteration)
            yield network
            if iteration == steps:
                return


def assert_close(fast, slow):
    assert fast.dtype == np.float32
    np.testing.assert_allclose(fast, slow, rtol=0, atol=TOLERANCE * max(1, abs(slow).max()))


def assert_follows(fold_training, dtype, steps):
    for slow in reference_steps(fold_training, dtype, steps):
        fold_training.iterate()
        if fold_training.iteration % 20 == 0:
            network = fold_training.network
            layers = fold_training.layers([Layer(layer.W, layer.A, layer.B) for layer in network.layers])
            for layer, average, other, other_average in zip(
                layers, fold_training.model().layers, slow.layers, slow.average, strict=True
            ):
                for symbol in "WAB":
                    assert_close(getattr(layer, symbol), getattr(other, symbol))
                for fast, expected in zip(average, other_average, strict=True):
                    assert_close(fast, expected)
    assert fold_training.iteration == steps


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("variant", RULES)
def test_the_engine_follows_the_reference_for_200_steps(small, quick, variant, dtype):
    experiment = quick("training.schedule=[[1, 0.002], [101, 0.01]]", variant=variant)
    fold_training = FoldTraining(experiment, small, select_folds(small, experiment.split)[1])
    assert_follows(fold_training, dtype, STEPS)
    moved = [layer.A for layer in fold_training.network.layers]
    assert all((abs(A).max() > 10 * TOLERANCE) == (variant != "no-prebias") for A in moved)


COMBINATIONS = (
    *([f"encoding.center={c}", f"network.offset={offset}", f"network.bias={bias}"]
      for c, offset, bias in [*itertools.product([True, False], [0, 1.5], [0, [2, 0.5]])][1:]),
    *([f"target.subtract={subtract}", f"network.activation={activation}"]
      for subtract, activation in [*itertools.product(["mean", "composition"], ACTIVATIONS)][1:]),
)  # fmt: skip


@pytest.mark.parametrize("settings", COMBINATIONS, ids=" ".join)
@pytest.mark.parametrize("variant", RULES)
def test_the_engine_follows_the_reference_in_each_combination(small, quick, variant, settings):
    """Slow enough that nothing diverges, as rounding would grow with it."""
    experiment = quick("training.schedule=[[1, 0.001]]", *settings, variant=variant)
    fold_training = FoldTraining(experiment, small, select_folds(small, experiment.split)[1])
    assert_follows(fold_training, np.float64, 100)
    assert all(layer.B.any() for layer in fold_training.model().layers)


@pytest.mark.realdata
@pytest.mark.parametrize("variant", RULES)
def test_the_engine_follows_the_reference_on_qm7(qm7, quick, variant):
    """At full size; the reference fits its encoder to one fold only, as it takes a second for 1,000 molecules."""
    experiment = quick("network.hidden=[400, 100]", variant=variant)
    fold = select_folds(qm7, experiment.split)[0]
    fold_training = FoldTraining(experiment, qm7, fold._replace(train=fold.test[:200]))
    assert_follows(fold_training, np.float64, 60)


def test_all_variants_see_the_same_minibatches(small, quick):
    folds = select_folds(small, quick().split)
    seen = []
    for variant in RULES:
        fold_training = FoldTraining(quick(variant=variant), small, folds[0])
        fold_training.iterate()
        seen.append(fold_training.features.encode(fold_training._triangles))
    assert all(np.array_equal(features, seen[0]) for features in seen)


def test_a_fold_whose_energies_are_all_the_same_is_refused(small, quick):
    fold = select_folds(small, quick().split)[0]
    with pytest.raises(QM7Error, match="fold 0: all training energies are the same"):
        FoldTraining(quick(), small, fold._replace(train=fold.train[:1]))


def test_a_checkpoint_is_of_one_configuration_fold_and_data_set(small, quick, tmp_path):
    zero, one = select_folds(small, Split(folds=[0, 1]))
    path = tmp_path / "checkpoint.npz"
    FoldTraining(quick(), small, zero).save(path)
    assert FoldTraining.resume(quick(), small, zero, path).iteration == 0
    for experiment, dataset, fold in (
        (quick("encoding.noise=2"), small, zero),
        (quick(), replace(small, sha256="0" * 64), zero),
        (quick(), small, one),
    ):
        with pytest.raises(QM7Error, match="was written with other settings"):
            FoldTraining.resume(experiment, dataset, fold, path)


def test_a_training_whose_parameters_have_left_all_measure_writes_no_checkpoint(small, quick, tmp_path):
    training = FoldTraining(quick(), small, select_folds(small, quick().split)[0])
    training.iterate()
    training.network.layers[0].W[0, 0] = 1e9  # the unit saturates, and the errors are those of any network
    with pytest.raises(DivergenceError, match=r"fold 0 diverged at iteration 1 \(rate 0.001\)$"):
        training.save(tmp_path / "c.npz")
    assert not list(tmp_path.iterdir())
