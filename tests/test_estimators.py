from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.units import Bohr
from numpy.testing import assert_allclose, assert_array_equal

from qm7cli.core.errors import QM7Error
from qm7cli.core.seeds import Purpose, stream
from qm7cli.core.validation import SettingsError
from qm7cli.data.splits import select_folds
from qm7cli.model.encoder import Encoder
from qm7cli.training.descent import DivergenceError
from qm7cli.training.fold_training import FoldTraining

sklearn = pytest.importorskip("sklearn")
from sklearn.base import clone  # noqa: E402
from sklearn.datasets import make_friedman1  # noqa: E402
from sklearn.exceptions import NotFittedError  # noqa: E402
from sklearn.model_selection import GridSearchCV, cross_val_score  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402
from sklearn.utils.estimator_checks import parametrize_with_checks  # noqa: E402

from qm7cli.estimators import PreBiasRegressor, RandomSortedCoulomb  # noqa: E402

X, Y = make_friedman1(300, random_state=0)
X = StandardScaler().fit_transform(X)


def regressor(**parameters):
    return PreBiasRegressor(**{"hidden": (30, 10), "iterations": 400, "random_state": 0, **parameters})


@parametrize_with_checks([regressor(random_state=None), regressor(variant="corrected", offset=1.0, bias=(0.5, 0.0))])
def test_the_regressor_is_one_of_scikit_learn_s(estimator, check):
    check(estimator)


@pytest.mark.parametrize(
    ("variant", "activation"), [("original", "tanh"), ("corrected", "logistic"), ("no-prebias", "relu")]
)
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
    expected = training.model().energies(features, small.Z[training.fold.train])
    assert_allclose(ours.predict(features), expected, atol=2e-3)
    assert np.std(expected) > 1


def test_it_learns_and_more_than_a_line():
    scores = cross_val_score(regressor(iterations=4000), X, Y, cv=3)
    assert scores.min() > 0.6
    nonlinear = np.sin(2 * X[:, 0])
    assert regressor(iterations=4000).fit(X, nonlinear).score(X, nonlinear) > 0.8


def test_the_same_random_state_gives_the_same_bits_and_another_one_others():
    first, again, other, unseeded = (regressor(random_state=seed).fit(X, Y).predict(X) for seed in (0, 0, 1, None))
    assert_array_equal(first, again)
    assert abs(first - other).max() > 0
    assert abs(first - unseeded).max() > 0
    state = np.random.RandomState(0)
    assert (
        abs(
            regressor(random_state=state).fit(X, Y).predict(X) - regressor(random_state=state).fit(X, Y).predict(X)
        ).max()
        > 0
    )


def test_targets_of_any_scale_are_learnt_alike():
    small, large = (regressor().fit(X, scale * Y + shift).predict(X) for scale, shift in ((1, 0), (1e6, 1e9)))
    assert_allclose((large - 1e9) / 1e6, small, atol=1e-4)
    assert_allclose(regressor().fit(X, np.full(len(X), 7.0)).predict(X), 7)
    with pytest.raises(ValueError, match=r"^the targets are too large"):
        regressor().fit(X, Y * 1e300)


def test_a_batch_may_be_larger_than_the_training_set():
    assert regressor(batch_size=100).fit(X[:5], Y[:5]).score(X[:5], Y[:5]) > 0.9


def test_it_is_searched_and_piped():
    search = GridSearchCV(
        make_pipeline(StandardScaler(), regressor()),
        {"prebiasregressor__variant": ["original", "no-prebias"], "prebiasregressor__iterations": np.array([20, 400])},
        cv=3,
    )
    assert search.fit(X, Y).best_params_["prebiasregressor__iterations"] == 400
    assert search.score(X, Y) > 0.6


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"iterations": 0}, "iterations is 0, but should be greater than or equal to 1"),
        ({"hidden": 100}, "hidden is 100, but should be a valid list"),
        ({"hidden": (10, 0)}, "hidden.1 is 0, but should be greater than or equal to 1"),
        ({"variant": "corect"}, 'variant is "corect", not one of .*; did you mean "corrected"'),
        ({"schedule": ((2, 0.1),)}, "schedule is .* starts at iteration 1 and goes up"),
        ({"bias": (1.0, 1.0, 1.0)}, "bias is .* 2 hidden layers take one number, or 2 of them"),
        ({"random_state": -1}, "seed is -1, but should be greater than or equal to 0"),
    ],
)
def test_a_wrong_parameter_is_one_sentence_when_it_is_fitted(parameters, sentence):
    with pytest.raises(SettingsError, match=f"^{sentence}") as error:
        regressor(**parameters).fit(X, Y)
    assert isinstance(error.value, ValueError)


