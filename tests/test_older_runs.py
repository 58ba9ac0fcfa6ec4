"""Runs that the program made when `training.averaging` was called `training.history`: see older_runs/README.md."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from conftest import bits
from qm7cli.core.arrays import read_arrays

OLDER = Path(__file__).parent / "older_runs"
NETWORK = [
    *("--data", "small.mat", "--set", "network.hidden=[5,4]", "--set", "training.batch_size=5"),
    *("--set", "encoding.step=3", "--set", "evaluation.draws=2", "--set", "evaluation.every=100"),
    *("--set", "training.checkpoint_every=50"),
]
AVERAGING = ["--set", "training.averaging=0.25"]
FINISHED = (
    "small-original-seed0-encoding.step=3.0-network.hidden=5,4-training.batch_size=5-training.history=0.25-"
    "evaluation.draws=2"
)
CORRECTED = f"sweep/small-corrected{FINISHED.removeprefix('small-original').replace('0.25', '0.2')}"


@pytest.fixture
def older(tmp_path):
    """The directory in which the older version worked, where the command of today does too."""
    shutil.copytree(OLDER, tmp_path, dirs_exist_ok=True)
    return tmp_path


def assert_same_training(run, anew, older):
    """The checkpoint of another machine may be in another basis: then the training goes on but for rounding."""
    basis, own = (read_arrays(path / "fold-0/checkpoint.npz")["basis"] for path in (older, anew))
    if np.array_equal(basis, own):
        model = Path("fold-0/model.npz")
        assert bits(run)[model] == bits(anew)[model]
    ours, theirs = (read_arrays(each / "fold-0/model.npz") for each in (run, anew))
    for name in ours.keys() - {"about"}:
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-3, atol=1e-3)


def test_a_finished_run_is_found_by_its_older_name_and_kept_as_it_is(command, older):
    before = bits(older / "runs")
    done = command("train", *NETWORK, *AVERAGING, "--iterations", "200", "--fold", "0", "--fold", "1")
    assert done.stdout.splitlines()[-1] == f"runs/{FINISHED}/results.yaml"
    assert bits(older / "runs") == before


def test_a_finished_baseline_is_kept(command, older):
    before = bits(older / "runs")
    flags = ["--model", "krr", "--kernel", "laplacian", "--data", "small.mat", "--fold", "0"]
    command("baseline", *flags)
    assert bits(older / "runs") == before


def test_a_stopped_run_goes_on_as_if_it_had_never_stopped(command, older):
    args = ["train", *NETWORK, "--iterations", "4000", "--split", "folds.yaml", "--fold", "0"]
    for out in ("runs/stopped", "anew"):
        command(*args, "--out", out)
    assert_same_training(older / "runs/stopped", older / "anew", OLDER / "runs/stopped")


def test_a_sweep_skips_its_finished_point_and_goes_on_with_the_other(command, older):
    done = command("sweep", "sweep.yaml", "--out", "runs/sweep", "--dry-run")
    assert [line.split()[2:] for line in done.stdout.splitlines()[1:3]] == [
        ["complete", "4000", "of", "4000"],
        ["partial", "100", "of", "4000"],
    ]
    assert done.stderr == "sweep.yaml: training.history is called training.averaging now\n"
    before = bits(older / "runs/sweep")
    command("sweep", "sweep.yaml", "--out", "runs/sweep", "--jobs", "1")
    assert len(list((older / "runs/sweep").iterdir())) == 2
    after = bits(older / "runs/sweep")
    assert all(after[path] == before[path] for path in before if "original" in str(path))
    same = ["--variant", "corrected", "--set", "training.averaging=0.2", "--iterations", "4000", "--fold", "0"]
    command("train", *NETWORK, *same, "--out", "anew")
    assert_same_training(older / "runs" / CORRECTED, older / "anew", OLDER / "runs" / CORRECTED)


def test_runs_of_both_versions_are_read_together_silently(command, older):
    command("train", *NETWORK, "--iterations", "200", "--fold", "0", "--fold", "1", "--out", "runs/new")
    done = command("compare", f"runs/{FINISHED}", "runs/new")
    assert done.stderr == ""
    assert {"averaging=0.1", "averaging=0.25"} <= {line.split()[0] for line in done.stdout.splitlines()}
    assert command("eval", older / "runs" / FINISHED).stderr == ""


def test_an_older_key_is_taken_for_the_new_one_with_a_sentence(command, older):
    (older / "x.yaml").write_text("training: {history: 0.3}")
    for args, name in ((["--config", "x.yaml"], "x.yaml"), (["--set", "training.history=0.3"], "--set")):
        done = command("train", *args, "--print-config")
        assert "averaging: 0.3" in done.stdout
        assert done.stderr == f"{name}: training.history is called training.averaging now\n"
    done = command("train", "--set", "training={history: 0.3, averaging: 0.2}", status=2)
    assert "unknown key training.history" in done.stderr
