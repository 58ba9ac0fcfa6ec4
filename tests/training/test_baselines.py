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
from qm7cli.runs.collect import find_runs
from qm7cli.runs.experiment import resolve
from qm7cli.runs.predictions import read_predictions
from qm7cli.training import baselines, hyperparameter_search
from qm7cli.training.baselines import fit_fold, needed_memory


@pytest.fixture
def fit(small, tmp_path):
    """Fits a baseline to fold 0 of the small data set; returns the result and the test predictions."""

    def do(fold=None, dataset=small, **flags):
        settings = {"target.subtract" if key == "subtract" else f"baseline.{key}": flags[key] for key in flags}
        experiment = resolve(None, [], settings)
        run = tmp_path / "-".join(map(str, flags.values()))
        fold = fold or select_folds(dataset, experiment.split)[0]
        prepare_run(run, experiment, [fold.number], dataset, overwrite=False)
        result = fit_fold(experiment, dataset, fold, run)
        (found,) = find_runs([run])
        return result, read_predictions(found.path, fold.number).predictions

    return do


@pytest.fixture
def sorted_triangles(small):
    """The sorted Coulomb matrices' upper triangles, one number at a time."""
    return np.array([reference.random_sorted(C.astype(float), np.zeros(len(C))) for C in small.X])


@pytest.fixture
def parts(small):
    """Training and test molecules of fold 0."""
    return np.concatenate(small.P[1:]), small.P[0]


def test_the_mean_is_that_of_the_training_energies(fit, small, parts):
    train, test = parts
    result, predictions = fit(model="mean")
    np.testing.assert_allclose(predictions, small.T[train].astype(float).mean())
    assert result.mae == pytest.approx(abs(small.T[test] - small.T[train].astype(float).mean()).mean())
    assert result.hyperparameters is None


def test_nearest_neighbours_are_those_of_the_sorted_matrices(fit, small, parts, sorted_triangles):
    train, test = parts
    _, predictions = fit(model="knn", neighbours=3)
    for molecule, prediction in zip(test, predictions, strict=True):
        nearest = sorted(train, key=lambda other: math.dist(sorted_triangles[molecule], sorted_triangles[other]))[:3]
        assert prediction == pytest.approx(np.mean([small.T[other] for other in nearest]))


def test_ridge_regression_minimises_the_penalised_squares(fit, small, parts, sorted_triangles):
    """Least squares on the matrix with sqrt(ridge) I below it, which needs no normal equations."""
    train, test = parts
    ridge = 0.1
    X, y = sorted_triangles[train], small.T[train].astype(float)
    d = X.shape[1]
    stacked = np.vstack([X - X.mean(axis=0), math.sqrt(ridge) * np.eye(d)])
    w = np.linalg.lstsq(stacked, np.concatenate([y - y.mean(), np.zeros(d)]), rcond=None)[0]
    _, predictions = fit(model="linear", ridge=ridge)
    np.testing.assert_allclose(predictions, (sorted_triangles[test] - X.mean(axis=0)) @ w + y.mean(), rtol=1e-6)


@pytest.mark.parametrize("kernel", ["gaussian", "laplacian"])
def test_kernel_ridge_regression_solves_its_equation(fit, small, parts, sorted_triangles, kernel):
    train, test = parts
    scale, ridge = 100.0, 1e-3

    def k(x, other):
        if kernel == "gaussian":
            return math.exp(-sum((x - other) ** 2) / (2 * scale**2))
        return math.exp(-sum(abs(x - other)) / scale)

    K = np.array([[k(sorted_triangles[i], sorted_triangles[j]) for j in train] for i in train])
    y = small.T[train].astype(float)
    a = np.linalg.solve(K + ridge * np.eye(len(train)), y - y.mean())
    expected = [sum(a * [k(sorted_triangles[i], sorted_triangles[j]) for j in train]) + y.mean() for i in test]
    _, predictions = fit(model="krr", kernel=kernel, scale=scale, ridge=ridge)
    np.testing.assert_allclose(predictions, expected, rtol=1e-7)


