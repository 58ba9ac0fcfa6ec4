import re

import numpy as np
import pytest

import molecules
from qm7cli.core.errors import QM7Error
from qm7cli.data import dataset, soundness

GOOD = molecules.variables()


def changed(name, place, value):
    array = GOOD[name].astype(float)
    array[place] = value
    return {name: array}


def test_a_file_is_read_with_its_fingerprint_and_the_places_that_its_atoms_had(mat, small):
    assert len(small) == 60
    np.testing.assert_array_equal(small.T, GOOD["T"][0])
    np.testing.assert_array_equal(small.P, GOOD["P"])
    for name in ("X", "Z", "R"):
        array = getattr(small, name)
        for k, order in enumerate(small.order):
            expected = GOOD[name][k, order]
            np.testing.assert_array_equal(array[k], expected[:, order] if name == "X" else expected)
        assert array.dtype == np.float32
        assert array.flags.c_contiguous
    assert len(small.sha256) == 64
    assert small.name == mat.stem


@pytest.mark.parametrize(("changes", "message"), [
    ({"X": GOOD["X"][:, :, :5]}, "X has the shape (60, 7, 5); with Z as it is, it should be (60, 7, 7)"),
    ({"R": GOOD["R"][:, :, :2]}, "R has the shape (60, 7, 2); with Z as it is, it should be (60, 7, 3)"),
    ({"T": np.array([["a"] * 60], dtype=object)}, "T holds object, not real numbers"),
    (changed("T", (0, 3), np.nan), "T is nan at (0, 3), which is not a number or is too large"),
    (changed("Z", (2, 0), -6), "Z holds numbers that are not nuclear charges, 1 to 118, nor 0"),
    (changed("Z", 2, 0), "Z has no atoms for molecule 2"),
    (changed("X", (4, 0, 1), 100.0), "X is not symmetric: molecule 4 is off by"),
    ({"P": GOOD["P"][:4]}, "P is not a partition of the 60 molecules"),
])  # fmt: skip
def test_a_file_with_wrong_variables_is_refused_with_the_reason(tmp_path, changes, message):
    path = molecules.write(tmp_path / "x.mat", changes)
    with pytest.raises(QM7Error, match=re.escape(message)) as error:
        dataset.load(path)
    assert str(error.value).startswith(str(path))


