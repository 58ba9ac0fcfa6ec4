import re

import numpy as np


def test_the_size_is_told_before_and_the_arrays_after(command, tmp_path):
    done = command("augment", "--fold", "1", "--part", "test", "--draws", "2", "--output", "x.npz")
    assert re.fullmatch(r"x.npz will have 0.0 MB; \d+\.\d MB are free there\n", done.stderr)
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
