from dataclasses import replace

import numpy as np
import pytest

from qm7cli.core.errors import QM7Error
from qm7cli.data.splits import select_folds
from qm7cli.model.activations import Units
from qm7cli.model.baseline_model import load_fold_model
from qm7cli.model.model import save_model
from qm7cli.runs.results import HistoryRow
from qm7cli.training.descent import DivergenceError
from qm7cli.training.fold_training import CheckpointAbout, FoldTraining, load_checkpoint, save_checkpoint


@pytest.fixture
def training(small, quick):
    experiment = quick("target.subtract=composition")
    made = FoldTraining(experiment, small, select_folds(small, experiment.split)[0])
    for _ in range(5):
        made.iterate()
    return made


def test_a_model_reads_back_and_predicts_the_same(tmp_path, training, small):
    save_model(tmp_path / "model.npz", training.model())
    model = load_fold_model(tmp_path / "model.npz")
    assert model.evaluate(small, "test", 2).mae == training.model().evaluate(small, "test", 2).mae
    assert (model.variant, model.seed, model.fold, model.iterations) == ("original", 0, 0, 5)
    np.testing.assert_array_equal(model.target.coefficients, training.target.coefficients)
    assert model.target[:2] == training.target[:2]
    save_model(tmp_path / "offset.npz", replace(model, units=Units("relu", 0.5)))
    assert load_fold_model(tmp_path / "offset.npz").units == ("relu", 0.5)


def test_a_checkpoint_reads_back_to_the_last_bit(tmp_path, training):
    P, Q, basis = training.network.P, training.network.Q, training.basis
    history = [HistoryRow(5, 1.5, 0.1, 0.2, 0.3, 0.4)]
    about = CheckpointAbout(identity={"x": [1, 0.1]}, iteration=5, seconds=1.5, history=history, s=1 / 3)
    save_checkpoint(tmp_path / "c.npz", about, P, Q, basis)
    again, *arrays = load_checkpoint(tmp_path / "c.npz", about.identity)
    assert again == about
    assert all(map(np.array_equal, arrays, (P, Q, basis)))


def test_a_file_of_another_kind_is_refused(tmp_path, training):
    save_model(tmp_path / "model.npz", training.model())
    with pytest.raises(QM7Error, match=r"model.npz is damaged or from another version; --overwrite trains it again"):
        load_checkpoint(tmp_path / "model.npz", {})


def test_a_training_whose_parameters_have_left_all_measure_writes_no_checkpoint(tmp_path, training):
    training.network.layers[0].W[0, 0] = 1e9  # the unit saturates, and the errors are those of any network
    with pytest.raises(DivergenceError, match=r"fold 0 diverged at iteration 5 \(rate 0.001\)$"):
        training.save(tmp_path / "c.npz")
    assert not list(tmp_path.iterdir())
