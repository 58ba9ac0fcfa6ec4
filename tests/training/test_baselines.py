import math
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

import reference
from qm7cli.core.errors import QM7Error
from qm7cli.core.seeds import Purpose, stream
from qm7cli.data.dataset import load, locate
from qm7cli.data.molecules import Molecule
from qm7cli.data.splits import Fold, select_folds
from qm7cli.model import regressors
from qm7cli.model.baseline_model import load_fold_model
from qm7cli.model.predict import predict_molecules
from qm7cli.model.regressors import model_rows
from qm7cli.runs.access import prepare_run
from qm7cli.runs.experiment import resolve
from qm7cli.runs.models import read_predictions
from qm7cli.training import baselines, hyperparameter_search
from qm7cli.training.train_fold import train_fold

BAGS = {"representation": "bag-of-bonds", "kernel": "laplacian", "scale": 300.0, "ridge": 1e-3}


def given_ids(flags):
    return "-".join(map(str, flags.values())) if isinstance(flags, dict) else None


def fit_to(dataset, run, flags, fold=None, assignments=(), **options):
    """Fit a baseline to a fold of a data set, fold 0 unless it is given; return its result."""
    settings = {"target.subtract" if key == "subtract" else f"baseline.{key}": flags[key] for key in flags}
    experiment = resolve(None, assignments, settings)
    fold = fold or select_folds(dataset, experiment.split)[0]
    prepare_run(run, experiment, [fold.number], dataset, overwrite=False)
    return train_fold(experiment, dataset, fold, run, **options)


@pytest.fixture
def fit(small, tmp_path):
    """Fits a baseline to fold 0 of the small data set; returns the result and the test predictions."""

    def do(fold=None, dataset=small, **flags):
        run = tmp_path / given_ids(flags)
        return fit_to(dataset, run, flags, fold), read_predictions(run, 0).predictions

    return do


@pytest.fixture
def sorted_triangles(small):
    """The sorted Coulomb matrices' upper triangles, one number at a time."""
    return np.array([reference.random_sorted(C.astype(float), np.zeros(len(C))) for C in small.X])


@pytest.fixture
def bags(small):
    """The bags of all molecules, which hold no less than those of some."""
    return reference.bags(list(zip(small.Z, small.R, strict=True)))[0]


@pytest.fixture
def parts(small):
    """Training and test molecules of fold 0."""
    return np.concatenate(small.P[1:]), small.P[0]


@pytest.fixture
def energies(small, parts):
    """Training and test energies of fold 0."""
    return [small.T[part].astype(float) for part in parts]


def laplacian(X, others, scale):
    return np.exp(-abs(X[:, None] - others).sum(axis=2) / scale)


def kernel_ridge(K, L, y, ridge):
    """Return the predictions from the kernel of the training molecules, and of the test molecules with these."""
    return L @ np.linalg.solve(K + ridge * np.eye(len(K)), y - y.mean()) + y.mean()


def test_the_mean_is_that_of_the_training_energies(fit, energies):
    train, test = energies
    result, predictions = fit(model="mean")
    np.testing.assert_allclose(predictions, train.mean())
    assert result.mae == pytest.approx(abs(test - train.mean()).mean())
    assert result.hyperparameters is None


@pytest.mark.parametrize(("representation", "count"), [("sorted", 3), ("eigenspectrum", 1)])
def test_nearest_neighbours_are_those_of_the_representation(fit, small, parts, sorted_triangles, representation, count):
    """Eigenvalues are ordered by magnitude."""
    train, test = parts
    spectra = [sorted(np.linalg.eigvals(C.astype(float)).real, key=abs, reverse=True) for C in small.X]
    X = {"sorted": sorted_triangles, "eigenspectrum": spectra}[representation]
    _, predictions = fit(model="knn", representation=representation, neighbours=count)
    for molecule, prediction in zip(test, predictions, strict=True):
        nearest = sorted(train, key=lambda other: math.dist(X[molecule], X[other]))[:count]
        assert prediction == pytest.approx(np.mean([small.T[other] for other in nearest]))


