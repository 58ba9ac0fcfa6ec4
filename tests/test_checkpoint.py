import json
from dataclasses import replace

import numpy as np
import pytest

from qm7cli.checkpoint import CheckpointAbout, load_checkpoint, load_model, save_checkpoint, save_model
from qm7cli.domain import Domain
from qm7cli.engine import FoldTraining
from qm7cli.errors import QM7Error
from qm7cli.files import read_arrays, write_arrays
from qm7cli.splits import chosen_folds


@pytest.fixture
def training(small, quick):
    made = FoldTraining(quick(), small, chosen_folds(small, quick().split)[0])
    for _ in range(5):
        made.iterate()
    return made


def test_a_model_reads_back_and_predicts_the_same(tmp_path, training, small):
    domain = Domain.of(small, training.fold.train)
    save_model(tmp_path / "model.npz", replace(training.model(), domain=domain))
    model = load_model(tmp_path / "model.npz")
    for name, value in vars(domain).items():
        np.testing.assert_array_equal(getattr(model.domain, name), value)
    assert model.evaluate(small, "test", 2).mae == training.model().evaluate(small, "test", 2).mae
    assert (model.variant, model.seed, model.fold, model.iterations) == ("original", 0, 0, 5)


def test_a_model_of_an_older_version_is_read_without_what_it_was_trained_on(tmp_path, training):
    save_model(tmp_path / "model.npz", training.model())
    assert load_model(tmp_path / "model.npz").domain is None


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
    with pytest.raises(QM7Error, match="is no checkpoint that this version of qm7 reads: "):
        load_checkpoint(tmp_path / "model.npz", {}, [1, 1], 1)
    np.savez(tmp_path / "other.npz", x=np.arange(3))
    with pytest.raises(QM7Error, match="is no model that this version of qm7 reads: variant: Field required"):
        load_model(tmp_path / "other.npz")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"format": 2}, "format: Input should be 1"),
        ({"seed": -1}, "seed: "),
        ({"draws": 0}, "draws: "),
        ({"scale": "1"}, "scale: "),
        ({"energy_std": float("nan")}, "energy_std: "),
        ({"more": 1}, "more: "),
    ],
)
def test_a_model_with_a_wrong_value_is_refused(tmp_path, training, values, message):
    path = tmp_path / "model.npz"
    save_model(path, training.model())
    arrays = read_arrays(path)
    about = json.loads(str(arrays["about"])) | values
    write_arrays(path, arrays | {"about": np.array(json.dumps(about))})
    with pytest.raises(QM7Error, match=f"is no model that this version of qm7 reads: {message}"):
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
def test_a_model_with_a_wrong_array_is_damaged(tmp_path, training, name, change):
    path = tmp_path / "model.npz"
    save_model(path, training.model())
    arrays = read_arrays(path)
    changed = change(arrays.pop(name))
    write_arrays(path, arrays if changed is None else arrays | {name: changed})
    with pytest.raises(QM7Error, match="is damaged"):
        load_model(path)


@pytest.mark.parametrize("change", [lambda P: P.astype(float), lambda P: P.astype(">f4"), lambda P: P[:-1]])
def test_a_checkpoint_with_wrong_arrays_is_damaged(tmp_path, training, change):
    about = CheckpointAbout(identity={}, iteration=5, seconds=1.5, history=[], s=1.0)
    save_checkpoint(tmp_path / "c.npz", about, change(training.network.P), training.network.Q, training.basis)
    with pytest.raises(QM7Error, match="is damaged: P is"):
        load_checkpoint(tmp_path / "c.npz", {}, training.sizes, len(training.basis))
