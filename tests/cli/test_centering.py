import csv
import io
import json
import re
import shutil

import pytest

from qm7cli.training.train_run import train_run

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


def test_the_iterations_of_each_row_are_told_where_they_differ(command, runs, quick, small, tmp_path):
    train_run(quick("split.folds=[0]", "training.iterations=310"), small, tmp_path / "longer")
    head, *rows = command("centering", *runs, "longer", "--fold", 0).stdout.splitlines()
    assert "iterations" in head
    assert [line.split()[1] for line in rows[:9]] == [*6 * ["300"], *3 * ["310"]]


def test_the_model_and_the_data_are_enough(command, runs, tmp_path):
    before = command("centering", *runs).stdout
    for path in [*tmp_path.glob("*/*.yaml"), *tmp_path.glob("*/fold-*/*")]:
        if path.name != "model.npz":
            path.unlink()
    assert command("centering", *runs).stdout == before