def test_a_divergence_says_when_and_what_to_do():
    with pytest.raises(
        DivergenceError, match=r"^PreBiasRegressor diverged at iteration \d+ \(rate 100\): scale the fea"
    ):
        regressor(schedule=[(1, 100.0)]).fit(X, Y)


def molecules(dataset):
    return list(zip(dataset.Z, dataset.R, strict=True))


def test_the_transformer_is_the_encoder_of_a_training(small):
    transformer = RandomSortedCoulomb(random_state=5).fit(molecules(small))
    encoder = Encoder.fit(small, np.arange(60), 1.0, 1.0, stream(5, 0, Purpose.ENCODER))
    assert_array_equal(transformer.encoder_.counts, encoder.counts)
    assert_allclose(transformer.encoder_.mean, encoder.mean, atol=1e-5)
    drawn = encoder.draw(small, np.arange(60), stream(5, 0, Purpose.PERMUTATIONS))
    assert_allclose(transformer.transform(molecules(small)), drawn, atol=1e-3)
    assert transformer.get_feature_names_out()[-1] == f"randomsortedcoulomb{drawn.shape[1] - 1}"


def test_ase_s_atoms_and_pairs_are_the_same_molecules(small):
    atoms = [Atoms(Z[Z > 0], R[Z > 0] * Bohr) for Z, R in molecules(small)]
    ours, theirs = (RandomSortedCoulomb(random_state=0).fit_transform(each) for each in (atoms, molecules(small)))
    assert ours.dtype == np.float32
    assert_allclose(ours, theirs, atol=1e-3)


def test_every_molecule_is_drawn_with_noise_of_its_own(small):
    given = molecules(small)
    transformer = RandomSortedCoulomb(random_state=0).fit(given)
    first, second = np.split(transformer.transform(given * 2), 2)
    assert abs(first - second).max() > 0.1
    assert_array_equal(transformer.transform(given * 2)[:60], first)
    fresh = RandomSortedCoulomb().fit(given)
    assert abs(fresh.transform(given) - fresh.transform(given)).max() > 0.1
    sorted_ = RandomSortedCoulomb(noise=0).fit(given)
    assert_array_equal(sorted_.transform(given), sorted_.transform(given))


def test_parameters_of_the_transformer_are_those_of_the_encoder(small):
    coarse = RandomSortedCoulomb(step=5.0, centre=False, random_state=0).fit(molecules(small))
    assert coarse.encoder_.step == 5
    assert not coarse.encoder_.mean.any()
    assert len(coarse.encoder_.mean) < len(RandomSortedCoulomb(random_state=0).fit(molecules(small)).encoder_.mean) / 2
    with pytest.raises(SettingsError, match=r"^step is 0"):
        RandomSortedCoulomb(step=0).fit(molecules(small))


def test_molecules_and_energies_go_through_a_pipeline_and_its_validation(small):
    network = PreBiasRegressor((20,), iterations=1000, random_state=0)
    pipeline = make_pipeline(RandomSortedCoulomb(atoms=7, random_state=0), network)
    assert cross_val_score(clone(pipeline), molecules(small), small.T, cv=3).min() > 0.7


def test_a_molecule_larger_than_those_fitted_needs_room(small):
    sizes = np.count_nonzero(small.Z, axis=1)
    given = molecules(small)
    few = [pair for pair, size in zip(given, sizes, strict=True) if size < 7]
    with pytest.raises(QM7Error, match=r"7 atoms, more than the 6 that there is room for; RandomSortedCoulomb\(atoms"):
        RandomSortedCoulomb().fit(few).transform(given)
    assert len(RandomSortedCoulomb(atoms=7).fit(few).transform(given)) == 60
    with pytest.raises(QM7Error, match="7 atoms, more than the 3"):
        RandomSortedCoulomb(atoms=3).fit(given)


def test_what_the_transformer_cannot_do_is_one_sentence(small):
    with pytest.raises(NotFittedError):
        RandomSortedCoulomb().transform(molecules(small))
    for given, sentence in (([], "there are no molecules"), ([3], "molecule 0 is neither ASE atoms nor a pair")):
        with pytest.raises(QM7Error, match=f"^{sentence}"):
            RandomSortedCoulomb().fit(given)
    same = molecules(replace(small, Z=small.Z[:1], R=small.R[:1]))
    with pytest.raises(QM7Error, match="the features of all training molecules are the same"):
        RandomSortedCoulomb(noise=0).fit(same)
