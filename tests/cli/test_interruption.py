"""Signals, and several processes in one run."""

import os
import re
import signal
import subprocess

import pytest
import yaml

from conftest import bits, wait_for
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


@pytest.mark.parametrize(("number", "jobs"), [(signal.SIGINT, 2), (signal.SIGTERM, 2), (signal.SIGUSR1, 1)])
def test_a_signal_writes_the_checkpoints_and_the_results_so_far(start, command, tmp_path, number, jobs):
    process = start("--fold", "0", "--fold", "1", "--jobs", jobs)
    wait_for(lambda: all(checkpoint(tmp_path, fold).exists() for fold in range(jobs)), process)
    os.killpg(process.pid, number)  # as a terminal does: to workers as well
    stdout, stderr = process.communicate(timeout=30)
    assert process.returncode == 128 + number
    assert stderr.splitlines()[-1] == f"qm7: stopped by {number.name}; the same command resumes from here"
    assert (STOPPING in stderr.splitlines()) == (number == signal.SIGINT)
    assert stdout.splitlines()[-1] == "run/results.yaml"
    folds = read(tmp_path)["folds"]
    assert [fold["status"] for fold in folds] == ["partial"] * jobs
    reached = folds[0]["iterations"]
    assert reached >= 200
    if number == signal.SIGINT:  # the same command, made short, goes on to the bits of an undisturbed run
        more = [*LONG[2:], "--fold", "0", "--iterations", str(reached + 50)]
        resumed = command("train", "--config", "run/config.yaml", "--out", "run", *more).stderr
        assert all(int(iteration) >= reached for iteration in re.findall(r"iteration (\d+) of", resumed))
        command("train", "--config", "run/config.yaml", "--out", "whole", *more)
        assert bits(tmp_path / "run/fold-0") == bits(tmp_path / "whole/fold-0")


def test_workers_end_when_their_parent_is_killed_and_print_nothing(start, tmp_path):
    process = start("--fold", "0", "--fold", "1", "--jobs", "2", "--quiet")
    wait_for(lambda: all(checkpoint(tmp_path, fold).exists() for fold in (0, 1)), process)
    process.kill()
    process.wait()
    wait_for(lambda: subprocess.run(["pgrep", "-g", str(process.pid)], capture_output=True, check=False).returncode)
    assert process.stderr.read() == ""
    assert {fold["status"] for fold in read(tmp_path)["folds"]} == {"partial"}


def test_two_processes_train_different_folds_of_a_run_and_not_the_same(start, tmp_path):
    first = start("--fold", "0")
    wait_for(checkpoint(tmp_path).exists, first)
    for more in ((), ("--overwrite",)):
        second = start("--fold", "0", *more)
        assert second.communicate(timeout=30)[1] == "qm7: fold 0 of run is being trained by another process\n"
        assert second.returncode == 75
    other = start("--fold", "1", "--iterations", "400")
    _, stderr = other.communicate(timeout=60)
    assert other.returncode == 0, stderr
    assert first.poll() is None
    assert {fold["fold"]: fold["status"] for fold in read(tmp_path)["folds"]}[1] == "complete"
    assert read(tmp_path)["config"]["split"]["folds"] == [0, 1]
