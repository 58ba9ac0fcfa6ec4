"""A run that is killed ends as if nothing had happened."""

import os
import shutil
import signal

import pytest

import molecules
from conftest import bits, iterations_in, wait_for
from kills import deaths
from qm7cli.core.files import load_arrays
from qm7cli.data import dataset
from qm7cli.runs.access import prepare_run
from qm7cli.runs.experiment import resolve
from qm7cli.runs.results import read_results
from qm7cli.training.fold_training import CheckpointAbout
from qm7cli.training.train_run import train_run


def test_a_killed_run_ends_with_the_bytes_of_an_undisturbed_one(background, command, quick_flags, tmp_path):
    train = ("train", *quick_flags, "--fold", 0, "--fold", 3, "--jobs", 2, "--quiet")
    process = background(*train, "--out", "killed", "--iterations", 10**8)
    checkpoints = [tmp_path / f"killed/fold-{fold}/checkpoint.npz" for fold in (0, 3)]
    wait_for(lambda: all(path.exists() for path in checkpoints), process)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    iterations = max(map(iterations_in, checkpoints)) + 300
    for out in ("killed", "whole"):
        command(*train, "--out", out, "--iterations", iterations)
    assert bits(tmp_path / "killed") == bits(tmp_path / "whole")


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
    paths = sorted(run.glob("*/checkpoint.npz"))
    parameters = [array.tobytes() for path in paths for array in load_arrays(path, CheckpointAbout)[1].values()]
    names = sorted(path.relative_to(run) for path in run.rglob("*") if path.suffix != ".tmp")
    return [names, folds, results.config, bits(run), parameters]


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
