import json
from dataclasses import replace

import numpy as np
import pytest

from qm7cli.core.arrays import read_arrays, write_arrays
from qm7cli.core.errors import QM7Error
from qm7cli.data.splits import select_folds
from qm7cli.model.domain import Domain
from qm7cli.model.model import load_model, save_model
from qm7cli.model.network import Units
from qm7cli.training.checkpoint import CheckpointAbout, load_checkpoint, save_checkpoint
from qm7cli.training.descent import DivergenceError
from qm7cli.training.fold_training import FoldTraining


@pytest.fixture
def training(small, quick):
    made = FoldTraining(quick(), small, select_folds(small, quick().split)[0])
    for _ in range(5):
        made.iterate()
    return made


def test_a_model_reads_back_and_predicts_the_same(tmp_path, training, small):
    domain = Domain.of(small, training.fold.train, training.fold.test)
    save_model(tmp_path / "model.npz", replace(training.model(), domain=domain))
    model = load_model(tmp_path / "model.npz")
    for name, value in domain.arrays().items():
        np.testing.assert_array_equal(getattr(model.domain, name), value)
    assert model.evaluate(small, "test", 2).mae == training.model().evaluate(small, "test", 2).mae
    save_model(tmp_path / "offset.npz", replace(model, units=Units("relu", 0.5)))
    assert load_model(tmp_path / "offset.npz").units == ("relu", 0.5)
    assert (model.variant, model.seed, model.fold, model.iterations) == ("original", 0, 0, 5)


def test_a_model_of_an_older_version_is_read_without_what_it_was_trained_on(tmp_path, training):
    """Nor had it an offset."""
    path = tmp_path / "model.npz"
    save_model(path, training.model())
    arrays = read_arrays(path)
    about = json.loads(str(arrays.pop("about")))
    assert about.pop("offset") == 0
    write_arrays(path, {"about": np.array(json.dumps(about)), **arrays})
    assert (load_model(path).domain, load_model(path).units.offset) == (None, 0)


def test_a_checkpoint_reads_back_to_the_last_bit(tmp_path, training):
    P, Q = training.network.P, training.network.Q
    about = CheckpointAbout(identity={"x": [1, 0.1]}, iteration=5, seconds=1.5, history=[], s=1 / 3)
    basis = training.basis
    save_checkpoint(tmp_path / "c.npz", about, P, Q, basis)
    again, P_again, Q_again, basis_again = load_checkpoint(
        tmp_path / "c.npz", about.identity, training.sizes, len(basis)
    )
    np.testing.assert_array_equal(basis, basis_again)
    assert again == about
    np.testing.assert_array_equal(P, P_again)
    np.testing.assert_array_equal(Q, Q_again)


def test_a_file_of_another_kind_or_format_is_refused(tmp_path, training):
    save_model(tmp_path / "model.npz", training.model())
    with pytest.raises(QM7Error, match="is not a checkpoint that this version of qm7 reads: "):
        load_checkpoint(tmp_path / "model.npz", {}, [1, 1], 1)
    np.savez(tmp_path / "other.npz", x=np.arange(3))
    with pytest.raises(QM7Error, match="is not a model that this version of qm7 reads: seed: Field required"):
        load_model(tmp_path / "other.npz")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"format": 2}, "format: Input should be 1"),
        ({"seed": -1}, "seed: "),
        ({"draws": 0}, "draws: "),
        ({"scale": "1"}, "scale: "),
        ({"energy_std": float("nan")}, "energy_std: "),
        ({"energy_mean": 1e300}, "energy_mean: "),
        ({"scale": 1e-300}, "scale: "),
        ({"step": 1e-300}, "step: "),
        ({"noise": float("inf")}, "noise: "),
        ({"seed": 10**30}, "seed: "),
        ({"more": 1}, "more: "),
    ],
)
def test_a_model_with_a_wrong_value_is_refused(tmp_path, training, values, message):
    path = tmp_path / "model.npz"
    save_model(path, training.model())
    arrays = read_arrays(path)
    about = json.loads(str(arrays["about"])) | values
    write_arrays(path, arrays | {"about": np.array(json.dumps(about))})
    with pytest.raises(QM7Error, match=f"is not a model that this version of qm7 reads: {message}"):
        load_model(path)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("layer1.B", lambda _: None),
        ("layer1.B", lambda B: B[:-1]),
        ("layer0.W", lambda W: W.astype(float)),
        ("layer0.W", lambda W: W[:-1]),
        ("layer2.W", lambda W: np.repeat(W, 2, axis=1)),
        ("mean", lambda mean: mean[1:]),
        ("counts", lambda counts: counts.astype(float)),
        ("test", lambda test: test[:0]),
        ("train", lambda train: train[None]),
    ],
)
def test_a_model_with_a_wrong_array_is_damaged(tmp_path, training, small, name, change):
    path = tmp_path / "model.npz"
    save_model(path, replace(training.model(), domain=Domain.of(small, training.fold.train, training.fold.test)))
    arrays = read_arrays(path)
    changed = change(arrays.pop(name))
    write_arrays(path, arrays if changed is None else arrays | {name: changed})
    with pytest.raises(QM7Error, match="is damaged"):
        load_model(path)


