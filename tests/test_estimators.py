import numpy as np
import pytest
from ase import Atoms
from ase.units import Bohr
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import make_friedman1
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from qm7cli.core.errors import QM7Error
from qm7cli.core.seeds import Purpose, stream
from qm7cli.core.validation import SettingsError
from qm7cli.data.splits import select_folds
from qm7cli.estimators import PreBiasRegressor, RandomSortedCoulomb
from qm7cli.model.encoder import Encoder
from qm7cli.model.variants import RULES
from qm7cli.training.fold_training import DivergenceError, FoldTraining

X, Y = make_friedman1(300, random_state=0)
X = StandardScaler().fit_transform(X)


def regressor(**parameters):
    return PreBiasRegressor(**{"hidden": (10, 5), "iterations": 400, "random_state": 0, **parameters})


@parametrize_with_checks([regressor(random_state=None, bias=(0.5, 0.0))])
def test_the_regressor_is_one_of_scikit_learn_s(estimator, check):
    check(estimator)


@pytest.mark.parametrize(("variant", "activation"), [("original", "tanh"), ("corrected", "logistic")])
def test_on_features_that_are_drawn_without_noise_it_is_the_training_of_a_fold(small, quick, variant, activation):
    """Rounding differs: a fold is trained in fewer coordinates (`qm7cli.model.reduced`)."""
    settings = ("encoding.noise=0", "network.offset=1", "network.bias=0.5", "split.folds=[0]", "seed=3")
    experiment = quick(*settings, f"network.activation={activation}", variant=variant)
    training = FoldTraining(experiment, small, select_folds(small, experiment.split)[0])
    for _ in range(300):
        training.iterate()
    features = training.encoder.draw(small, training.fold.train, np.random.default_rng(0))
    ours = PreBiasRegressor(
        (20, 10), variant=variant, iterations=300, activation=activation, offset=1, bias=0.5, random_state=3
    )
    ours.fit(features, small.T[training.fold.train])
    for layer, other in zip(ours.layers_, training.model().layers, strict=True):
        for P, Q in zip(layer, other, strict=True):
            assert P.dtype == np.float32
            assert_allclose(P, Q, atol=3e-5 * max(1, abs(Q).max()))
    assert_allclose(
        ours.predict(features), training.model().energies(features, small.Z[training.fold.train]), atol=2e-3
    )


def test_on_another_problem_the_true_gradient_is_ahead_only_of_small_steps_of_biases_that_start_at_0(monkeypatch):
    """As the page on centering says."""
    monkeypatch.setitem(RULES, "larger", lambda C, _CW, dZ, _W: (np.zeros(C.shape[1], C.dtype), 3 * dZ.sum(axis=0)))
    inputs, targets = make_friedman1(500, random_state=0)

    def score(variant, bias=0.0):
        pipeline = make_pipeline(
            StandardScaler(), regressor(hidden=(50, 20), iterations=2000, variant=variant, bias=bias)
        )
        return pipeline.fit(inputs[:300], targets[:300]).score(inputs[300:], targets[300:])

    assert score("original") + 0.03 < score("corrected") < score("larger") < score("original", 0.5)
    assert score("corrected", 0.5) == pytest.approx(score("original", 0.5), abs=0.015)


def test_it_is_piped_and_searched_and_learns_what_is_no_line_with_the_same_bits_again():
    pipeline = make_pipeline(StandardScaler(), regressor())
    iterations = {"prebiasregressor__iterations": np.array([20, 2000])}
    search = GridSearchCV(pipeline, iterations, cv=3).fit(X, np.sin(2 * X[:, 0]))
    assert search.best_params_ == {"prebiasregressor__iterations": 2000}
    assert search.score(X, np.sin(2 * X[:, 0])) > 0.6
    first, again, other = (regressor(random_state=seed).fit(X, Y).predict(X) for seed in (0, 0, 1))
    assert_array_equal(first, again)
    assert abs(first - other).max() > 0


@pytest.mark.parametrize(("parameters", "sentence"), [
    ({"hidden": 100}, r"hidden is 100: write \[100\]"),
    ({"variant": "corect"}, 'variant is "corect", not one of .*; did you mean "corrected"'),
    ({"bias": (1.0, 1.0, 1.0)}, "bias is .* 2 hidden layers take one number, or 2 of them"),
])  # fmt: skip
def test_a_wrong_parameter_is_one_sentence_when_it_is_fitted(parameters, sentence):
    with pytest.raises(SettingsError, match=f"^{sentence}"):
        regressor(**parameters).fit(X, Y)


def test_a_divergence_says_when_and_what_to_do():
    with pytest.raises(DivergenceError, match=r"^PreBiasRegressor diverged at iteration \d+ \(rate 100\): scale the f"):
        regressor(schedule=[(1, 100.0)]).fit(X, Y)


def test_the_transformer_is_the_encoder_of_a_training_for_pairs_and_ase_s_atoms(small):
    given = list(zip(small.Z, small.R, strict=True))
    transformer = RandomSortedCoulomb(random_state=5).fit(given)
    encoder = Encoder.fit(small, np.arange(60), 1.0, 1.0, stream(5, 0, Purpose.ENCODER))
    assert_allclose(transformer.encoder_.mean, encoder.mean, atol=1e-5)
    drawn = encoder.draw(small, np.arange(60), stream(5, 0, Purpose.PERMUTATIONS))
    atoms = [Atoms(Z[Z > 0], R[Z > 0] * Bohr) for Z, R in given]
    for each in (given, atoms):
        assert_allclose(transformer.transform(each), drawn, atol=1e-3)
    first, second = np.split(transformer.transform(given * 2), 2)
    assert abs(first - second).max() > 0.1  # noise of its own for every draw
    coarse = RandomSortedCoulomb(step=5.0, center=False, random_state=0).fit(given)
    assert not coarse.encoder_.mean.any()
    assert len(coarse.get_feature_names_out()) < drawn.shape[1] / 2


def test_molecules_and_energies_go_through_a_pipeline_and_larger_ones_need_room(small):
    given = list(zip(small.Z, small.R, strict=True))
    network = PreBiasRegressor((20,), iterations=1000, random_state=0)
    pipeline = make_pipeline(RandomSortedCoulomb(atoms=7, random_state=0), network)
    assert cross_val_score(pipeline, given, small.T, cv=3).min() > 0.7
    few = [pair for pair in given if np.count_nonzero(pair[0]) < 7]
    with pytest.raises(QM7Error, match=r"7 atoms, more than the 6 that there is room for; RandomSortedCoulomb\(atoms"):
        RandomSortedCoulomb().fit(few).transform(given)
    for wrong, sentence in (([], "there are no molecules"), ([3], "molecule 0 is neither ASE atoms nor a pair")):
        with pytest.raises(QM7Error, match=f"^{sentence}"):
            RandomSortedCoulomb().fit(wrong)