@pytest.mark.parametrize(("content", "message"), [
    (lambda _: b"", "this is neither a MATLAB nor an .npz file"),
    (lambda _: b"<html>404 not found</html>" * 20, "this is neither a MATLAB nor an .npz file"),
    (lambda good: good[: len(good) // 2], "the file is damaged or cut off"),
    (lambda good: good[:3000] + b"\0" * 500 + good[3500:], "the file is damaged or cut off"),
    (lambda _: b"MATLAB 7.3 MAT-file".ljust(512) + b"\x89HDF\r\n\x1a\n", "this is a MATLAB 7.3 file; save it as"),
])  # fmt: skip
def test_a_damaged_file_is_refused(tmp_path, mat, content, message):
    path = tmp_path / "x.mat"
    path.write_bytes(content(mat.read_bytes()))
    with pytest.raises(QM7Error, match=re.escape(message)):
        dataset.load(path)


def test_the_data_set_is_looked_for_where_the_help_says(tmp_path, monkeypatch, mat):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("QM7_DATA", raising=False)
    with pytest.raises(
        QM7Error, match=r"looked at --data, not given; \$QM7_DATA, not set; data/qm7.mat, which does not"
    ):
        dataset.locate(None)
    (tmp_path / "data").mkdir()
    (tmp_path / "data/qm7.mat").write_bytes(mat.read_bytes())
    assert dataset.locate(None) == dataset.DEFAULT_PATH
    monkeypatch.setenv("QM7_DATA", str(tmp_path))
    with pytest.raises(QM7Error, match=r"looked at \$QM7_DATA, .*, which is not a file"):
        dataset.locate(None)
    monkeypatch.setenv("QM7_DATA", str(mat))
    assert dataset.locate(None) == mat
    with pytest.raises(QM7Error, match=r"looked at none.mat, which does not exist"):
        dataset.locate("none.mat")


@pytest.mark.realdata
def test_the_folds_of_qm7_give_the_mean_predictor_s_published_error(qm7):
    maes = []
    for fold in qm7.P:
        rest = np.setdiff1d(np.arange(len(qm7)), fold)
        maes.append(np.abs(qm7.T[fold] - qm7.T[rest].mean(dtype=float)).mean(dtype=float))
    assert np.mean(maes) == pytest.approx(179.02, abs=0.01)
    assert np.std(maes) == pytest.approx(0.08, abs=0.01)


@pytest.fixture
def npz(tmp_path):
    """Writes the small molecules in our own format, with changes."""

    def write(**changes):
        own = {"Z": GOOD["Z"].astype(np.uint8), "R": GOOD["R"], "T": GOOD["T"][0], "P": GOOD["P"].astype(np.int32)}
        arrays = {**own, **changes}
        path = tmp_path / "own.npz"
        np.savez_compressed(path, **{name: array for name, array in arrays.items() if array is not None})
        return path

    return write


def test_our_own_format_gives_the_same_data_set_with_x_computed(npz, small):
    own = dataset.load(npz(smiles=np.array(["C"] * 60), energies=np.array("total")))
    assert (own.energies, small.energies) == ("total", "atomization")
    assert (own.name, len(own)) == ("own", 60)
    for name in ("Z", "R", "T", "P"):
        np.testing.assert_array_equal(getattr(own, name), getattr(small, name))
    np.testing.assert_allclose(own.X, small.X, rtol=1e-6)
    assert own.X.dtype == np.float32


def test_folds_of_different_sizes_end_in_minus_one(npz):
    P = np.full((3, 30), -1)
    P[0], P[1, :20], P[2, :10] = np.arange(30), np.arange(30, 50), np.arange(50, 60)
    own = dataset.load(npz(P=P))
    assert [len(fold) for fold in own.P] == [30, 20, 10]
    assert soundness.describe(own)["folds"] == "3 of 10 to 30 molecules"


@pytest.mark.parametrize(("changes", "message"), [
    ({"Z": None}, "the variable Z is missing"),
    ({"R": np.zeros((60, 7, 3))}, "molecule 0: atoms 0 and 1 are in the same place"),
    ({"T": np.array([{}] * 60, dtype=object)}, "the file is damaged or cut off ("),
])  # fmt: skip
def test_a_file_of_our_own_that_cannot_be_is_refused_with_the_reason(npz, changes, message):
    with pytest.raises(QM7Error, match=re.escape(message)):
        dataset.load(npz(**changes))


@pytest.mark.parametrize(("molecules", "n", "message"), [
    (2, 1001, r"molecules of up to 1001 atoms are larger than any that are read here \(1000\)"),
    (200, 1000, r"reading 200 molecules of up to 1000 atoms would take 5\.4 GB, more than 4 GB"),
])  # fmt: skip
def test_molecules_whose_matrices_would_take_too_much_memory_are_neither_read_nor_written(
    npz, tmp_path, molecules, n, message
):
    path = npz(Z=np.ones((molecules, n), dtype=np.uint8), R=np.zeros((molecules, n, 3), np.float32))
    with pytest.raises(QM7Error, match=message):
        dataset.load(path)
    large = [(np.ones(n), np.zeros((n, 3)))] * molecules
    with pytest.raises(QM7Error, match=message):
        dataset.save(tmp_path / "x.npz", large, np.zeros(molecules, np.float32), [np.arange(molecules)])


def test_variables_that_unpack_to_more_than_there_is_room_for_are_refused(npz, tmp_path, monkeypatch):
    monkeypatch.setattr(dataset, "UNPACKED", 10_000)
    path = npz(R=np.zeros((60, 7, 300), np.float32))
    with pytest.raises(QM7Error, match=r"its variables have 5\d+ bytes, more than 10000"):
        dataset.load(path)
    path = molecules.write(tmp_path / "x.mat", {"R": np.zeros((60, 7, 300))})
    with pytest.raises(QM7Error, match=r"its variables have \d+ bytes, more than 10000"):
        dataset.load(path)
