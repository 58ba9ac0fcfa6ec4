"""Signals, kills and several processes in one run."""

import os
import re
import signal
import time

import pytest
import yaml

from conftest import wait_for
from qm7cli.core.locks import lock
from qm7cli.core.signals import STOPPING

LONG = ["--set", "training.iterations=100000", "--set", "training.checkpoint_every=200"]


@pytest.fixture
def start(background, quick_flags):
    """Starts a training in the background, in a process group of its own."""
    return lambda *args: background("train", "--out", "run", *quick_flags, *LONG, *args)


def checkpoint(tmp_path, fold=0):
    return tmp_path / f"run/fold-{fold}/checkpoint.npz"


def read(tmp_path):
    return yaml.safe_load((tmp_path / "run/results.yaml").read_text())


def models(directory):
    return {path.parent.name: path.read_bytes() for path in directory.glob("fold-*/model.npz")}


@pytest.mark.parametrize(
    ("number", "status", "jobs"),
    [(signal.SIGINT, 130, "1"), (signal.SIGINT, 130, "2"), (signal.SIGTERM, 143, "2"), (signal.SIGXCPU, 152, "1")],
)
def test_a_signal_writes_the_checkpoints_and_the_results_so_far(start, command, tmp_path, number, status, jobs):
    process = start("--fold", "0", "--fold", "1", "--jobs", jobs)
    wait_for(lambda: all(checkpoint(tmp_path, fold).exists() for fold in range(int(jobs))), process)
    os.killpg(process.pid, number)  # as a terminal does: to workers as well
    stdout, stderr = process.communicate(timeout=30)
    assert process.returncode == status
    assert stderr.splitlines()[-1] == f"qm7: stopped by {number.name}; the same command goes on from here"
    assert (STOPPING in stderr.splitlines()) == (number == signal.SIGINT)
    assert stdout.splitlines()[-1] == "run/results.yaml"
    folds = read(tmp_path)["folds"]
    assert {fold["status"] for fold in folds} == {"partial"}
    assert len(folds) == int(jobs)
    reached = folds[0]["iterations"]
    assert reached >= 200

    # The same command, made short, goes on from there and gives the bits of an undisturbed run.
    more = [*LONG[2:], "--fold", "0", "--iterations", str(reached + 50)]
    resumed = command("train", "--config", "run/config.yaml", "--out", "run", *more).stderr
    assert all(int(iteration) >= reached for iteration in re.findall(r"iteration (\d+) of", resumed))
    command("train", "--config", "run/config.yaml", "--out", "whole", *more)
    assert models(tmp_path / "run") == models(tmp_path / "whole")


def test_workers_end_when_their_parent_is_killed_and_print_nothing(start, tmp_path):
    process = start("--fold", "0", "--fold", "1", "--jobs", "2", "--quiet")
    wait_for(lambda: checkpoint(tmp_path, 0).exists() and checkpoint(tmp_path, 1).exists(), process)
    process.kill()
    process.wait()

    def group_is_empty():
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return True
        return False

    wait_for(group_is_empty)
    assert process.stderr.read() == ""
    assert {fold["status"] for fold in read(tmp_path)["folds"]} == {"partial"}


def test_two_processes_may_train_different_folds_of_a_run(start, tmp_path):
    both = [start("--fold", fold, "--iterations", "400") for fold in ("0", "1")]
    for process in both:
        _, stderr = process.communicate(timeout=60)
        assert process.returncode == 0, stderr
    assert [(fold["fold"], fold["status"]) for fold in read(tmp_path)["folds"]] == [(0, "complete"), (1, "complete")]
    assert read(tmp_path)["config"]["split"]["folds"] == [0, 1]


def test_a_second_process_on_the_same_fold_is_refused_at_once(start, tmp_path):
    process = start("--fold", "0")
    wait_for(checkpoint(tmp_path).exists, process)
    second = start("--fold", "0")
    _, stderr = second.communicate(timeout=30)
    assert second.returncode == 75
    assert stderr == "qm7: fold 0 of run is being trained by another process\n"
    assert process.poll() is None
    third = start("--fold", "0", "--overwrite")
    _, stderr = third.communicate(timeout=30)
    assert third.returncode == 75
    assert stderr == "qm7: fold 0 of run is being trained by another process\n"
    assert process.poll() is None


@pytest.mark.parametrize("moment", [0.2, 0.6])
def test_a_signal_while_starting_is_no_traceback_and_no_hang(start, moment):
    process = start("--jobs", "2")
    time.sleep(moment)
    os.killpg(process.pid, signal.SIGINT)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode in {130, -signal.SIGINT}  # before Python has come to our code, it is its own
    if process.returncode == 130:
        assert "Traceback" not in stderr


def test_a_signal_ends_the_wait_for_a_run_that_another_process_holds(start, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    with lock(run / ".lock"):  # as a process has it that was stopped with Ctrl-Z at the wrong moment
        process = start("--fold", "0")
        assert process.stderr.readline() == "waiting for the lock run/.lock, which another process holds\n"
        process.send_signal(signal.SIGTERM)
        stdout, stderr = process.communicate(timeout=30)
    assert process.returncode == 143
    assert stderr == "qm7: stopped by SIGTERM; the same command goes on from here\n"
    assert stdout == ""
    assert [path.name for path in run.iterdir()] == [".lock"]


def test_a_signal_ends_a_long_evaluation(start, tmp_path):
    two = ("--fold", "0", "--fold", "1", "--jobs", "2")
    process = start(*two, "--iterations", "5", "--set", "evaluation.draws=1000000")
    wait_for((tmp_path / "run/results.yaml").exists, process)
    time.sleep(0.5)
    process.send_signal(signal.SIGHUP)
    process.communicate(timeout=30)
    assert process.returncode == 129
    assert read(tmp_path)["folds"][0].items() >= {"status": "partial", "iterations": 5, "mae": None}.items()
    assert not models(tmp_path / "run")
