"""A run that is killed ends as if nothing had happened."""

import os
import random
import shutil
import signal
import time

import numpy as np
import pytest

import molecules
from conftest import bits, iterations_in, wait_for
from kills import deaths
from qm7cli.core.files import load_arrays
from qm7cli.data import dataset
from qm7cli.runs.access import prepare_run
from qm7cli.runs.config import read_config
from qm7cli.runs.experiment import resolve
from qm7cli.runs.results import read_results
from qm7cli.training.fold_training import CheckpointAbout
from qm7cli.training.train_run import train_run

KILLS = 3
OFTEN = ("--set", "training.checkpoint_every=150", "--set", "evaluation.every=400", "--quiet")


def test_a_run_killed_at_random_instants_ends_with_the_bytes_of_an_undisturbed_one(
    background, command, quick_flags, tmp_path
):
    seed = int(os.environ.get("QM7_CRASH_SEED") or np.random.SeedSequence().entropy % 10**9)
    rng = random.Random(seed)  # noqa: S311 - instants, not secrets
    train = ("train", *quick_flags, *OFTEN, "--fold", 0, "--fold", 3, "--jobs", 2)
    checkpoint = tmp_path / "killed/fold-0/checkpoint.npz"
    reached = 0
    for kill in range(KILLS):
        process = background(*train, "--out", "killed", "--iterations", 10**8)
        if kill % 2 == 0:
            wait_for(lambda last=reached: checkpoint.exists() and iterations_in(checkpoint) > last, process)
        time.sleep(rng.uniform(0, 0.1 if kill % 2 == 0 else 1.0))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert iterations_in(checkpoint) >= reached
        reached = iterations_in(checkpoint)
    others = [iterations_in(path) for path in (tmp_path / "killed").glob("fold-3/checkpoint.npz")]
    for out in ("killed", "whole"):
        command(*train, "--out", out, "--iterations", max([reached, *others]) + 300)
    assert bits(tmp_path / "killed") == bits(tmp_path / "whole"), f"QM7_CRASH_SEED={seed} draws these instants again"


def tiny(*assignments, **flags):
    """Return an experiment of some milliseconds."""
    often = ("training.iterations=3", "training.checkpoint_every=2", "evaluation.every=2", "evaluation.draws=1")
    return resolve(None, ["network.hidden=[3]", *often, *assignments], flags)


ONE, BOTH = tiny("split.folds=[1]"), tiny("split.folds=[0,1]")
WORK = {  # what is done, after what
    "a longer training": (ONE, tiny("split.folds=[1]", "training.iterations=5")),
    "a baseline": (None, tiny("split.folds=[1]", **{"baseline.model": "linear", "baseline.ridge": 1.0})),
    "overwriting another data set": (BOTH, ONE),
}


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
