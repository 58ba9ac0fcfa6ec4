import csv
import io
import json
import re
import shutil

import numpy as np
import pytest

from qm7cli.core.arrays import read_arrays, write_arrays

KEYS = (
    "run", "variant", "iterations", "fold", "layer", "inputs", "span", "spread", "mean", "distance",
    "share_uncentered", "share_prebias",
    *(f"{name}_{point}" for name in ("largest", "condition") for point in ("uncentered", "prebias", "centered")),
)  # fmt: skip


@pytest.fixture
def runs(three_variants, tmp_path):
    """Copies of the runs, in the directory of the command."""
    shutil.copytree(three_variants, tmp_path, dirs_exist_ok=True)
    return "original", "no-prebias"


def test_every_format_says_the_same(command, runs):
    records = json.loads(command("centering", *runs, "--format", "json").stdout)
    assert [(r["run"], r["variant"], r["fold"], r["layer"]) for r in records] == [
        (run, run, fold, layer) for run in runs for fold in (0, 1) for layer in (1, 2, 3)
    ]
    assert {*records[0]} == {*KEYS}
    rows = list(csv.DictReader(io.StringIO(command("centering", *runs, "--format", "csv").stdout)))
    assert rows == [{key: "" if value is None else str(value) for key, value in r.items()} for r in records]
    table = command("centering", *runs).stdout.splitlines()
    assert max(map(len, table)) <= 80
    assert {"variant", "fold", "layer", "share 0", "max 0", "max A", "cond 0", "cond A"} <= {*re.split("  +", table[0])}
    for line, record in zip(table[1:], records, strict=False):
        assert f"{record['largest_prebias']:.3g}" in line.split()
    assert "share: of the inputs' second moment about 0 or A that is mean; max, cond: " in " ".join(table)


def test_a_control_is_called_one_under_the_table_and_in_the_picture(command, runs, tmp_path):
    for path in [*tmp_path.glob("original/*.yaml"), *tmp_path.glob("original/fold-*/*")]:
        if path.name != "model.npz":  # the model alone says what it is then
            path.unlink()
    for model in tmp_path.glob("original/fold-*/model.npz"):
        arrays = read_arrays(model)
        about = json.loads(str(arrays["about"])) | {"variant": "uncompensated"}
        write_arrays(model, arrays | {"about": np.array(json.dumps(about))})
    done = command("centering", *runs, "--plot", "x.svg").stdout
    assert "uncompensated: a control" in " ".join(done.split())
    assert "uncompensated (control)" in (tmp_path / "x.svg").read_text()
    assert "control" not in command("centering", "no-prebias").stdout


def test_folds_can_be_chosen_and_the_output_is_a_file(command, runs, tmp_path):
    options = ("--fold", "1", "--format", "json")
    assert command("centering", *runs, *options, "--output", "x.json").stdout == ""
    records = json.loads((tmp_path / "x.json").read_text())
    assert {record["fold"] for record in records} == {1}
    assert (tmp_path / "x.json").read_text() == command("centering", *runs, *options).stdout


def test_the_model_and_the_data_are_enough(command, runs, tmp_path):
    before = command("centering", *runs).stdout
    for path in [*tmp_path.glob("*/*.yaml"), *tmp_path.glob("*/fold-*/*")]:
        if path.name != "model.npz":
            path.unlink()
    assert command("centering", *runs).stdout == before


def test_runs_that_differ_in_what_the_picture_does_not_show_are_not_drawn_together(
    command, runs, quick_flags, tmp_path
):
    command("train", *quick_flags, "--fold", 0, "--set", "network.offset=1", "--out", "shifted", "--quiet")
    done = command("centering", "original", "shifted", "--plot", "x.png", status=1)
    assert done.stderr == "qm7: the runs differ in network.offset, which --plot does not show; choose those of one\n"
    assert not list(tmp_path.glob("x.*"))
    command("centering", *runs, "--plot", "x.png")
    assert (tmp_path / "x.png").exists()


def test_another_ending_of_the_picture_is_refused_before_anything_is_read(command):
    done = command("centering", "nowhere", "--plot", "x.jpg", "--data", "none.mat", status=2)
    assert done.stderr.startswith(
        "qm7: x.jpg is not the name of a picture: it should end in .png, .svg or .pdf (see qm7 "
    )
