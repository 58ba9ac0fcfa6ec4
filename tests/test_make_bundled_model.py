"""The tool that makes the model that comes with the program."""

import shlex
import shutil

import make_bundled_model
import numpy as np
import pytest
import yaml

from qm7cli.core.errors import QM7Error
from qm7cli.model.model import load_bundled
from qm7cli.runs.models import load_models


def test_the_file_has_the_parameters_of_the_run_and_no_molecule_and_says_what_it_is(three_variants, command, tmp_path):
    record = make_bundled_model.make(three_variants / "original", 0, tmp_path / "network.npz")
    assert yaml.safe_load((tmp_path / "network.yaml").read_text()) == record
    results = yaml.safe_load((three_variants / "original/results.yaml").read_text())
    assert (record["run"], record["fold"], record["iterations"]) == ("original", 0, 300)
    assert record["held_out"]["mae"] == results["folds"][0]["mae"]
    assert record["sha256"] == results["dataset"]["sha256"]
    bundled = load_bundled(tmp_path / "network.npz")
    assert f"held-out MAE {record['held_out']['mae']:.2f} kcal/mol" in bundled.description
    assert len(bundled.model.train) == len(bundled.model.test) == 0
    command(*shlex.split(record["commands"][0])[1:], "--out", "again")
    (again,) = load_models(tmp_path / "again")
    for layer, other in zip(again.layers, bundled.model.layers, strict=True):
        assert all(map(np.array_equal, layer, other))
    assert np.array_equal(again.interval.scores, bundled.model.interval.scores)
    assert record["commands"][1] == "python tools/make_bundled_model.py original --fold 0"


def test_a_run_without_a_network_or_results_is_one_sentence(three_variants, tmp_path, command):
    shutil.copytree(three_variants / "original", tmp_path / "run")
    (tmp_path / "run/results.yaml").unlink()
    command("baseline", "--model", "mean", "--fold", "0", "--out", "mean")
    for run in ("run", "mean"):
        with pytest.raises(QM7Error, match=f"{run} has no network of fold 0 with its results$"):
            make_bundled_model.make(tmp_path / run, 0, tmp_path / "x.npz")
