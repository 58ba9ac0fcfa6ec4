"""`qm7 status`: what has become of folds, and while they are trained."""

import json
import os
import re
import signal

import pytest

from conftest import iterations_in, wait_for
from qm7cli.training.train_run import train_run


def states(command, *args):
    return json.loads(command("status", *args, "--format", "json").stdout)


@pytest.mark.usefixtures("copied")
def test_complete_folds_share_a_row_and_are_records_of_their_own(command):
    shown = command("status").stdout
    assert len(shown.splitlines()) == 1 + 3 + 1
    assert shown.count("0-1") == 3
    assert "6 folds: 6 complete" in shown
    found = states(command)
    expected = 3 * [(fold, "complete", 300) for fold in (0, 1)]
    assert [(each["fold"], each["status"], each["iterations"]) for each in found] == expected
    assert all(each["mae"] > 0 and each["seconds_left"] is None for each in found)


def test_a_training_is_running_while_it_lasts_and_then_interrupted(command, background, tmp_path, quick_flags):
    process = background("train", *quick_flags, "--iterations", 1000000, "--fold", 0, "--out", "run", "--quiet")
    fold = tmp_path / "run/fold-0"
    wait_for((fold / "checkpoint.npz").exists, process)
    wait_for(lambda: states(command, "run")[0]["seconds_left"], process)  # once there is a tenth of a second to go by
    (running,) = states(command, "run")
    assert running["status"] == "running"
    assert 100 <= running["iterations"] < running["iterations_asked"] == 1_000_000
    assert running["mae"] > 0
    assert 1 < running["seconds_left"] < 1e5
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    (killed,) = states(command, "run")
    assert (killed["status"], killed["seconds_left"]) == ("interrupted", None)
    assert killed["iterations"] == iterations_in(fold / "checkpoint.npz")


def test_folds_that_were_asked_for_and_not_begun_are_new(command, tmp_path, quick, small):
    train_run(quick(), small, tmp_path / "run", stopped=(tmp_path / "run/fold-0/model.npz").exists)
    assert [(each["fold"], each["status"]) for each in states(command, "run")] == [
        (0, "complete"), *((fold, "new") for fold in (1, 2, 3, 4)),
    ]  # fmt: skip
    shown = command("status", "run").stdout
    assert re.search(r"^run +1-4 +new +0 of 300 +- *$", shown, re.MULTILINE)
    assert "5 folds: 4 new, 1 complete" in shown


def test_a_long_name_of_a_run_is_whole_in_every_format(command, copied):
    name = f"runs/{'x' * 120}"
    (copied / "original").rename(copied / ("x" * 120))
    for form in ("table", "markdown", "csv", "json", "latex"):
        assert name in command("status", "--format", form).stdout
    assert command("status", "--format", "markdown").stdout.startswith("| run | fold | status |")
