from dataclasses import replace

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from qm7cli.data.splits import select_folds
from qm7cli.model.conformal import Interval
from qm7cli.model.model import load_model, save_model
from qm7cli.training.fold_training import FoldTraining


@pytest.fixture
def model(small, quick):
    experiment = quick()
    training = FoldTraining(experiment, small, select_folds(small, experiment.split)[0])
    for _ in range(100):
        training.iterate()
    return training.model()


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
    for layer in model.layers:
        layer.W[:] = 0
        layer.B[:] = 0
    predictions = model.predict_rows(small, small.P[0], 1, np.random.default_rng(0))
    np.testing.assert_allclose(predictions, small.T[model.train].mean(dtype=float))


def test_an_interval_is_kept_with_the_model_and_holds_for_its_draws_or_more(model, small, tmp_path):
    evaluation = model.evaluate(small, "test", model.draws)
    path = tmp_path / "model.npz"
    save_model(path, replace(model, interval=evaluation.interval))
    kept = load_model(path)
    for level in (0.5, 0.9):
        (expected,) = Interval.of(evaluation.residuals, evaluation.spreads).half_widths(np.full(1, 2.0), level)
        assert kept.half_width(2.0, kept.draws, level) == expected > 0
    assert kept.half_width(2.0, kept.draws, 0.99) is None  # calibrated on 12
    assert kept.half_width(2.0, kept.draws - 1) is None
    assert model.half_width(2.0, model.draws) is None  # in training, there is none
