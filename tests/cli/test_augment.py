import re

import numpy as np
import pytest


def test_the_size_is_told_before_and_the_arrays_after(command, tmp_path):
    done = command("augment", "--fold", "1", "--part", "test", "--draws", "2", "--output", "x.npz")
    assert re.fullmatch(r"x.npz will have 0.0 MB\n", done.stderr)
    rows = [re.split("  +", line) for line in done.stdout.splitlines()]
    assert rows == [
        ["array", "shape", "dtype"],
        ["X", "2 x 12 x 28", "float32"],
        ["permutation", "2 x 12 x 7", "uint8"],
        ["T", "12", "float32"],
        ["molecule", "12", "int64"],
        ["x.npz"],
    ]
    with np.load(tmp_path / "x.npz") as arrays:
        assert arrays["X"].shape == (2, 12, 28)


def test_without_a_fold_all_molecules_are_drawn_and_encoded(command, tmp_path):
    assert command("augment", "--encode", "--output", "x.npz", "--quiet").stderr == ""
    with np.load(tmp_path / "x.npz") as arrays:
        assert arrays["features"].shape[:2] == (10, 60)
        assert np.abs(arrays["features"].mean()) < 0.01
        assert arrays["features"].std() == pytest.approx(1, abs=0.01)