def test_the_eigenspectrum_is_ordered_by_magnitude(fit, small, parts):
    train, test = parts
    spectra = np.array([sorted(np.linalg.eigvals(C.astype(float)).real, key=abs, reverse=True) for C in small.X])
    _, predictions = fit(model="knn", representation="eigenspectrum", neighbours=1)
    for molecule, prediction in zip(test, predictions, strict=True):
        assert prediction == small.T[min(train, key=lambda other: math.dist(spectra[molecule], spectra[other]))]


def test_kernel_ridge_regression_on_bags_of_bonds_solves_its_equation(fit, small, parts):
    """The bags of all molecules, which hold no less than those of some."""
    train, test = parts
    X, _ = reference.bags(list(zip(small.Z, small.R, strict=True)))
    K, L = (np.exp(-abs(X[part][:, None] - X[train]).sum(axis=2) / 300) for part in (train, test))
    y = small.T[train].astype(float)
    expected = L @ np.linalg.solve(K + 1e-3 * np.eye(len(train)), y - y.mean()) + y.mean()
    _, predictions = fit(model="krr", kernel="laplacian", representation="bag-of-bonds", scale=300.0, ridge=1e-3)
    np.testing.assert_allclose(predictions, expected, rtol=1e-5)


@pytest.mark.parametrize("exponent", [1, 4])
def test_without_the_composition_bags_are_those_of_pairs(fit, small, parts, exponent):
    train, test = parts
    X, sizes = reference.bags(list(zip(small.Z, small.R, strict=True)), exponent)
    X = X[:, sum(size for (a, _), size in sizes.items() if a == 0) :]
    K, L = (np.exp(-abs(X[part][:, None] - X[train]).sum(axis=2) / 300) for part in (train, test))
    coefficients, y = reference.composition_target(small.Z[train], small.T[train])
    known = reference.composition(small.Z[test], coefficients) @ [*coefficients.values()]
    expected = L @ np.linalg.solve(K + 1e-3 * np.eye(len(train)), y - y.mean()) + y.mean() + known
    given = {"representation": "bag-of-bonds", "scale": 300.0, "ridge": 1e-3, "exponent": exponent}
    _, predictions = fit(model="krr", kernel="laplacian", subtract="composition", **given)
    np.testing.assert_allclose(predictions, expected, rtol=1e-5)


def test_the_composition_gives_each_element_its_energy(fit, small, parts):
    train, test = parts
    X = reference.composition(small.Z, [1, 6, 7, 8]).astype(float)
    A, y = np.column_stack([X, np.ones(len(X))]), small.T.astype(float)
    w = np.linalg.lstsq(A[train], y[train], rcond=None)[0]
    _, predictions = fit(model="linear", representation="composition", ridge=0.0)
    np.testing.assert_allclose(predictions, A[test] @ w, rtol=1e-6)


@pytest.fixture
def outgrown(small):
    """A fold of few training molecules, with a test molecule that has more pairs than each of these."""
    counts = [int(np.count_nonzero(Z == 6)) for Z in small.Z]
    return Fold(0, np.flatnonzero(np.equal(counts, 1))[:8], np.argsort(counts, kind="stable")[-4:])


def test_what_the_training_molecules_have_less_of_is_represented_where_distances_count_and_else_refused(
    fit, small, outgrown
):
    """Zeros in all training molecules change no distance between these; a regression would learn nothing of them."""
    given = {"representation": "bag-of-bonds", "ridge": 1e-3}
    X, _ = reference.bags(list(zip(small.Z, small.R, strict=True)))
    train, y = outgrown.train, small.T[outgrown.train].astype(float)
    K, L = (np.exp(-abs(X[part][:, None] - X[train]).sum(axis=2) / 300) for part in (train, outgrown.test))
    expected = L @ np.linalg.solve(K + 1e-3 * np.eye(len(train)), y - y.mean()) + y.mean()
    _, predictions = fit(fold=outgrown, model="krr", kernel="laplacian", scale=300.0, **given)
    np.testing.assert_allclose(predictions, expected, rtol=1e-5)
    with pytest.raises(
        QM7Error,
        match=r"fold 0: its test molecule \d+ cannot be represented: \d C, more than the 1 that the model takes",
    ):
        fit(fold=outgrown, model="linear", **given)


