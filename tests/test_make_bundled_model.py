"""The tool that makes the model that comes with the program."""

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from qm7cli.core.arrays import load_arrays
from qm7cli.core.errors import QM7Error
from qm7cli.model.model import BundledAbout, ModelAbout, load_bundled
from qm7cli.runs.models import load_models

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))

import make_bundled_model


@pytest.fixture
def made(three_variants, tmp_path):
    """The bundled file of a fold."""
    record = make_bundled_model.make(three_variants / "original", 0, tmp_path / "network.npz")
    assert yaml.safe_load((tmp_path / "network.yaml").read_text()) == record
    return tmp_path / "network.npz"


def test_the_file_has_the_parameters_of_the_run_and_no_molecule(made, three_variants):
    _, own = load_arrays(three_variants / "original/fold-0/model.npz", ModelAbout)
    _, bundled = load_arrays(made, BundledAbout)
    assert own.keys() == bundled.keys()
    for name in own:
        expected = own[name][:0] if name in {"train", "test"} else own[name]
        assert np.array_equal(bundled[name], expected)


def test_what_it_is_stands_in_it_and_beside_it(made, three_variants):
    results = yaml.safe_load((three_variants / "original/results.yaml").read_text())
    record = yaml.safe_load(made.with_suffix(".yaml").read_text())
    assert (record["run"], record["fold"], record["iterations"]) == ("original", 0, 300)
    assert record["held_out"]["mae"] == results["folds"][0]["mae"]
    assert record["sha256"] == results["dataset"]["sha256"]
    assert record["settings"]["network"]["hidden"] == [20, 10]
    about, _ = load_arrays(made, BundledAbout)
    assert about.mae == results["folds"][0]["mae"]
    assert f"held-out MAE {about.mae:.2f} kcal/mol" in load_bundled(made).description


def test_its_first_command_trains_the_same_network(made, three_variants, command, tmp_path):
    train, make = yaml.safe_load(made.with_suffix(".yaml").read_text())["commands"]
    command(*shlex.split(train)[1:], "--out", "again")
    (again,), (own,) = load_models(tmp_path / "again"), load_models(three_variants / "original", [0])
    assert np.array_equal(again.interval.scores, own.interval.scores)
    assert all(np.array_equal(one.W, other.W) for one, other in zip(again.layers, own.layers, strict=True))
    assert make == "python tools/make_bundled_model.py original --fold 0"


def test_a_run_without_a_network_or_results_is_one_sentence(three_variants, tmp_path, command):
    shutil.copytree(three_variants / "original", tmp_path / "run")
    (tmp_path / "run/results.yaml").unlink()
    with pytest.raises(QM7Error, match="has no network of fold 0 with its results"):
        make_bundled_model.make(tmp_path / "run", 0, tmp_path / "x.npz")
    command("baseline", "--model", "mean", "--fold", "0", "--out", "mean")
    program = [sys.executable, make_bundled_model.__file__, "mean"]
    done = subprocess.run(program, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "mean has no network of fold 0 with its results\n")
