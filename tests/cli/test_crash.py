"""A run that is killed again and again ends as if nothing had happened."""

import csv
import os
import random
import signal
import subprocess
import time

import numpy as np
import pytest
import yaml

from conftest import QUICK, qm7_path
from qm7cli.files import read_arrays

KILLS = 20
TWO_FOLDS = ["--fold", "0", "--fold", "3", "--jobs", "2"]
OFTEN = ("training.checkpoint_every=150", "evaluation.every=400")


@pytest.fixture
def start(tmp_path, mat):
    """Starts a training of two folds in the background, in a process group of its own."""
    settings = [part for assignment in (*QUICK, *OFTEN) for part in ("--set", assignment)]

    def run(out, iterations):
        return subprocess.Popen(
            [qm7_path(), "train", *TWO_FOLDS, *settings, "--out", out, "--iterations", str(iterations), "--quiet"],
            cwd=tmp_path,
            env={**os.environ, "QM7_DATA": str(mat)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    return run


def duration(process):
    begun = time.monotonic()
    assert process.wait(120) == 0
    return time.monotonic() - begun


def reached(run):
    """Return the iterations that each fold's checkpoint has."""
    if not (run / "results.yaml").exists():
        return {}
    return {fold["fold"]: fold["iterations"] for fold in yaml.safe_load((run / "results.yaml").read_text())["folds"]}


def state(run):
    """Return everything in a run that does not tell the time."""
    results = yaml.safe_load((run / "results.yaml").read_text())
    folds = [{key: value for key, value in fold.items() if key != "seconds"} for fold in results["folds"]]
    files = [path.read_bytes() for name in ("model.npz", "predictions.csv") for path in sorted(run.glob(f"*/{name}"))]
    histories = [
        [{**row, "seconds": None} for row in csv.DictReader(path.read_text().splitlines())]
        for path in sorted(run.glob("*/history.csv"))
    ]
    parameters = [read_arrays(path)[name].tobytes() for path in sorted(run.glob("*/checkpoint.npz")) for name in "PQ"]
    return [results["status"], folds, results["mae"], results["config"], files, histories, parameters]


def test_a_run_killed_at_20_random_instants_ends_with_the_bytes_of_an_undisturbed_one(start, tmp_path, say):
    seed = int(os.environ.get("QM7_CRASH_SEED") or np.random.SeedSequence().entropy % 10**9)
    say(f"QM7_CRASH_SEED={seed} draws these instants again")
    rng = random.Random(seed)  # noqa: S311 - instants, not secrets

    starting = duration(start("short", 100))
    rate = 5000 / max(duration(start("long", 5100)) - starting, 0.1)
    # An attempt lives for `starting` on average, of which a quarter is training: 20 train for about 5 times that.
    iterations = int(12 * starting * rate)
    length = duration(start("whole", iterations))
    instants = sorted(rng.uniform(0, 2 * starting) for _ in range(KILLS))
    say(f"{KILLS} kills {instants[0]:.2f} to {instants[-1]:.2f} s after the start of a run of {length:.1f} s")
    rng.shuffle(instants)

    before = {}
    for instant in instants:
        process = start("killed", iterations)
        time.sleep(instant)
        assert process.poll() is None
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        after = reached(tmp_path / "killed")
        assert all(after[fold] >= iteration for fold, iteration in before.items())
        before = after
    assert min(before.values()) > 0
    assert start("killed", iterations).wait(120) == 0
    assert state(tmp_path / "killed") == state(tmp_path / "whole")
    assert not list(tmp_path.rglob("*.tmp"))