ALL = [
    {"model": "mean"},
    {"model": "knn", "neighbours": 3, "representation": "eigenspectrum"},
    {"model": "linear", "ridge": 0.1},
    {"model": "linear", "ridge": 0.1, "representation": "composition"},
    {"model": "krr", "kernel": "laplacian", "representation": "bag-of-bonds", "scale": 300.0, "ridge": 1e-3},
    {
        "model": "krr",
        "representation": "bag-of-bonds",
        "exponent": 4,
        "scale": 9.0,
        "ridge": 1,
        "subtract": "composition",
    },
    {"model": "krr", "kernel": "gaussian", "representation": "random", "draws": 2, "scale": 30.0, "ridge": 1e-3},
]


def given_ids(flags):
    return "-".join(map(str, flags.values()))


@pytest.fixture
def saved(fit, tmp_path):
    """Fits a baseline and returns its model as its file has it, with the test predictions of the fit."""

    def do(**flags):
        _, predictions = fit(**flags)
        return load_fold_model(tmp_path / given_ids(flags) / "fold-0/model.npz"), predictions

    return do


@pytest.mark.parametrize("flags", ALL, ids=given_ids)
def test_a_saved_baseline_predicts_what_the_fit_predicted(saved, small, flags):
    model, predictions = saved(**flags)
    evaluated = model.evaluate(small, "test", model.draws_of(None))
    np.testing.assert_array_equal(evaluated.predictions.mean(axis=0), predictions)
    assert len(evaluated.predictions) == (10 if model.representation.noise else 1)


@pytest.mark.parametrize("flags", ALL[:-1], ids=given_ids)
def test_a_molecule_s_prediction_depends_on_neither_its_atoms_order_nor_the_data_set(saved, small, parts, flags):
    model, predictions = saved(**flags)
    for k, expected in list(zip(parts[1], predictions, strict=True))[:4]:
        shuffled = np.random.default_rng(0).permutation(np.flatnonzero(small.Z[k]))
        (one,) = predict_molecules([model], [Molecule("m", small.Z[k][shuffled], small.R[k][shuffled])], 7)
        assert one.energy == pytest.approx(expected, rel=1e-5)
        assert one.spread is None


def test_a_baseline_on_random_matrices_draws_as_a_network_does(saved, small, parts):
    model, predictions = saved(**ALL[-1])
    k = parts[1][0]
    own = Molecule("m", small.Z[k][small.Z[k] > 0], small.R[k][small.Z[k] > 0])
    few, many = predict_molecules([model], [own], 3)[0], predict_molecules([model], [own])[0]
    assert 0 < few.spread != many.spread > 0
    assert many.energy == pytest.approx(predictions[0], abs=3 * many.spread)


@pytest.mark.parametrize(
    ("flags", "Z", "warning"),
    [
        (ALL[4], [6, 6, 6, 6, 6, 6, 6], "7 C, more than the "),
        (ALL[4], [6, 14], "Si, an element that the model does not take"),
        (ALL[5], [6, 14], "Si: no molecule with it was trained on"),
        (ALL[3], [6, 14], "Si, an element that the model does not take"),
        (ALL[2], [1] * 8, "8 atoms, more than the 7 that the model takes"),
    ],
)
def test_a_molecule_that_the_representation_does_not_hold_is_not_cut(saved, flags, Z, warning):
    model, _ = saved(**flags)
    places = 2.5 * np.array([(k, k % 2, k % 3) for k in range(len(Z))], dtype=np.float32)
    (one,) = predict_molecules([model], [Molecule("m", np.array(Z, dtype=np.float32), places)])
    assert one.energy is None
    assert one.warnings[0].startswith(warning)


@pytest.mark.parametrize("metric", [None, "gaussian", "laplacian"])
def test_distances_are_the_same_to_the_digit_however_they_are_divided(metric, monkeypatch):
    X = np.random.default_rng(0).normal(size=(150, 9)).astype(np.float32)
    settings = resolve(None, [], {"baseline.model": "krr" if metric else "knn", "baseline.kernel": metric}).baseline
    distances = model_rows(settings, X, X)
    np.testing.assert_array_equal(distances, distances.T)
    for points in (X.copy(), X):
        for block, threads in ((7, 1), (64, 3), (1000, 8)):
            monkeypatch.setattr(regressors, "BLOCK", block)
            monkeypatch.setattr(regressors, "THREADS", threads)
            np.testing.assert_array_equal(model_rows(settings, X, points), distances)