def test_ridge_regression_minimises_the_penalised_squares(fit, parts, energies, sorted_triangles):
    """Least squares on the matrix with sqrt(ridge) I below it, which needs no normal equations."""
    train, test = parts
    ridge, X, y = 0.1, sorted_triangles[train], energies[0]
    d = X.shape[1]
    stacked = np.vstack([X - X.mean(axis=0), math.sqrt(ridge) * np.eye(d)])
    w = np.linalg.lstsq(stacked, np.concatenate([y - y.mean(), np.zeros(d)]), rcond=None)[0]
    _, predictions = fit(model="linear", ridge=ridge)
    np.testing.assert_allclose(predictions, (sorted_triangles[test] - X.mean(axis=0)) @ w + y.mean(), rtol=1e-6)


def test_the_composition_gives_each_element_its_energy(fit, small, parts, energies):
    train, test = parts
    X = reference.composition(small.Z, [1, 6, 7, 8]).astype(float)
    A = np.column_stack([X, np.ones(len(X))])
    w = np.linalg.lstsq(A[train], energies[0], rcond=None)[0]
    _, predictions = fit(model="linear", representation="composition", ridge=0.0)
    np.testing.assert_allclose(predictions, A[test] @ w, rtol=1e-6)


@pytest.mark.parametrize("kernel", ["gaussian", "laplacian"])
def test_kernel_ridge_regression_solves_its_equation(fit, parts, energies, sorted_triangles, kernel):
    train, test = parts
    scale, ridge = 100.0, 1e-3

    def k(x, other):
        if kernel == "gaussian":
            return math.exp(-sum((x - other) ** 2) / (2 * scale**2))
        return math.exp(-sum(abs(x - other)) / scale)

    K, L = (
        np.array([[k(sorted_triangles[i], sorted_triangles[j]) for j in train] for i in part]) for part in (train, test)
    )
    _, predictions = fit(model="krr", kernel=kernel, scale=scale, ridge=ridge)
    np.testing.assert_allclose(predictions, kernel_ridge(K, L, energies[0], ridge), rtol=1e-7)


@pytest.mark.parametrize(("subtract", "exponent"), [("mean", 1), ("composition", 4)])
def test_kernel_ridge_regression_on_bags_of_bonds_solves_its_equation(fit, small, parts, energies, subtract, exponent):
    """Where the composition is subtracted, the bags are those of pairs alone."""
    train, test = parts
    X, sizes = reference.bags(list(zip(small.Z, small.R, strict=True)), exponent)
    y, known = energies[0], 0
    if subtract == "composition":
        X = X[:, sum(size for (a, _), size in sizes.items() if a == 0) :]
        coefficients, y = reference.composition_target(small.Z[train], small.T[train])
        known = reference.composition(small.Z[test], coefficients) @ [*coefficients.values()]
    expected = kernel_ridge(*(laplacian(X[part], X[train], 300) for part in parts), y, 1e-3) + known
    _, predictions = fit(model="krr", subtract=subtract, exponent=exponent, **BAGS)
    np.testing.assert_allclose(predictions, expected, rtol=1e-5)


def test_what_the_training_molecules_have_less_of_is_represented_where_distances_count_and_else_refused(
    fit, small, bags
):
    """Zeros in all training molecules change no distance between these; a regression would learn nothing of them."""
    carbons = [int(np.count_nonzero(Z == 6)) for Z in small.Z]
    train, test = np.flatnonzero(np.equal(carbons, 1))[:8], np.argsort(carbons, kind="stable")[-4:]
    K, L = (laplacian(bags[part], bags[train], 300) for part in (train, test))
    _, predictions = fit(fold=Fold(0, train, test), model="krr", **BAGS)
    np.testing.assert_allclose(predictions, kernel_ridge(K, L, small.T[train].astype(float), 1e-3), rtol=1e-5)
    refused = r"fold 0: its test molecule \d+ cannot be represented: \d C, more than the 1 that the model takes"
    with pytest.raises(QM7Error, match=refused):
        fit(fold=Fold(0, train, test), model="linear", representation="bag-of-bonds", ridge=1e-3)


SAVED = [
    {"model": "mean"},
    {"model": "knn", "neighbours": 3, "representation": "eigenspectrum"},
    {"model": "linear", "ridge": 0.1},
    {"model": "linear", "ridge": 0.1, "representation": "composition"},
    {"model": "krr", **BAGS},
    {"model": "krr", **BAGS, "exponent": 4, "subtract": "composition"},
]


