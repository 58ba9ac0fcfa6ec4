"""`qm7 collect`."""

import csv
import io
import json
import re
import shutil

import pytest

from qm7cli.training.train_run import train_run


@pytest.fixture
def runs(three_variants, tmp_path):
    """Three variants of two folds."""
    shutil.copytree(three_variants, tmp_path / "runs")
    return "runs"


@pytest.mark.parametrize("name", ["collect", "compare"])
def test_every_format_tells_the_same(command, runs, tmp_path, name):
    records = json.loads(command(name, runs, "--format", "json").stdout)
    rows = list(csv.DictReader(io.StringIO(command(name, runs, "--format", "csv").stdout)))
    assert rows == [{key: "" if value is None else str(value) for key, value in own.items()} for own in records]
    assert len(records) == {"collect": 6, "compare": 3}[name]
    texts = {form: command(name, runs, "--format", form).stdout for form in ("table", "markdown", "latex")}
    for record in records:
        mae = record["mae" if name == "collect" else "mae_mean"]
        assert all(f"{mae:.2f}" in text for text in texts.values())
    assert len({line.count(" | ") for line in texts["markdown"].splitlines() if line.startswith("|")}) == 1
    assert len({line.count(" & ") for line in texts["latex"].splitlines() if line.endswith(r"\\")}) == 1
    for ending, text in (("txt", texts["table"]), ("md", texts["markdown"]), ("tex", texts["latex"])):
        assert command(name, runs, "--output", f"file.{ending}").stdout == ""
        assert (tmp_path / f"file.{ending}").read_text() == text


def test_a_fold_that_diverged_is_told_with_iteration_and_rate(command, runs, quick_flags, tmp_path):
    flags = (*quick_flags, "--variant", "uncompensated", "--out", "runs/control")
    command("train", *flags, "--fold", 0, "--fold", 1, "--set", "training.schedule=[[1,1000]]", status=None)
    folds = json.loads(command("collect", runs, "--format", "json").stdout)
    told = {fold["fold"]: fold["reason"] for fold in folds if "control" in fold["run"]}
    assert all(re.fullmatch(r"fold \d diverged at iteration \d+ \(rate 1000\)", reason) for reason in told.values())
    assert {fold["status"] for fold in folds} == {"complete", "diverged"}
    assert {fold["variant"] for fold in folds} == {"original", "corrected", "no-prebias", "uncompensated"}
    table = command("collect", runs).stdout
    assert max(map(len, table.splitlines())) <= 80
    assert all(f"  {reason.partition(' ')[2].partition(' ')[2]}  " in table for reason in told.values())
    compared = command("compare", runs, "--reference", "runs/original").stdout
    (row,) = [line for line in compared.splitlines() if re.match(r"uncompensated \(control\), .*  ", line)]
    assert re.search(r" 2 of 2 +diverged +-", row)
    assert "it diverged in 2 of 2 folds, at iteration" in " ".join(compared.split())
    command("report", runs, "--output", "x.html")
    assert "it diverged in 2 of 2 folds, at iteration" in (tmp_path / "x.html").read_text()


@pytest.mark.parametrize("arguments", [["collect", "--format", "json"], ["report", "--output", "x.html"]])
def test_runs_are_those_under_runs_and_a_damaged_one_or_a_stray_file_is_left_out(command, runs, tmp_path, arguments):
    name, *options = arguments
    written = [command(name, *options).stdout, *(path.read_bytes() for path in tmp_path.glob("x.*"))]
    (tmp_path / "runs/damaged").mkdir()
    (tmp_path / "runs/damaged/results.yaml").touch()
    (tmp_path / "runs/results.yaml").write_text("a file of another program")
    done = command(name, *options)
    assert [done.stdout, *(path.read_bytes() for path in tmp_path.glob("x.*"))] == written
    assert [line.partition(" is ")[0] for line in done.stderr.splitlines()] == [
        "qm7: left out: runs/results.yaml",
        "qm7: left out: runs/damaged/results.yaml",
    ]
    assert command(name, runs, "runs/damaged", *options, status=1).stdout == done.stdout


def test_the_settings_that_differ_are_columns_where_there_is_room_and_else_the_names_of_runs(
    command, quick, small, tmp_path
):
    for noise in (0.5, 0.25):
        train_run(quick("split.folds=[0]", f"encoding.noise={noise}"), small, tmp_path / f"runs/noise-{noise}")
    assert command("collect").stdout.split()[:2] == ["noise", "fold"]
    many = [
        "network.hidden=[15,14,13,12,11]",
        "training.averaging=0.25",
        "encoding.step=1.25",
        "training.batch_size=7",
    ]
    train_run(quick("split.folds=[0]", *many), small, tmp_path / f"runs/{'-'.join(many)}")
    header, *lines = command("collect").stdout.splitlines()
    assert header.split()[0] == "fold"
    assert f"runs/{'-'.join(many)}" in lines
    assert "encoding.step" in command("collect", "--format", "csv").stdout