def test_more_draws_of_each_molecule_make_predictions_less_a_matter_of_order(fit):
    """With noise on the row norms a molecule has many forms; of the sorted form there is one."""
    given = {"model": "krr", "kernel": "laplacian", "scale": 500, "ridge": 1e-6}
    one, several, alone = (fit(**given, **more)[0].mae for more in (
        {"representation": "random", "draws": 1}, {"representation": "random", "draws": 4}, {},
    ))  # fmt: skip
    assert len({one, several, alone}) == 3


def test_hyperparameters_are_found_without_the_test_molecules(fit, small, parts):
    """With other energies of the test molecules, the same ones are found."""
    _, test = parts
    first, _ = fit(model="krr", kernel="laplacian")
    assert set(first.hyperparameters) == {"scale", "ridge"}
    T = small.T.copy()
    T[test] += 1000
    second, _ = fit(dataset=replace(small, T=T), model="krr", kernel="laplacian", memory=1)
    assert second.hyperparameters == first.hyperparameters
    assert second.mae > 900 > first.mae


@pytest.mark.parametrize("model", ["knn", "linear", "krr"])
def test_the_hyperparameters_found_err_least_in_the_inner_folds(fit, model, monkeypatch):
    tried = {}
    right = hyperparameter_search.inner_error

    def heard(settings, candidate, *rest):
        tried[tuple(candidate.items())] = right(settings, candidate, *rest)
        return tried[tuple(candidate.items())]

    monkeypatch.setattr(hyperparameter_search, "inner_error", heard)
    result, _ = fit(model=model)
    assert len(tried) > 3
    assert tuple(result.hyperparameters.items()) == min(tried, key=tried.get)


@pytest.fixture
def heard(monkeypatch):
    """What is looked at in the search: a candidate, the rows, the energies and the inner folds of each trial."""
    trials = []
    right = hyperparameter_search.inner_error

    def hear(_, *what):
        trials.append((*what, right(_, *what)))
        return trials[-1][-1]

    monkeypatch.setattr(hyperparameter_search, "inner_error", hear)
    return trials


def test_what_is_searched_is_what_is_fitted(fit, small, parts, heard):
    """All draws of the inner training molecules, with predictions averaged over the draws of the held-out ones."""
    train, _ = parts
    draws, ridge, n = 3, 1e-4, len(parts[0])
    fit(model="krr", representation="random", kernel="laplacian", draws=draws, ridge=ridge)
    rng = stream(0, 0, Purpose.BASELINE)
    noise = [rng.standard_normal((n, small.Z.shape[1]), np.float32) for _ in range(draws)]
    X = np.array([[reference.random_sorted(small.X[k], e) for k, e in zip(train, es, strict=True)] for es in noise])
    y = small.T[train].astype(float)
    for candidate, _, _, folds, error in heard:
        errors = []
        for held_out in folds:
            rest = [k for k in range(n) if k not in held_out]
            ours, theirs = (X[:, part].reshape(-1, X.shape[2]).astype(float) for part in (rest, held_out))
            K, L = (np.exp(-abs(A[:, None] - ours).sum(axis=2) / candidate["scale"]) for A in (ours, theirs))
            z = np.tile(y[rest], draws)
            a = np.linalg.solve(K + ridge * np.eye(len(K)), z - z.mean())
            errors.append(abs((L @ a + z.mean()).reshape(draws, -1).mean(axis=0) - y[held_out]))
        assert error == pytest.approx(np.concatenate(errors).mean(), rel=1e-5)
    assert len(heard) == 6


@pytest.mark.parametrize("model", ["knn", "krr"])
def test_where_all_draws_are_too_many_fewer_molecules_spread_over_the_energies_are_searched(
    fit, small, parts, heard, monkeypatch, model
):
    """As many as have so many draws, and no fewer draws than there are molecules."""
    by_energy = np.sort(small.T[parts[0]])
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