@pytest.fixture
def saved(fit, tmp_path):
    """Fits a baseline and returns its model as its file has it, with the test predictions of the fit."""

    def do(**flags):
        _, predictions = fit(**flags)
        return load_fold_model(tmp_path / given_ids(flags) / "fold-0/model.npz"), predictions

    return do


@pytest.mark.parametrize("flags", SAVED, ids=given_ids)
def test_a_saved_baseline_predicts_what_the_fit_predicted_whatever_the_atoms_order(saved, small, parts, flags):
    model, predictions = saved(**flags)
    np.testing.assert_array_equal(model.evaluate(small, "test", 1).predictions[0], predictions)
    for k, expected in list(zip(parts[1], predictions, strict=True))[:4]:
        shuffled = np.random.default_rng(0).permutation(np.flatnonzero(small.Z[k]))
        (one,) = predict_molecules([model], [Molecule("m", small.Z[k][shuffled], small.R[k][shuffled])], 7)
        assert one.energy == pytest.approx(expected, rel=1e-5)
        assert one.spread is None


@pytest.mark.parametrize(("flags", "Z", "warning"), [
    (SAVED[4], [6, 6, 6, 6, 6, 6, 6], "7 C, more than the "),
    (SAVED[5], [6, 14], "Si: no molecule with it was trained on"),
    (SAVED[3], [6, 14], "Si, an element that the model does not take"),
    (SAVED[2], [1] * 8, "8 atoms, more than the 7 that the model takes"),
], ids=given_ids)  # fmt: skip
def test_a_molecule_that_the_representation_does_not_hold_is_not_cut(saved, flags, Z, warning):
    model, _ = saved(**flags)
    places = 2.5 * np.array([(k, k % 2, k % 3) for k in range(len(Z))], dtype=np.float32)
    (one,) = predict_molecules([model], [Molecule("m", np.array(Z, dtype=np.float32), places)])
    assert one.energy is None
    assert one.warnings[0].startswith(warning)


@pytest.mark.parametrize("kernel", [None, "gaussian", "laplacian"])
def test_distances_are_the_same_to_the_digit_however_they_are_divided(kernel, monkeypatch):
    X = np.random.default_rng(0).normal(size=(150, 9)).astype(np.float32)
    settings = resolve(None, [], {"baseline.model": "krr" if kernel else "knn", "baseline.kernel": kernel}).baseline
    distances = model_rows(settings, X, X)
    np.testing.assert_array_equal(distances, distances.T)
    for points in (X.copy(), X):
        for block, threads in ((7, 1), (64, 3), (1000, 8)):
            monkeypatch.setattr(regressors, "BLOCK", block)
            monkeypatch.setattr(regressors, "THREADS", threads)
            np.testing.assert_array_equal(model_rows(settings, X, points), distances)


@pytest.mark.parametrize("model", ["knn", "krr"])
def test_each_draw_of_a_molecule_has_its_energy_and_predictions_are_means_over_draws(
    fit, small, parts, energies, model
):
    """Drawn from the same streams, one molecule at a time."""
    train, test = parts
    X = np.concatenate(list(drawn(small, train, Purpose.BASELINE, 2)))
    y = np.tile(energies[0], 2)
    expected = []
    for Z in drawn(small, test, Purpose.TEST_EVALUATION, 10):
        if model == "knn":
            nearest = [np.argsort([math.dist(z, x) for x in X])[:3] for z in Z]
            expected.append([y[places].mean() for places in nearest])
        else:
            expected.append(kernel_ridge(laplacian(X, X, 300), laplacian(Z, X, 300), y, 0.01))
    given = {"knn": {"neighbours": 3}, "krr": {"kernel": "laplacian", "scale": 300.0, "ridge": 0.01}}[model]
    _, predictions = fit(model=model, representation="random", draws=2, **given)
    np.testing.assert_allclose(predictions, np.mean(expected, axis=0), rtol=1e-5)


