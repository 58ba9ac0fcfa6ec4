"""A run that is killed again and again ends as if nothing had happened."""

import os
import random
import shutil
import signal
import subprocess
import time

import numpy as np
import pytest

import molecules
from conftest import QUICK, iterations_in, qm7_path
from kills import deaths
from qm7cli.core.arrays import load_arrays
from qm7cli.data import dataset
from qm7cli.runs.access import prepare_run
from qm7cli.runs.config import read_config
from qm7cli.runs.experiment import resolve
from qm7cli.runs.results import read_results
from qm7cli.training.checkpoint import CheckpointAbout
from qm7cli.training.train_run import train_run

KILLS = 9
ENDLESS = 10**8  # iterations
FOLDS = ((0, 3), (0,), (3,))  # both at once, in processes of their own, or one alone: by turns
OFTEN = ("training.checkpoint_every=150", "evaluation.every=400")


@pytest.fixture
def start(tmp_path, mat):
    """Starts a training of some folds in the background, in a process group of its own."""
    settings = [part for assignment in (*QUICK, *OFTEN) for part in ("--set", assignment)]

    def run(out, iterations, folds=FOLDS[0]):
        chosen = [part for fold in folds for part in ("--fold", str(fold))]
        return subprocess.Popen(
            [
                qm7_path(),
                "train",
                *chosen,
                "--jobs",
                "2",
                *settings,
                "--out",
                out,
                "--iterations",
                str(iterations),
                "-q",
            ],
            cwd=tmp_path,
            env={**os.environ, "QM7_DATA": str(mat)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    return run


def reached(run):
    """Return the iterations that each fold's checkpoint has."""
    return {path.parent.name: iterations_in(path) for path in run.glob("fold-*/checkpoint.npz")}


def state(run):
    """Return everything in a run that does not tell the time."""
    results = read_results(run)
    timeless = {"seconds": 0, "environment": None}
    folds = [
        fold.model_copy(update=timeless | {"history": [row._replace(seconds=0) for row in fold.history]})
        for fold in results.folds
    ]
    files = [path.read_bytes() for name in ("model.npz", "predictions.csv") for path in sorted(run.glob(f"*/{name}"))]
    paths = sorted(run.glob("*/checkpoint.npz"))
    parameters = [array.tobytes() for path in paths for array in load_arrays(path, CheckpointAbout)[1].values()]
    names = sorted(path.relative_to(run) for path in run.rglob("*") if path.suffix != ".tmp")
    return [names, folds, read_config(run), results.config, files, parameters]


def wait_for_writes(path, count, process):
    """Wait until a process has written the checkpoint of a fold so many times."""
    deadline = time.monotonic() + 60
    last = None
    while count:
        now = path.stat().st_mtime_ns if path.exists() else None
        if now != last:
            last = now
            count -= 1
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_a_run_killed_at_random_instants_ends_with_the_bytes_of_an_undisturbed_one(start, tmp_path, say):
    seed = int(os.environ.get("QM7_CRASH_SEED") or np.random.SeedSequence().entropy % 10**9)
    say(f"QM7_CRASH_SEED={seed} draws these instants again")
    rng = random.Random(seed)  # noqa: S311 - instants, not secrets

    instants, before = [], {}
    for kill in range(KILLS):
        folds = FOLDS[kill % len(FOLDS)]
        process = start("killed", ENDLESS, folds)
        begun = time.monotonic()
        writes = rng.randrange(4)  # of which the first may be what was there
        wait_for_writes(tmp_path / f"killed/fold-{folds[0]}/checkpoint.npz", writes, process)
        time.sleep(rng.uniform(0, 0.1 if writes else 1.0))
        assert process.poll() is None
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        instants.append(time.monotonic() - begun)
        after = reached(tmp_path / "killed")
        assert all(after[fold] >= iteration for fold, iteration in before.items())
        before = after
    assert len(before) == len(FOLDS[0])

    iterations = max(before.values()) + 300
    begun = time.monotonic()
    assert start("whole", iterations).wait(120) == 0
    length = time.monotonic() - begun
    say(f"{KILLS} kills {min(instants):.2f} to {max(instants):.2f} s after the start; undisturbed {length:.1f} s")
    assert start("killed", iterations).wait(120) == 0
    assert state(tmp_path / "killed") == state(tmp_path / "whole")


TINY = (  # a run of some milliseconds
    "network.hidden=[3]",
    "training.iterations=3",
    "training.checkpoint_every=2",
    "evaluation.every=2",
    "evaluation.draws=1",
)
LINEAR = {"baseline.model": "linear", "baseline.ridge": 1.0}


def tiny(*assignments, **flags):
    return resolve(None, [*TINY, *assignments], flags)


ONE, BOTH = tiny("split.folds=[1]"), tiny("split.folds=[0,1]")
WORK = {  # what is done, after what
    "a training": (None, ONE),
    "a longer training": (ONE, tiny("split.folds=[1]", "training.iterations=5")),
    "a baseline": (None, tiny("split.folds=[1]", **LINEAR)),
    "overwriting a fold": (BOTH, ONE),
    "overwriting another seed": (BOTH, tiny("split.folds=[1]", seed=1)),
    "overwriting another data set": (BOTH, ONE),
    "overwriting a network by a baseline": (BOTH, tiny("split.folds=[1]", **LINEAR)),
}


@pytest.mark.parametrize("name", WORK)
def test_killed_before_any_change_of_a_file_the_same_command_ends_with_the_bytes_of_an_undisturbed_one(
    tmp_path, small, monkeypatch, name
):
    monkeypatch.setattr(os, "fsync", lambda _: None)  # it is the process that dies, not the machine
    (earlier, experiment), overwrite = WORK[name], name.startswith("overwriting")
    run, before = tmp_path / "run", tmp_path / "before"
    before.mkdir()
    if earlier:
        other = dataset.load(molecules.write(tmp_path / "small.mat", seed=1)) if name.endswith("data set") else small
        train_run(earlier, other, before)

    def restore():
        shutil.rmtree(run, ignore_errors=True)
        shutil.copytree(before, run)

    def train():
        assert train_run(experiment, small, run, overwrite=overwrite).status == "complete"

    def empty():  # what follows is a training as any other
        prepare_run(run, experiment, [1], small, overwrite=True)

    restore()
    train()
    whole = state(run)
    restore()
    kills = 0
    for kills in deaths(empty if overwrite else train):
        train()
        assert state(run) == whole, f"killed before change {kills}"
        restore()
    assert kills > 5