@pytest.mark.parametrize("representation", ["sorted", "random"])
def test_one_form_of_each_molecule_is_never_too_many(fit, heard, monkeypatch, representation):
    monkeypatch.setattr(hyperparameter_search, "SEARCHED", 10)
    fit(model="krr", representation=representation, **({"draws": 1} if representation == "random" else {}))
    assert {rows.shape for _, rows, *_ in heard} == {(48, 48)}


def test_a_hyperparameter_that_is_given_is_kept(fit):
    assert fit(model="krr", scale=77.0)[0].hyperparameters["scale"] == 77.0
    assert fit(model="linear", ridge=3.0)[0].hyperparameters == {"ridge": 3.0}


def test_a_finished_fold_is_not_fitted_again(fit, monkeypatch):
    first, _ = fit(model="mean")
    monkeypatch.setattr(baselines, "find_hyperparameters", None)
    assert fit(model="mean")[0] == first


@pytest.mark.parametrize(
    "flags",
    [
        {"model": "krr", "scale": 100.0, "ridge": 1e-6},
        {"model": "krr", "representation": "random", "draws": 3, "scale": 100.0, "ridge": 1e-6},
        {"model": "krr"},
        {"model": "krr", "representation": "random", "draws": 3, "scale": 100.0},
        {"model": "knn", "representation": "eigenspectrum"},
        {"model": "linear"},
    ],
    ids=lambda flags: "-".join(map(str, flags.values())),
)
def test_a_fit_takes_no_more_memory_than_it_says(tmp_path, flags):
    """On bundled molecules, where matrices are larger than all else."""
    dataset = load(locate("gfn7"))
    experiment = resolve(None, ["split.train_size=1000"], {f"baseline.{key}": value for key, value in flags.items()})
    fold = select_folds(dataset, experiment.split)[0]
    prepare_run(tmp_path, experiment, [0], dataset, overwrite=False)
    tracemalloc.start()
    try:
        fit_fold(experiment, dataset, fold, tmp_path)
        peak = tracemalloc.get_traced_memory()[1] / 1e9
    finally:
        tracemalloc.stop()
    needed = needed_memory(experiment, dataset, fold)
    assert 0.4 * needed < peak < needed


def test_too_much_memory_is_refused_with_the_figure_and_nothing_is_written(small, tmp_path):
    experiment = resolve(None, [], {"baseline.model": "krr", "baseline.memory": 1e-6})
    with pytest.raises(QM7Error, match=r"fold 0 would take 0\.000\d+ GB, more than baseline.memory allows \(1e-06\)"):
        fit_fold(experiment, small, select_folds(small, experiment.split)[0], tmp_path / "run")
    assert not (tmp_path / "run" / "config.yaml").exists()


@pytest.mark.parametrize(
    ("train", "flags", "message"),
    [
        (5, {"model": "krr"}, r"fold 0 has too few training molecules \(5\) to find scale; give it"),
        (5, {"model": "knn", "neighbours": 6}, "fold 0 has 5 training molecules, fewer than the 6 neighbours"),
    ],
)
def test_too_few_molecules_are_refused(fit, train, flags, message):
    fold = Fold(0, np.arange(train), np.arange(10, 20))
    with pytest.raises(QM7Error, match=message):
        fit(fold=fold, **flags)


def test_a_singular_matrix_is_refused(fit):
    """Where the same molecule is there twice, and there is no ridge."""
    fold = Fold(0, np.array([0, 0, 1, 1, 2, 2]), np.arange(10, 20))
    with pytest.raises(QM7Error, match="the matrix is singular; a larger ridge helps"):
        fit(fold=fold, model="krr", scale=100.0, ridge=0.0)


