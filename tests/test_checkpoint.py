import json

import numpy as np
import pytest

from qm7cli.checkpoint import load_checkpoint, load_model, save_checkpoint, save_model
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
    save_model(tmp_path / "model.npz", training.model())
    model = load_model(tmp_path / "model.npz")
    assert model.evaluate(small, "test", 2).mae == training.model().evaluate(small, "test", 2).mae
    assert (model.variant, model.seed, model.fold, model.iterations) == ("original", 0, 0, 5)


def test_a_checkpoint_reads_back_to_the_last_bit(tmp_path, training):
    P, Q = training.network.P, training.network.Q
    save_checkpoint(tmp_path / "c.npz", {"s": 1 / 3}, P, Q)
    about, P_again, Q_again = load_checkpoint(tmp_path / "c.npz")
    assert about["s"] == 1 / 3
    np.testing.assert_array_equal(P, P_again)
    np.testing.assert_array_equal(Q, Q_again)


def test_a_file_of_another_kind_or_format_is_refused(tmp_path, training):
    save_model(tmp_path / "model.npz", training.model())
    with pytest.raises(QM7Error, match="is a model, not a checkpoint"):
        load_checkpoint(tmp_path / "model.npz")
    np.savez(tmp_path / "other.npz", x=np.arange(3))
    with pytest.raises(QM7Error, match="is no model of qm7"):
        load_model(tmp_path / "other.npz")
    arrays = read_arrays(tmp_path / "model.npz")
    about = json.loads(str(arrays["about"])) | {"format": 2}
    write_arrays(tmp_path / "model.npz", arrays | {"about": np.array(json.dumps(about))})
    with pytest.raises(QM7Error, match="has format 2; this version of qm7 reads format 1"):
        load_model(tmp_path / "model.npz")


def test_a_model_without_one_of_its_arrays_is_damaged(tmp_path, training):
    save_model(tmp_path / "model.npz", training.model())
    arrays = read_arrays(tmp_path / "model.npz")
    del arrays["layer1.B"]
    write_arrays(tmp_path / "model.npz", arrays)
    with pytest.raises(QM7Error, match="is damaged"):
        load_model(tmp_path / "model.npz")