def drawn(dataset, molecules, purpose, count):
    """Give draws of the randomly sorted matrices of some molecules, from a stream of fold 0."""
    rng = stream(0, 0, purpose)
    for _ in range(count):
        noise = rng.standard_normal((len(molecules), dataset.Z.shape[1]), np.float32)
        rows = [reference.random_sorted(dataset.X[k], e) for k, e in zip(molecules, noise, strict=True)]
        yield np.array(rows).astype(float)


def test_hyperparameters_are_found_without_the_test_molecules(fit, small, parts):
    """With other energies of the test molecules, the same ones are found."""
    first, _ = fit(model="krr", kernel="laplacian")
    assert set(first.hyperparameters) == {"scale", "ridge"}
    T = small.T.copy()
    T[parts[1]] += 1000
    second, _ = fit(dataset=replace(small, T=T), model="krr", kernel="laplacian", memory=1)
    assert second.hyperparameters == first.hyperparameters
    assert second.mae > 900 > first.mae


@pytest.fixture
def heard(monkeypatch):
    """What is looked at in the search: a candidate, the rows, the energies, the inner folds and the error each time."""
    trials = []
    right = hyperparameter_search.inner_error

    def hear(settings, *what):
        trials.append((*what, right(settings, *what)))
        return trials[-1][-1]

    monkeypatch.setattr(hyperparameter_search, "inner_error", hear)
    return trials


@pytest.mark.parametrize("model", ["knn", "linear", "krr"])
def test_the_hyperparameters_found_err_least_in_the_inner_folds(fit, model, heard):
    result, _ = fit(model=model)
    assert len(heard) > 3
    assert result.hyperparameters == min(heard, key=lambda trial: trial[-1])[0]


def test_what_is_searched_is_what_is_fitted(fit, small, parts, energies, heard):
    """All draws of the inner training molecules, with predictions averaged over the draws of the held-out ones."""
    draws, ridge, y = 3, 1e-4, energies[0]
    fit(model="krr", representation="random", kernel="laplacian", draws=draws, ridge=ridge)
    X = np.array(list(drawn(small, parts[0], Purpose.BASELINE, draws)))
    for candidate, _, _, folds, error in heard:
        errors = []
        for held_out in folds:
            rest = np.setdiff1d(np.arange(len(y)), held_out)
            ours, theirs = (X[:, part].reshape(-1, X.shape[2]) for part in (rest, held_out))
            K, L = (laplacian(part, ours, candidate["scale"]) for part in (ours, theirs))
            predictions = kernel_ridge(K, L, np.tile(y[rest], draws), ridge).reshape(draws, -1).mean(axis=0)
            errors.append(abs(predictions - y[held_out]))
        assert error == pytest.approx(np.concatenate(errors).mean(), rel=1e-5)
    assert len(heard) == 6


@pytest.mark.parametrize("model", ["knn", "krr"])
def test_where_all_draws_are_too_many_fewer_molecules_spread_over_the_energies_are_searched(
    fit, energies, heard, monkeypatch, model
):
    """As many as have so many draws, and no fewer draws than there are molecules."""
    by_energy = np.sort(energies[0])
    for searched, count in ((10, 12), (100, 25), (200, 48)):
        monkeypatch.setattr(hyperparameter_search, "SEARCHED", searched)
        heard.clear()
        fit(model=model, representation="random", memory=searched)
        _, rows, y, folds, _ = heard[0]
        assert rows.shape == (4 * count, 4 * count)
        assert np.array_equal(np.sort(np.concatenate(folds)), np.arange(count))
        places = np.searchsorted(by_energy, np.sort(y))
        assert np.diff([-1, *places, 48]).max() <= math.ceil(48 / count)
        assert {*y} <= {*by_energy}


def test_one_form_of_each_molecule_is_never_too_many_and_what_is_given_is_kept(fit, heard, monkeypatch):
    monkeypatch.setattr(hyperparameter_search, "SEARCHED", 10)
    assert fit(model="krr", scale=77.0)[0].hyperparameters["scale"] == 77.0
    assert {rows.shape for _, rows, *_ in heard} == {(48, 48)}


