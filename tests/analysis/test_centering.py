import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from qm7cli.analysis.centering import POINTS, layer_records
from qm7cli.core.seeds import Purpose, stream
from qm7cli.data import dataset
from qm7cli.data.splits import select_folds
from qm7cli.runs.experiment import resolve
from qm7cli.training.fold_training import FoldTraining


@pytest.fixture
def trained(small):
    """Makes a model with hidden layers of some sizes after a short training."""

    def make(*hidden, data=small, iterations=100, settings=(), **flags):
        experiment = resolve(None, [f"network.hidden={list(hidden)}", "encoding.step=4.0", *settings], flags)
        training = FoldTraining(experiment, data, select_folds(data, experiment.split)[0])
        for _ in range(iterations):
            training.iterate()
        return training.model()

    return make


def inputs(model, data):
    """Return the inputs of each layer, in float64, one molecule after the other."""
    draw = model.encoder.draw(data, model.train, stream(model.seed, model.fold, Purpose.TRAIN_EVALUATION))
    ways = []
    for features in draw.astype(float):
        way = [features]
        for W, A, B in model.layers[:-1]:
            way.append(1.5 * np.tanh(((way[-1] - A) @ W.astype(float) + B) / 1.5) + model.units.offset)
        ways.append(way)
    return [np.array(layer) for layer in zip(*ways, strict=True)]


def rms(values):
    return (sum(float(value) ** 2 for value in values) / len(values)) ** 0.5


def slow_moments(X, center):
    """Return the second moments of (X - center, 1) as a sum over molecules, and their eigenvalues, ascending."""
    augmented = [np.append(x - center, 1.0) for x in X]
    moments = sum(np.outer(u, u) for u in augmented) / len(X)
    return moments, np.linalg.svd(moments, compute_uv=False)[::-1]


@pytest.mark.parametrize(
    ("variant", "settings"),
    [("original", []), ("corrected", ["network.offset=2.0"]), ("no-prebias", ["encoding.center=false"])],
)
def test_the_numbers_are_those_of_a_slow_computation(trained, small, variant, settings):
    model = trained(20, 10, variant=variant, settings=settings)
    records = layer_records(model, small)
    assert [record["layer"] for record in records] == [1, 2, 3]
    assert [record["inputs"] for record in records] == [len(model.encoder.mean), 20, 10]
    for record, layer, X in zip(records, model.layers, inputs(model, small), strict=True):
        mean = [sum(unit) / 48 for unit in X.T]
        assert record["spread"] == pytest.approx(rms(X.std(axis=0)), rel=1e-5)
        assert record["mean"] == pytest.approx(rms(mean), rel=1e-5, abs=1e-8)
        assert record["distance"] == pytest.approx(rms(layer.A - mean), rel=1e-5, abs=1e-8)
        span = np.linalg.matrix_rank(X - mean)
        assert record["span"] == span
        for point, center in zip(POINTS, (0 * layer.A, layer.A, mean), strict=True):
            moments, eigenvalues = slow_moments(X, center)
            assert record[f"largest_{point}"] == pytest.approx(eigenvalues[-1], rel=1e-5)
            assert record[f"condition_{point}"] == pytest.approx(eigenvalues[-1] / eigenvalues[-1 - span], rel=1e-3)
            if point != "centered":
                squares = sum(value**2 for value in moments[-1, :-1])
                assert record[f"share_{point}"] == pytest.approx(squares / (np.trace(moments) - 1), rel=1e-4, abs=1e-9)
    assert len({records[1][f"condition_{point}"] for point in POINTS}) == (2 if variant == "no-prebias" else 3)


def test_directions_in_which_inputs_do_not_vary_are_left_out(trained, small):
    model = trained(20, 48, 49)
    W, _, B = model.layers[0]
    _, before, _, _ = layer_records(model, small)
    W[:, 1], B[1], model.layers[1].A[1] = W[:, 0], B[0], model.layers[1].A[0]  # two units that are always the same
    _, twins, as_many, more = layer_records(model, small)
    assert (before["span"], twins["span"]) == (20, 19)
    assert [each["span"] for each in (as_many, more)] == [47, 47]  # of 48 molecules about their mean
    assert all(1 < each[f"condition_{point}"] < 1e12 for each in (twins, as_many, more) for point in POINTS)
    model = trained(1)
    for P in (model.layers[0].W, model.layers[1].A):
        P[:] = 0
    model.layers[0].B[:] = 0.7
    record = layer_records(model, small)[1]
    assert record["span"] == 0
    assert [record[f"condition_{point}"] for point in POINTS] == [1, 1, 1]
    assert record["largest_uncentered"] == pytest.approx(1 + (1.5 * np.tanh(0.7 / 1.5)) ** 2)
    assert (record["share_uncentered"], record["share_prebias"]) == (1, 1)


def test_what_float64_does_not_resolve_has_no_condition_number(trained, small):
    model = trained(20)
    model.layers[1].A[:] = 1e9
    record = layer_records(model, small)[1]
    assert record["condition_prebias"] is None
    assert record["largest_prebias"] == pytest.approx(20 * 1e18)
    assert record["condition_centered"] > 1


def test_the_digits_are_the_same_again_whatever_the_threads(trained):
    gfn7 = dataset.load(dataset.locate("gfn7"))  # with 130 units, large enough for threads to change digits
    model = trained(130, data=gfn7, iterations=1)
    with threadpool_limits(1):
        once = layer_records(model, gfn7)
    with threadpool_limits(2):
        assert layer_records(model, gfn7) == once