@pytest.mark.parametrize("model", ["knn", "krr"])
def test_each_draw_of_a_molecule_has_its_energy_and_predictions_are_means_over_draws(fit, small, parts, model):
    """Drawn from the same streams, one molecule at a time."""
    train, test = parts
    n, draws = small.Z.shape[1], resolve(None, [], {}).evaluation.draws

    def drawn(molecules, purpose, count):
        rng = stream(0, 0, purpose)
        for _ in range(count):
            noise = rng.standard_normal((len(molecules), n), np.float32)
            yield np.array([reference.random_sorted(small.X[k], e) for k, e in zip(molecules, noise, strict=True)])

    X = np.concatenate(list(drawn(train, Purpose.BASELINE, 2))).astype(float)
    y = np.concatenate([small.T[train], small.T[train]]).astype(float)
    expected = []
    for Z in drawn(test, Purpose.TEST_EVALUATION, draws):
        if model == "knn":
            nearest = [np.argsort([math.dist(z, x) for x in X])[:3] for z in Z]
            expected.append([y[places].mean() for places in nearest])
        else:
            K, L = (np.exp(-abs(A[:, None] - X[None]).sum(axis=2) / 300) for A in (X, Z))
            expected.append(L @ np.linalg.solve(K + 0.01 * np.eye(len(X)), y - y.mean()) + y.mean())
    given = {"knn": {"neighbours": 3}, "krr": {"kernel": "laplacian", "scale": 300.0, "ridge": 0.01}}[model]
    _, predictions = fit(model=model, representation="random", draws=2, **given)
    np.testing.assert_allclose(predictions, np.mean(expected, axis=0), rtol=1e-5)


def test_the_inner_error_is_that_of_molecules_that_were_not_fitted():
    """With one neighbour, a molecule that was fitted would be its own and have no error."""
    X, y = np.arange(9.0)[:, None], np.arange(9.0) ** 2
    settings = resolve(None, [], {"baseline.model": "knn"}).baseline
    folds = [np.array([0, 3, 6]), np.array([1, 4, 7]), np.array([2, 5, 8])]
    errors = []
    for fold in folds:
        others = [k for k in range(9) if k not in fold]
        errors += [abs(y[k] - y[min(others, key=lambda other: abs(other - k))]) for k in fold]
    distances = abs(X - X.T) + 0.1 * (X < X.T)  # of two as near, the lower
    assert hyperparameter_search.inner_error(settings, {"neighbours": 1}, distances, y, folds) == pytest.approx(
        np.mean(errors)
    )
    singular = resolve(None, [], {"baseline.model": "krr"}).baseline
    ones = hyperparameter_search.inner_error(singular, {"scale": 1e9, "ridge": 0.0}, np.zeros((9, 9)), y, folds)
    assert ones == math.inf


def test_the_best_of_the_grid_is_looked_at_more_closely():
    settings = resolve(None, [], {"baseline.model": "krr", "baseline.scale": 3}).baseline
    assert hyperparameter_search.finer_candidates(settings, {"scale": 3.0, "ridge": 1e-4}) == [
        {"scale": 3.0, "ridge": pytest.approx(1e-5)},
        {"scale": 3.0, "ridge": pytest.approx(1e-3)},
    ]


def test_stopped_in_the_search_nothing_is_found(small, tmp_path):
    experiment = resolve(None, [], {"baseline.model": "krr"})
    prepare_run(tmp_path, experiment, [0], small, overwrite=False)
    reported = []
    fold = select_folds(small, experiment.split)[0]
    result = fit_fold(experiment, small, fold, tmp_path, reported.append, lambda: len(reported) >= 3)
    assert (result.status, result.mae, len(reported)) == ("partial", None, 3)
    assert fit_fold(experiment, small, fold, tmp_path).status == "complete"


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("flags", "mae"),
    [
        ({"model": "mean"}, 179.10),
        ({"model": "linear", "ridge": 1e-3}, 21.0),
        ({"model": "linear", "representation": "eigenspectrum", "ridge": 1e-3}, 29.1),
        ({"model": "linear", "representation": "composition", "ridge": 1e-3}, 16.2),
        ({"model": "krr", "kernel": "laplacian", "representation": "bag-of-bonds", "scale": 1000, "ridge": 1e-6}, 2.46),
        ({"model": "knn", "neighbours": 5, "representation": "eigenspectrum"}, 74.7),
        ({"model": "knn", "neighbours": 5}, 72.6),
    ],
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else str(value),
)
def test_the_errors_on_qm7_are_those_expected(qm7, tmp_path, flags, mae):
    experiment = resolve(None, [], {f"baseline.{key}": value for key, value in flags.items()})
    prepare_run(tmp_path, experiment, [0], qm7, overwrite=False)
    fold = select_folds(qm7, experiment.split)[0]
    assert fit_fold(experiment, qm7, fold, tmp_path).mae == pytest.approx(mae, abs=0.05)