def test_the_error_of_a_singular_matrix_is_infinite():
    settings = resolve(None, [], {"baseline.model": "krr"}).baseline
    folds = [np.array([0, 3, 6]), np.array([1, 4, 7]), np.array([2, 5, 8])]
    given = {"scale": 1e9, "ridge": 0.0}, np.zeros((9, 9)), np.arange(9.0), folds
    assert hyperparameter_search.inner_error(settings, *given) == math.inf


def test_the_best_of_the_grid_is_looked_at_more_closely():
    settings = resolve(None, [], {"baseline.model": "krr", "baseline.scale": 3}).baseline
    assert hyperparameter_search.finer_candidates(settings, {"scale": 3.0, "ridge": 1e-4}) == [
        {"scale": 3.0, "ridge": pytest.approx(1e-5)},
        {"scale": 3.0, "ridge": pytest.approx(1e-3)},
    ]


def test_a_finished_fold_is_not_fitted_again(fit, monkeypatch):
    first, _ = fit(model="mean")
    monkeypatch.setattr(baselines, "find_hyperparameters", None)
    assert fit(model="mean")[0] == first


@pytest.mark.parametrize("flags", [
    {"model": "krr", "representation": "random", "draws": 3, "scale": 100.0, "ridge": 1e-6},
    {"model": "krr"},
    {"model": "knn", "representation": "eigenspectrum"},
    {"model": "linear"},
], ids=given_ids)  # fmt: skip
def test_a_fit_takes_no_more_memory_than_it_says(tmp_path, flags):
    """On bundled molecules, where matrices are larger than all else."""
    dataset = load(locate("gfn7"))
    tracemalloc.start()
    try:
        fit_to(dataset, tmp_path, flags, assignments=["split.train_size=1000"])
        peak = tracemalloc.get_traced_memory()[1] / 1e9
    finally:
        tracemalloc.stop()
    experiment = resolve(None, ["split.train_size=1000"], {f"baseline.{key}": flags[key] for key in flags})
    needed = baselines.needed_memory(experiment, dataset, select_folds(dataset, experiment.split)[0])
    assert 0.4 * needed < peak < needed


def test_too_much_memory_is_refused_with_the_figure_and_nothing_is_written(small, tmp_path):
    with pytest.raises(QM7Error, match=r"fold 0 would take 0\.000\d+ GB, more than baseline.memory allows \(1e-06\)"):
        fit_to(small, tmp_path / "run", {"model": "krr", "memory": 1e-6})
    assert not (tmp_path / "run" / "config.yaml").exists()


@pytest.mark.parametrize(("train", "flags", "message"), [
    (range(5), {"model": "krr"}, r"fold 0 has too few training molecules \(5\) to find scale; give it"),
    (range(5), {"model": "knn", "neighbours": 6}, "fold 0 has 5 training molecules, fewer than the 6 neighbors"),
    ([0, 0, 1, 1], {"model": "krr", "scale": 100.0, "ridge": 0.0}, "matrix is singular; a larger ridge helps"),
])  # fmt: skip
def test_molecules_that_are_too_few_or_there_twice_are_refused(fit, train, flags, message):
    with pytest.raises(QM7Error, match=message):
        fit(fold=Fold(0, np.array(train), np.arange(10, 20)), **flags)


def test_stopped_in_the_search_nothing_is_found(small, tmp_path):
    reported = []
    stopped = {"report": reported.append, "stopped": lambda: len(reported) >= 3}
    result = fit_to(small, tmp_path, {"model": "krr"}, **stopped)
    assert (result.status, result.mae, len(reported)) == ("partial", None, 3)
    assert fit_to(small, tmp_path, {"model": "krr"}).status == "complete"


@pytest.mark.realdata
@pytest.mark.parametrize(("flags", "mae"), [
    ({"model": "mean"}, 179.10),
    ({"model": "linear", "representation": "composition", "ridge": 1e-3}, 16.2),
    ({"model": "krr", "kernel": "laplacian", "representation": "bag-of-bonds", "scale": 1000, "ridge": 1e-6}, 2.46),
    ({"model": "knn", "neighbours": 5}, 72.6),
], ids=given_ids)  # fmt: skip
def test_the_errors_on_qm7_are_those_expected(qm7, tmp_path, flags, mae):
    assert fit_to(qm7, tmp_path, flags).mae == pytest.approx(mae, abs=0.05)
