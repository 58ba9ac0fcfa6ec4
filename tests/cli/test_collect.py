"""`qm7 collect`."""

import csv
import io
import json
import re

import pytest

pytestmark = pytest.mark.usefixtures("copied")


@pytest.mark.parametrize(
    ("name", "count", "field", "form"),
    [("collect", 6, "mae", ".2f"), ("compare", 3, "mae_mean", ".2f"), ("centering", 18, "largest_prebias", ".3g")],
)
def test_every_format_tells_the_same(command, name, count, field, form):
    records = json.loads(command(name, "runs", "--format", "json").stdout)
    rows = list(csv.DictReader(io.StringIO(command(name, "runs", "--format", "csv").stdout)))
    assert rows == [{key: "" if value is None else str(value) for key, value in own.items()} for own in records]
    assert len(records) == count
    texts = {each: command(name, "runs", "--format", each).stdout for each in ("table", "markdown", "latex")}
    for record in records:
        assert all(format(record[field], form) in text for text in texts.values())
    assert len({line.count(" | ") for line in texts["markdown"].splitlines() if line.startswith("|")}) == 1
    assert len({line.count(" & ") for line in texts["latex"].splitlines() if line.endswith(r"\\")}) == 1


def test_a_fold_that_diverged_is_told_with_iteration_and_rate(command, quick_flags, tmp_path):
    flags = (*quick_flags, "--variant", "uncompensated", "--out", "runs/control", "--jobs", 2)
    done = command("train", *flags, "--fold", 0, "--fold", 1, "--set", "training.schedule=[[1,1000]]", status=1)
    sentences = done.stderr.splitlines()[-2:]
    assert all(re.match(r"qm7: fold \d diverged at iteration \d+ \(rate 1000\)$", each) for each in sentences)
    folds = json.loads(command("collect", "runs", "--format", "json").stdout)
    told = {fold["fold"]: fold["reason"] for fold in folds if "control" in fold["run"]}
    assert all(re.fullmatch(r"fold \d diverged at iteration \d+ \(rate 1000\)", reason) for reason in told.values())
    assert {fold["status"] for fold in folds} == {"complete", "diverged"}
    assert {fold["variant"] for fold in folds} == {"original", "corrected", "no-prebias", "uncompensated"}
    table = command("collect", "runs").stdout
    assert max(map(len, table.splitlines())) <= 80
    assert all(f"  {reason.partition(' ')[2].partition(' ')[2]}  " in table for reason in told.values())
    assert "8 folds: 6 complete, 2 diverged" in command("status").stdout
    compared = command("compare", "runs", "--reference", "runs/original").stdout
    (row,) = [line for line in compared.splitlines() if re.match(r"uncompensated \(control\), .*  ", line)]
    assert re.search(r" 2 of 2 +diverged +-", row)
    assert "it diverged in 2 of 2 folds (iteration" in " ".join(compared.split())
    command("report", "runs", "--output", "x.html")
    assert "it diverged in 2 of 2 folds (iteration" in (tmp_path / "x.html").read_text()


@pytest.mark.parametrize("arguments", [["collect", "--format", "json"], ["report", "--output", "x.html"]])
def test_runs_are_those_under_runs_and_a_damaged_one_or_a_stray_file_is_left_out(command, tmp_path, arguments):
    name, *options = arguments
    written = [command(name, *options).stdout, *(path.read_bytes() for path in tmp_path.glob("x.*"))]
    (tmp_path / "runs/damaged").mkdir()
    (tmp_path / "runs/damaged/results.yaml").touch()
    (tmp_path / "runs/results.yaml").write_text("a file of another program")
    done = command(name, *options)
    assert [done.stdout, *(path.read_bytes() for path in tmp_path.glob("x.*"))] == written
    named = [line.partition(" is ")[0] for line in done.stderr.splitlines()]
    assert named == ["qm7: left out: runs/results.yaml", "qm7: left out: runs/damaged/results.yaml"]
    assert command(name, "runs", "runs/damaged", *options, status=1).stdout == done.stdout
