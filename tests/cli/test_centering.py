import csv
import io
import json
import re
import shutil

import numpy as np
import pytest
import yaml

import molecules
from qm7cli.core.arrays import read_arrays, write_arrays

KEYS = (
    "run", "variant", "iterations", "fold", "layer", "inputs", "span", "spread", "mean", "distance",
    "share_uncentred", "share_prebias",
    *(f"{name}_{point}" for name in ("largest", "condition") for point in ("uncentred", "prebias", "centred")),
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
    assert yaml.safe_load(command("centering", *runs, "--format", "yaml").stdout) == records
    rows = list(csv.DictReader(io.StringIO(command("centering", *runs, "--format", "csv").stdout)))
    assert rows == [{key: "" if value is None else str(value) for key, value in r.items()} for r in records]
    header, *lines = [re.split("  +", line) for line in command("centering", *runs).stdout.splitlines()]
    table, after = lines[: len(records)], lines[len(records) :]
    names = [
        "run",
        "variant",
        "iterations",
        "fold",
        "layer",
        "m",
        "span",
        "spread",
        "mean",
        "to A",
        "share 0",
        "share A",
    ]
    names += [f"{name} {point}" for name in ("max", "cond") for point in ("0", "A", "mean")]
    assert [name for name in names if name in header] == header
    assert {"variant", "fold", "layer", "share 0", "max 0", "max A", "cond 0", "cond A"} <= {*header}
    for line, r in zip(table, records, strict=True):
        shown = [
            f"{100 * value:.2g} %" if "share" in key else f"{value:.3g}" if isinstance(value, float) else str(value)
            for key, value in list(r.items())[4:]
        ]
        keys = ["run", "variant", "iterations", "fold", *list(r)[4:]]
        cells = dict(zip(keys, [r["run"], r["variant"], "300", str(r["fold"]), *shown], strict=True))
        row = dict(zip(names, (cells[key] for key in KEYS), strict=True))
        assert line == [row[name] for name in header]
    assert " ".join(line for row in after for line in row).startswith(
        "share: of the inputs' second moment about 0 or A that is mean; max, cond: "
    )


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


@pytest.mark.usefixtures("runs")
def test_the_run_is_a_column_where_nothing_else_tells_two_apart(command, tmp_path):
    (tmp_path / "original").rename(tmp_path / "one")
    (tmp_path / "no-prebias").rename(tmp_path / "other")
    assert "one" not in command("centering", "one", "other").stdout
    shutil.rmtree(tmp_path / "other")
    shutil.copytree(tmp_path / "one", tmp_path / "other")
    header, *lines = command("centering", "one", "other").stdout.splitlines()
    assert "run" not in header.split()
    assert [line for line in lines if line in {"one", "other"}] == ["one", "other"]
    assert lines.index("other") == 7  # six rows and two headings
    assert lines[14].startswith("share: ")


def test_without_a_run_those_under_runs_are_measured_and_what_cannot_be_is_left_out(command, runs, tmp_path):
    given = command("centering", *runs, "--format", "json").stdout
    for name in runs:
        (tmp_path / "runs").mkdir(exist_ok=True)
        (tmp_path / name).rename(tmp_path / "runs" / name)
    (tmp_path / "runs/results.yaml").touch()
    done = command("centering", "--format", "json")
    assert sorted(json.loads(done.stdout), key=lambda r: r["run"]) == sorted(
        [r | {"run": f"runs/{r['run']}"} for r in json.loads(given)], key=lambda r: r["run"]
    )
    assert done.stderr == "qm7: left out: runs has no model: there is no fold-*/model.npz in it\n"


def test_the_model_and_the_data_are_enough(command, runs, tmp_path):
    before = command("centering", *runs).stdout
    for path in [*tmp_path.glob("*/*.yaml"), *tmp_path.glob("*/fold-*/*")]:
        if path.name != "model.npz":
            path.unlink()
    assert command("centering", *runs).stdout == before


def test_the_picture_depends_on_the_runs_alone_and_changes_nothing_that_is_printed(command, runs, tmp_path):
    for name in ("1.svg", "2.svg"):
        done = command("centering", *runs, "--plot", name, SOURCE_DATE_EPOCH=name[0])
        assert (done.stdout, done.stderr) == (command("centering", *runs).stdout, "")
    assert (tmp_path / "1.svg").read_bytes() == (tmp_path / "2.svg").read_bytes()
    assert "<!-- Layer 3 -->" in (tmp_path / "1.svg").read_text()


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


@pytest.mark.usefixtures("runs")
def test_bad_input_is_one_sentence_and_what_was_there_stays(command, tmp_path):
    (tmp_path / "x.csv").write_text("before")
    (tmp_path / "x.png").write_text("before")

    def sentence(*args):
        done = command("centering", *args, "--output", "x.csv", "--plot", "x.png", status=1)
        assert done.stdout == ""
        assert done.stderr.count("\n") == 1
        assert (tmp_path / "x.csv").read_text() == (tmp_path / "x.png").read_text() == "before"
        return done.stderr

    assert sentence("nowhere") == "qm7: nowhere is not a run: it does not exist\n"
    assert sentence("original", "--fold", "2") == "qm7: original has no complete fold 2; it has 0, 1\n"
    molecules.write(tmp_path / "other.mat", seed=1)
    other = sentence("original", "--data", "other.mat")
    assert other.startswith("qm7: fold 0 of original was trained on another data set: SHA-256 ")
    model = tmp_path / "original/fold-1/model.npz"
    arrays = read_arrays(model)
    write_arrays(model, arrays | {"layer1.A": np.full_like(arrays["layer1.A"], np.nan)})
    assert sentence("original") == (
        "qm7: original/fold-1/model.npz is damaged: layer1.A has numbers that no training gives\n"
    )
    model.write_bytes(model.read_bytes()[:-100])
    assert sentence("original").startswith("qm7: original/fold-1/model.npz is damaged: ")


def test_what_is_read_is_not_written_over(command, runs, tmp_path, mat):
    data = tmp_path / "data.mat"
    shutil.copy(mat, data)
    before = data.read_bytes()
    for option in ("--output", "--plot"):
        refused = command("centering", *runs, option, "original/fold-3/x.png", status=1).stderr
        assert refused == "qm7: original/fold-3/x.png lies in the run original; choose another output\n"
    refused = command("centering", *runs, "--data", "data.mat", "--output", "data.mat", status=1).stderr
    assert refused == "qm7: data.mat is also read here; choose another output\n"
    assert command("gradcheck", "--data", "data.mat", "--output", "data.mat", status=1).stderr == refused
    assert data.read_bytes() == before


def test_without_matplotlib_there_is_a_table_but_no_picture(command, runs, tmp_path):
    (tmp_path / "path").mkdir()
    (tmp_path / "path/matplotlib.py").write_text("raise ImportError('none here')")
    path = {"PYTHONPATH": str(tmp_path / "path")}
    assert command("centering", *runs, **path).stdout == command("centering", *runs).stdout
    done = command("centering", *runs, "--plot", "x.png", **path, status=1)
    assert done.stderr == "qm7: pictures are drawn by matplotlib, which is missing: pip install 'qm7cli[plots]'\n"
    assert done.stdout == ""
