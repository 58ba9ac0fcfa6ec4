"""What models predict, of the data set and of molecules outside it."""

from dataclasses import replace

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

import reference
from molecules import SYMMETRIC
from qm7cli.core.seeds import Purpose, stream
from qm7cli.data import dataset
from qm7cli.data.molecules import Molecule
from qm7cli.data.splits import select_folds
from qm7cli.model import fold_model
from qm7cli.model.baseline_model import load_fold_model
from qm7cli.model.conformal import Interval
from qm7cli.model.domain import Domain
from qm7cli.model.model import save_model
from qm7cli.model.network import Layer, feed_forward
from qm7cli.model.predict import average_conformers, predict_molecules
from qm7cli.runs.experiment import resolve
from qm7cli.training.fold_training import FoldTraining


def train(dataset, fold, iterations, *settings):
    """Return the model of a fold after some training."""
    experiment = resolve(None, list(settings), {})
    training = FoldTraining(experiment, dataset, select_folds(dataset, experiment.split)[fold])
    with threadpool_limits(1):
        for _ in range(iterations):
            training.iterate()
    model = training.model()
    return replace(model, domain=Domain.of(dataset, model.train, model.test))


@pytest.fixture(scope="module")
def models(small):
    """The models of two folds after some training."""
    return [train(small, fold, 200, "network.hidden=[20]", "evaluation.draws=4") for fold in (0, 1)]


@pytest.fixture
def model(models):
    """The first of them."""
    return models[0]


def molecule(dataset, k):
    """Return a molecule of a data set, without its padding."""
    real = dataset.Z[k] > 0
    return Molecule(f"{k}", dataset.Z[k][real], dataset.R[k][real])


def test_errors_are_those_of_the_mean_over_draws(model, small):
    evaluation = model.evaluate(small, "test", 4)
    assert evaluation.predictions.shape == (4, 12)
    errors = [sum(drawn) / 4 - float(small.T[k]) for drawn, k in zip(evaluation.predictions.T, small.P[0], strict=True)]
    assert evaluation.mae == pytest.approx(sum(abs(error) for error in errors) / 12)
    assert evaluation.rmse == pytest.approx((sum(error**2 for error in errors) / 12) ** 0.5)


def test_an_evaluation_gives_the_same_digits_again_whatever_the_threads(model, small):
    once = model.evaluate(small, "train", 3)
    with threadpool_limits(2):
        again = model.evaluate(small, "train", 3)
    np.testing.assert_array_equal(once.predictions, again.predictions)


def test_more_draws_begin_with_the_same_draws(model, small):
    few, many = (model.evaluate(small, "test", draws).predictions for draws in (2, 5))
    np.testing.assert_array_equal(few, many[:2])
    assert not np.array_equal(many[0], many[1])


def test_parts_are_the_fold_s_molecules(model, small):
    np.testing.assert_array_equal(model.evaluate(small, "test", 1).molecules, small.P[0])
    np.testing.assert_array_equal(np.sort(model.evaluate(small, "train", 1).molecules), np.sort(small.P[1:], axis=None))


def test_predictions_are_in_kcal_per_mol(model, small):
    """A network of zeros predicts the mean of the training energies."""
    zeros = replace(model, layers=[Layer(0 * W, A, 0 * B) for W, A, B in model.layers])
    predictions = zeros.predict_rows(small, small.P[0], 1, np.random.default_rng(0))
    np.testing.assert_allclose(predictions, small.T[model.train].mean(dtype=float))


def test_an_interval_is_kept_with_the_model_and_holds_for_its_draws_or_more(model, small, tmp_path):
    evaluation = model.evaluate(small, "test", model.draws)
    path = tmp_path / "model.npz"
    save_model(path, replace(model, interval=evaluation.interval))
    kept = load_fold_model(path)
    for level in (0.5, 0.9):
        (expected,) = Interval.of(evaluation.residuals, evaluation.spreads).half_widths(np.full(1, 2.0), level)
        assert kept.half_width(2.0, kept.draws, level) == expected > 0
    assert kept.half_width(2.0, kept.draws, 0.99) is None  # calibrated on 12
    assert kept.half_width(2.0, kept.draws - 1) is None
    assert model.half_width(2.0, model.draws) is None  # in training, there is none


def test_a_prediction_is_the_mean_over_draws_and_its_spread(model, small):
    k = int(model.train[0])
    one = predict_molecules([model], [molecule(small, k)], draws=500)[0]
    energies = model.predict_rows(small, np.array([k]), 500, np.random.default_rng(0))[:, 0]  # with other noise
    error = energies.std() / 500**0.5
    assert one.energy == pytest.approx(energies.mean(), abs=5 * error)
    assert one.spread == pytest.approx(energies.std(ddof=1), rel=0.2)
    assert one.fold_spread is None
    assert one.warnings == []
    assert predict_molecules([model], [molecule(small, k)], draws=1)[0].spread is None


