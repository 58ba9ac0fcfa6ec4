import re

import numpy as np
import pytest


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


def test_without_a_fold_all_molecules_are_drawn_and_encoded(command, tmp_path):
    assert command("augment", "--encode", "--output", "x.npz", "--quiet").stderr == ""
    with np.load(tmp_path / "x.npz") as arrays:
        assert arrays["features"].shape[:2] == (10, 60)
        assert np.abs(arrays["features"].mean()) < 0.01
        assert arrays["features"].std() == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--fold", "5"], "there is no fold 5: this split has the folds 0 to 4"),
        (["--fold", "0", "--split", "none.yaml"], "cannot read none.yaml: No such file or directory"),
        (["--data", "none.mat"], "no data set: looked at none.mat, which does not exist"),
        (["--output", "none/x.npz"], "cannot write none/x.npz: No such file or directory"),
        (["--draws", "1000000000"], "x.npz would take "),
        (["--data", "x.npz"], "x.npz is also read here; choose another output"),
        (["--output", "/dev/null"], "cannot write /dev/null: it is not a file"),
        (["--output", "."], "cannot write .: it is not a file"),
    ],
)
def test_bad_input_is_one_sentence_and_what_was_there_stays(command, tmp_path, arguments, message):
    (tmp_path / "x.npz").write_text("before")
    done = command("augment", "--output", "x.npz", "--quiet", *arguments, status=1)
    assert done.stdout == ""
    assert done.stderr.startswith(f"qm7: {message}")
    assert done.stderr.count("\n") == 1
    assert (tmp_path / "x.npz").read_text() == "before"
    assert len(list(tmp_path.iterdir())) == 1
