import numpy as np
import pytest

import molecules
from qm7cli.data.splits import Split, select_folds
from qm7cli.model.augment import augmented_set
from qm7cli.training.fold_training import FoldTraining


@pytest.fixture
def write(tmp_path, small):
    """Writes an augmented set of the small molecules and reads it back."""

    def make(folds=None, part="train", draws=3, noise=1.0, seed=0, *, step=None, subtract=None, report=lambda *_: None):
        path = tmp_path / "x.npz"
        split = Split(folds=folds)
        augmented_set(small, split, part, draws, noise, seed, step=step, subtract=subtract).write(path, report)
        with np.load(path) as arrays:
            return dict(arrays)

    return make


def test_the_file_has_the_documented_arrays(write):
    shapes = {name: (array.shape, str(array.dtype)) for name, array in write(step=1.0).items()}
    m = shapes["features"][0][2]
    assert shapes == {
        "X": ((3, 60, 28), "float32"),
        "permutation": ((3, 60, 7), "uint8"),
        "T": ((60,), "float32"),
        "molecule": ((60,), "int64"),
        "features": ((3, 60, m), "float32"),
    }


def test_each_matrix_is_that_of_its_molecule_in_the_order_of_its_permutation(write, small):
    arrays = write([1], "test")
    assert np.array_equal(arrays["molecule"], small.P[1])
    assert np.array_equal(arrays["T"], small.T[small.P[1]])
    upper = np.triu_indices(7)
    matrices = molecules.variables()["X"]  # in the order of the file's atoms
    for draw in range(3):
        for k, molecule in enumerate(small.P[1]):
            order = arrays["permutation"][draw, k]
            assert sorted(order) == list(range(7))
            assert np.array_equal(arrays["X"][draw, k], matrices[molecule][np.ix_(order, order)][upper])


def test_a_molecule_s_draws_do_not_depend_on_its_company_nor_on_how_many_follow(write, small):
    everything = write(draws=4)
    part = write([2], "test", draws=2)
    assert np.array_equal(part["X"], everything["X"][:2, small.P[2]])
    assert not np.array_equal(write(draws=4, seed=1)["X"], everything["X"])


@pytest.mark.parametrize("subtract", ["mean", "composition"])
def test_features_and_target_are_those_of_a_training_with_the_same_settings(write, small, quick, subtract):
    experiment = quick(f"target.subtract={subtract}", "encoding.step=0.5")
    training = FoldTraining(experiment, small, select_folds(small, Split(folds=[3]))[0])
    arrays = write([3], "test", step=0.5, subtract=subtract)
    assert np.array_equal(arrays["target"], training.targets[small.P[3]])
    assert np.array_equal(arrays["features"][0], training.encoder.encode(arrays["X"][0]))


def test_the_same_set_gives_the_same_bytes_as_many_as_said_and_progress_ends_there(write, tmp_path):
    told = []
    write(step=1.0, report=lambda *progress: told.append(progress))
    before = (tmp_path / "x.npz").read_bytes()
    done, size = told[-1]
    assert done == size < len(before) < size + 3000
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    write(step=1.0)
    assert (tmp_path / "x.npz").read_bytes() == before