def test_every_molecule_has_the_same_noise_on_its_sorted_rows(models, small):
    model = models[1]
    noise = stream(model.seed, model.fold, Purpose.PREDICTION).standard_normal((4, 7), dtype=np.float32)
    for k in (0, 1, 2):
        order = np.argsort(-small.norms[k], kind="stable")
        drawn = np.array([reference.random_sorted(small.X[k][np.ix_(order, order)], e) for e in noise])
        energies = feed_forward(model.layers, model.encoder.encode(drawn.astype(np.float32)))
        energies = energies.astype(float) * model.target.std + model.target.mean
        one = predict_molecules([model], [molecule(small, k)])[0]
        assert one.energy == pytest.approx(energies.mean(), abs=0.01)
        assert one.spread == pytest.approx(energies.std(ddof=1), abs=0.01)


def test_many_draws_are_made_a_few_at_a_time_and_are_the_same(models, small, monkeypatch):
    whole = models[0].draw(molecule(small, 3), 20).energies
    monkeypatch.setattr(fold_model, "CHUNK", 7)
    np.testing.assert_allclose(models[0].draw(molecule(small, 3), 20).energies, whole, atol=1e-3)


def test_several_models_are_averaged_with_their_spread(models, small):
    one, other = (predict_molecules([model], [molecule(small, 3)])[0] for model in models)
    both = predict_molecules(models, [molecule(small, 3)])[0]
    assert both.energy == pytest.approx((one.energy + other.energy) / 2)
    assert both.spread == pytest.approx((one.spread + other.spread) / 2)
    assert both.fold_spread == pytest.approx(abs(one.energy - other.energy) / 2**0.5)


def test_a_molecule_s_number_does_not_depend_on_its_company(models, small):
    alone = predict_molecules(models, [molecule(small, 7)])[0]
    assert predict_molecules(models, [molecule(small, k) for k in range(12)])[7] == alone


def test_the_order_of_the_atoms_in_a_file_changes_no_energy():
    gfn7 = dataset.load(dataset.locate("gfn7"))
    model = train(gfn7, 0, 20, "network.hidden=[20]", "encoding.step=4.0", "evaluation.draws=2")
    originals = [molecule(gfn7, int(k)) for k in np.linspace(0, len(gfn7) - 1, 25).astype(int)]
    originals += [Molecule(name, *shape) for name, shape in SYMMETRIC.items()]
    expected = [prediction.energy for prediction in predict_molecules([model], originals)]
    rng = np.random.default_rng(0)
    for _ in range(3):
        orders = [rng.permutation(len(each.Z)) for each in originals]
        shuffled = [replace(each, Z=each.Z[i], R=each.R[i]) for each, i in zip(originals, orders, strict=True)]
        energies = [prediction.energy for prediction in predict_molecules([model], shuffled)]
        np.testing.assert_allclose(energies, expected, rtol=0, atol=1e-3)


def test_what_the_models_have_not_seen_is_said(models):
    water = Molecule("w", np.array([8, 1, 1]), np.array([[0, 0, 0], [0, 0, 1.8], [1.8, 0, 0]]))
    silicon = replace(water, Z=np.array([14, 1, 1]))
    close = replace(water, R=np.array([[0, 0, 0], [0, 0, 0.05], [1.8, 0, 0]]))
    large = Molecule("l", np.ones(8), np.arange(24).reshape(8, 3))
    said = [prediction.warnings for prediction in predict_molecules(models, [silicon, close, large])]
    assert "1 Si, an element not trained on" in said[0]
    assert any(reason.endswith("angstrom, unlike any trained on") for reason in said[1])
    assert said[2] == ["8 atoms, more than the 7 that the model takes"]
    assert predict_molecules(models, [large])[0].energy is None


def test_what_one_of_several_models_has_not_seen_is_said(models, small):
    k = int(models[0].test[0])
    narrow = Domain.of(small, np.setdiff1d(models[1].train, [k])[:2], models[1].train[2:4])
    first, second = models[0], replace(models[1], domain=narrow)
    assert len(predict_molecules([first, second], [molecule(small, k)])[0].warnings) > len(
        predict_molecules([first], [molecule(small, k)])[0].warnings
    )


def test_an_energy_beyond_those_trained_on_and_an_open_shell_are_said(models, small):
    model = replace(models[0], domain=replace(models[0].domain, energies=np.array([-1.0, 0.0])))
    triplet = replace(molecule(small, int(model.train[0])), open_shell="multiplicity 3, not a singlet")
    said = ["multiplicity 3, not a singlet", "its energy is beyond those trained on, -1 to 0 kcal/mol"]
    assert predict_molecules([model], [triplet])[0].warnings == said


def test_a_molecule_s_conformers_are_averaged_and_say_what_the_worst_of_them_says(models, small):
    own = molecule(small, int(models[0].train[0]))
    apart = replace(own, R=own.R * np.float32(20))
    one, other = predict_molecules(models, [own, apart])
    both = average_conformers([one, other])
    assert both.energy == pytest.approx((one.energy + other.energy) / 2)
    assert both.conformer_spread == pytest.approx(abs(one.energy - other.energy) / 2**0.5)
    assert both.warnings == other.warnings != []