def changed(place, value):
    """Change a value at a place of an array."""

    def change(array):
        array = array.copy()
        array[place] = value
        return array

    return change


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("layer0.W", changed((3, 2), np.nan)),
        ("layer1.A", changed(0, np.inf)),
        ("layer2.B", changed(0, 1e30)),
        ("mean", changed(5, 3.0)),
        ("counts", lambda counts: np.append(counts[:-2], counts[-2:].sum())),
        ("counts", lambda counts: np.array([0, counts[:2].sum(), *counts[2:]])),
        ("counts", lambda counts: counts + (np.arange(len(counts)) < 4) * 2**62),
        ("counts", lambda counts: counts * 1_000_000),
        ("train", changed(0, -1)),
        ("train", lambda train: np.append(train, train[:1])),
        ("test", lambda test: np.append(test, -(2**63))),
    ],
)
def test_a_model_with_numbers_that_no_training_gives_is_damaged(tmp_path, training, small, name, change):
    path = tmp_path / "model.npz"
    save_model(path, replace(training.model(), domain=Domain.of(small, training.fold.train, training.fold.test)))
    arrays = read_arrays(path)
    write_arrays(path, arrays | {name: np.ascontiguousarray(change(arrays[name]))})
    with pytest.raises(QM7Error, match=rf"model.npz is damaged: {name.replace('train', 'train or test')[:8]}.* has"):
        load_model(path)


def test_a_model_whose_text_has_signs_that_there_are_not_is_refused(tmp_path, training):
    path = tmp_path / "model.npz"
    save_model(path, training.model())
    about = np.frombuffer(np.full(3, 0x7FFFFFFF, dtype=np.uint32).tobytes(), dtype="<U3").reshape(())
    write_arrays(path, read_arrays(path) | {"about": about})
    with pytest.raises(QM7Error, match="is not a model that this version of qm7 reads: about: "):
        load_model(path)


@pytest.mark.parametrize("value", [np.nan, np.inf, 2e9])
@pytest.mark.parametrize(("name", "factor"), [("P", 1), ("Q", 1e6), ("basis", 1)])
def test_a_checkpoint_with_numbers_beyond_all_measure_is_damaged(tmp_path, training, value, name, factor):
    training.save(tmp_path / "c.npz")
    arrays = read_arrays(tmp_path / "c.npz")
    place = (3, 1) if name == "basis" else 7
    write_arrays(tmp_path / "c.npz", arrays | {name: changed(place, value * factor)(arrays[name])})
    with pytest.raises(QM7Error, match=f"c.npz is damaged: {name} has numbers that no training gives"):
        FoldTraining.resume(training.experiment, training.dataset, training.fold, tmp_path / "c.npz")


def test_a_training_whose_parameters_have_left_all_measure_writes_no_checkpoint(tmp_path, training):
    training.network.layers[0].W[0, 0] = 1e9  # the unit saturates, and the errors are those of any network
    with pytest.raises(DivergenceError, match=r"fold 0 diverged at iteration 5 \(rate 0.001\)$"):
        training.save(tmp_path / "c.npz")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("change", [lambda P: P.astype(float), lambda P: P.astype(">f4"), lambda P: P[:-1]])
def test_a_checkpoint_with_wrong_arrays_is_damaged(tmp_path, training, change):
    about = CheckpointAbout(identity={}, iteration=5, seconds=1.5, history=[], s=1.0)
    save_checkpoint(tmp_path / "c.npz", about, change(training.network.P), training.network.Q, training.basis)
    with pytest.raises(QM7Error, match="is damaged: P is"):
        load_checkpoint(tmp_path / "c.npz", {}, training.sizes, len(training.basis))
