import csv
import json
import shutil

import numpy as np
import pytest
import yaml
from scipy.stats import spearmanr

import molecules
from qm7cli.model.conformal import Interval


@pytest.fixture
def trained(three_variants, tmp_path):
    """A run of two folds."""
    shutil.copytree(three_variants / "original", tmp_path / "run")
    return yaml.safe_load((tmp_path / "run/results.yaml").read_text())


def evaluated(command, *args):
    return json.loads(command("eval", *args, "--format", "json").stdout)


def test_it_gives_the_digits_of_the_results_from_the_model_and_the_data_alone(command, trained, tmp_path):
    for path in [*tmp_path.glob("run/*.yaml"), *tmp_path.glob("run/fold-*/*")]:
        if path.name != "model.npz":
            path.unlink()
    metrics = ("fold", "mae", "rmse", "train_mae", "train_rmse")
    for record, fold in zip(evaluated(command, "run", "--part", "both"), trained["folds"], strict=True):
        assert [record[metric] for metric in metrics] == [fold[metric] for metric in metrics]


def test_without_a_run_those_under_runs_are_evaluated_and_each_finds_its_own_data(command, trained, quick_flags, mat):
    command("train", "--data", "gfn7", "--fold", "1", *quick_flags, "--out", "runs/many/bundled")
    command("train", "--data", mat, "--fold", "0", *quick_flags, "--out", "runs/own")
    records = json.loads(command("eval", "--format", "json", QM7_DATA=None).stdout)
    assert [record["run"] for record in records] == ["runs/many/bundled", "runs/own"]
    assert records[1]["mae"] == trained["folds"][0]["mae"]


def test_folds_parts_and_draws_can_be_chosen(command, trained):
    (record,) = evaluated(command, "run", "--fold", "1", "--draws", "1", "--part", "train")
    assert (record["fold"], record["draws"]) == (1, 1)
    assert "mae" not in record
    assert "interval" not in record  # trained molecules would teach too small a one
    assert record["train_mae"] != trained["folds"][1]["train_mae"]


def read_fold(tmp_path, run, fold):
    """Return errors and spreads of a fold's predictions."""
    with (tmp_path / f"{run}/fold-{fold}/predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    table = np.array([[float(row[key]) for key in ("target", "prediction", "spread")] for row in rows])
    return table[:, 1] - table[:, 0].astype(np.float32), table[:, 2]


@pytest.mark.usefixtures("trained")
def test_intervals_are_held_against_the_errors_of_the_other_fold(command, tmp_path):
    errors, spreads = zip(*(read_fold(tmp_path, "run", fold) for fold in (0, 1)), strict=True)
    records = evaluated(command, "run")
    for k, record in enumerate(records):
        widths = [Interval.of(errors[j], spreads[j]).half_widths(spreads[k]) for j in (k, 1 - k)]
        assert record["interval"] == pytest.approx(widths[0].mean())
        assert record["coverage"] == pytest.approx(np.mean(abs(errors[k]) <= widths[1]))
        assert record["rank_correlation"] == pytest.approx(spearmanr(abs(errors[k]), spreads[k])[0])
        assert record["run_rank_correlation"] is None
    (alone,) = evaluated(command, "run", "--fold", "0")
    assert (alone["coverage"], alone["interval"]) == (None, records[0]["interval"])


def test_an_ensemble_has_the_error_of_the_averaged_predictions(command, three_variants, tmp_path):
    for name in ("original", "corrected"):
        shutil.copytree(three_variants / name, tmp_path / "runs" / name)
    *single, first, second = evaluated(command, "runs/original", "runs/corrected", "--ensemble")
    for k, record in enumerate((first, second)):
        assert (record["run"], record["variant"], record["fold"]) == ("ensemble of 2 runs", None, k)
        folds = [read_fold(tmp_path, f"runs/{name}", k) for name in ("original", "corrected")]
        errors, spreads = np.mean(folds, axis=0)
        assert record["mae"] == pytest.approx(abs(errors).mean())
        assert record["interval"] == pytest.approx(np.mean([each["interval"] for each in single[k::2]]))
        assert record["rank_correlation"] == pytest.approx(spearmanr(abs(errors), spreads)[0])
        apart = abs(folds[0][0] - folds[1][0])
        assert record["run_rank_correlation"] == pytest.approx(spearmanr(abs(errors), apart)[0])
    footer = command("eval", "runs/original", "runs/corrected", "--ensemble").stdout.splitlines()[-1]
    assert "run: *" not in footer


def test_runs_that_share_no_folds_are_no_ensemble(command, three_variants, quick_flags, tmp_path):
    shutil.copytree(three_variants / "original", tmp_path / "run")
    alone = command("eval", "run", "--ensemble", status=1).stderr
    assert alone == "qm7: an ensemble takes two runs or more, and there is run alone\n"
    command("train", *quick_flags, "--fold", "0", "--split", "random", "--out", "one")
    done = command("eval", "run", "one", "--ensemble", status=1)
    assert done.stderr == "qm7: run has the folds 0, 1, one 0; --fold chooses shared ones\n"
    done = command("eval", "run", "one", "--ensemble", "--fold", "0", status=1)
    assert done.stderr == "qm7: fold 0 of run and of one have different molecules\n"


def test_another_data_set_is_refused(command, trained, tmp_path):
    molecules.write(tmp_path / "other.mat", seed=1)
    done = command("eval", "run", "--data", "other.mat", status=1)
    assert done.stderr.startswith("qm7: fold 0 of run was trained on another data set: SHA-256 ")
    assert trained["dataset"]["sha256"][:12] in done.stderr
