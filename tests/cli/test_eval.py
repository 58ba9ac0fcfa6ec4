import json

import numpy as np
import pytest
from scipy.stats import spearmanr

from conftest import fold_errors
from qm7cli import load_run
from qm7cli.model.conformal import Interval


@pytest.fixture
def trained(copied, tmp_path):
    """A run of two folds."""
    (copied / "original").rename(tmp_path / "run")
    return load_run(tmp_path / "run").results


def evaluated(command, *args):
    return json.loads(command("eval", *args, "--format", "json").stdout)


def test_without_a_run_those_under_runs_are_evaluated_and_each_finds_its_own_data(command, trained, quick_flags, mat):
    command("train", "--data", "gfn7", "--fold", "1", *quick_flags, "--out", "runs/many/bundled")
    command("train", "--data", mat, "--fold", "0", *quick_flags, "--out", "runs/own")
    records = json.loads(command("eval", "--format", "json", QM7_DATA=None).stdout)
    assert [record["run"] for record in records] == ["runs/many/bundled", "runs/own"]
    assert records[1]["mae"] == trained[0].mae


def test_folds_parts_and_draws_can_be_chosen(command, trained):
    (record,) = evaluated(command, "run", "--fold", "1", "--draws", "1", "--part", "train")
    assert (record["fold"], record["draws"]) == (1, 1)
    assert "mae" not in record
    assert "interval" not in record  # trained molecules would teach too small a one
    assert record["train_mae"] != trained[1].train_mae


@pytest.mark.usefixtures("trained")
def test_intervals_are_held_against_the_errors_of_the_other_fold(command, tmp_path):
    errors, spreads = zip(*(fold_errors(tmp_path / "run", fold) for fold in (0, 1)), strict=True)
    records = evaluated(command, "run")
    for k, record in enumerate(records):
        widths = [Interval.of(errors[j], spreads[j]).half_widths(spreads[k]) for j in (k, 1 - k)]
        assert record["interval"] == pytest.approx(widths[0].mean())
        assert record["coverage"] == pytest.approx(np.mean(abs(errors[k]) <= widths[1]))
        assert record["rank_correlation"] == pytest.approx(spearmanr(abs(errors[k]), spreads[k])[0])
        assert record["run_rank_correlation"] is None
    (alone,) = evaluated(command, "run", "--fold", "0")
    assert (alone["coverage"], alone["interval"]) == (None, records[0]["interval"])


def test_an_ensemble_has_the_error_of_the_averaged_predictions(command, copied):
    *single, first, second = evaluated(command, "runs/original", "runs/corrected", "--ensemble")
    for k, record in enumerate((first, second)):
        assert (record["run"], record["variant"], record["fold"]) == ("ensemble of 2 runs", None, k)
        folds = [fold_errors(copied / name, k) for name in ("original", "corrected")]
        errors, spreads = np.mean(folds, axis=0)
        assert record["mae"] == pytest.approx(abs(errors).mean())
        assert record["interval"] == pytest.approx(np.mean([each["interval"] for each in single[k::2]]))
        assert record["rank_correlation"] == pytest.approx(spearmanr(abs(errors), spreads)[0])
        apart = abs(folds[0][0] - folds[1][0])
        assert record["run_rank_correlation"] == pytest.approx(spearmanr(abs(errors), apart)[0])
    footer = command("eval", "runs/original", "runs/corrected", "--ensemble").stdout.splitlines()[-1]
    assert "run: *" not in footer


@pytest.mark.usefixtures("trained")
def test_runs_that_share_no_folds_are_no_ensemble(command, quick_flags):
    alone = command("eval", "run", "--ensemble", status=1).stderr
    assert alone == "qm7: an ensemble takes two runs or more, and there is run alone\n"
    command("train", *quick_flags, "--fold", "0", "--split", "random", "--out", "one")
    unlike = command("eval", "run", "one", "--ensemble", status=1).stderr
    assert unlike == "qm7: run has the folds 0, 1, one 0; --fold chooses shared ones\n"
    unlike = command("eval", "run", "one", "--ensemble", "--fold", "0", status=1).stderr
    assert unlike == "qm7: fold 0 of run and of one have different molecules\n"
