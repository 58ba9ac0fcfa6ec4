import csv
import io
import json
import os
import shutil
import subprocess

import numpy as np
import pytest
import yaml
from scipy.stats import spearmanr

import molecules
from conftest import qm7_path
from qm7cli.model.conformal import Interval


@pytest.fixture
def trained(three_variants, tmp_path):
    """A run of two folds."""
    shutil.copytree(three_variants / "original", tmp_path / "run")
    return yaml.safe_load((tmp_path / "run/results.yaml").read_text())


def test_yaml_gives_the_digits_of_the_results(command, trained):
    evaluated = yaml.safe_load(command("eval", "run", "--part", "both", "--format", "yaml").stdout)
    metrics = ("fold", "mae", "rmse", "train_mae", "train_rmse")
    for record, fold in zip(evaluated["folds"], trained["folds"], strict=True):
        assert [record[metric] for metric in metrics] == [fold[metric] for metric in metrics]
    assert (evaluated["mae"], evaluated["rmse"]) == (trained["mae"], trained["rmse"])


def test_the_model_and_the_data_are_enough(command, trained, tmp_path):
    for path in [*tmp_path.glob("run/*.yaml"), *tmp_path.glob("run/fold-*/*")]:
        if path.name != "model.npz":
            path.unlink()
    evaluated = json.loads(command("eval", "run", "--format", "json").stdout)
    assert evaluated["mae"] == trained["mae"]


def test_every_format_says_the_same(command, trained, tmp_path):
    shutil.copytree(tmp_path / "run", tmp_path / "same")
    documents = list(yaml.safe_load_all(command("eval", "run", "same", "--format", "yaml").stdout))
    lines = [json.loads(line) for line in command("eval", "run", "same", "--format", "json").stdout.splitlines()]
    rows = list(csv.DictReader(io.StringIO(command("eval", "run", "same", "--format", "csv").stdout)))
    table = command("eval", "run", "same").stdout.splitlines()
    assert documents == lines
    assert len(documents) == 2
    assert [float(row["mae"]) for row in rows] == 2 * [fold["mae"] for fold in trained["folds"]]
    titles = ["test", "MAE", "test", "RMSE", "interval", "coverage", "rank", "corr."]
    assert table[0].split()[-8:] == titles
    assert [line.split()[-5] for line in table[1:3]] == [f"{fold['mae']:.2f}" for fold in trained["folds"]]
    assert table[3].split()[:2] == ["run", "mean"]
    assert f"{trained['mae']['mean']:.2f} +- {trained['mae']['std']:.2f}" in table[3]


def test_without_a_run_those_under_runs_are_evaluated_and_each_finds_its_own_data(command, trained, quick_flags, mat):
    assert command("eval", status=1).stderr == (
        "qm7: there is no directory runs here: name a run, or go to the directory where you trained\n"
    )
    command("train", "--data", "gfn7", "--fold", "1", *quick_flags, "--out", "runs/many/bundled")
    command("train", "--data", mat, "--fold", "0", "--fold", "1", *quick_flags, "--out", "runs/own")
    done = command("eval", "--format", "json", QM7_DATA=None)
    bundled, own = map(json.loads, done.stdout.splitlines())
    assert (bundled["run"], own["run"]) == ("runs/many/bundled", "runs/own")
    assert [fold["mae"] for fold in own["folds"]] == [fold["mae"] for fold in trained["folds"]]
    assert done.stderr == ""


def test_runs_that_cannot_be_evaluated_are_left_out_in_a_line_each(command, quick_flags, tmp_path):
    command("train", "--out", "runs/a", "--fold", "0", *quick_flags)
    alone = command("eval").stdout
    command("baseline", "--model", "mean", "--fold", "0", "--out", "runs/b")
    (tmp_path / "runs/b/fold-0/model.npz").unlink()  # as older versions have left it
    shutil.copytree(tmp_path / "runs/a", tmp_path / "runs/c")
    (tmp_path / "runs/c/fold-0/model.npz").write_text("")
    (tmp_path / "runs/notes").mkdir()
    (tmp_path / "runs/notes/results.yaml").touch()
    (tmp_path / "runs/todo.txt").touch()
    done = command("eval")
    assert done.stdout == alone
    assert done.stderr.splitlines() == [
        (
            "qm7: left out: runs/b is a baseline (mean) of an older version, which kept no model; --overwrite fits it "
            "again"
        ),
        "qm7: left out: runs/c/fold-0/model.npz is damaged: it cannot be read as an .npz file (File is not a zip file)",
        "qm7: left out: runs/notes has no model: there is no fold-*/model.npz in it",
    ]


def test_a_run_that_was_given_and_left_out_is_status_1_after_the_others_are_shown(command, trained):
    done = command("eval", "nowhere", "run", status=1)
    assert done.stdout == command("eval", "run").stdout
    assert done.stderr == "qm7: left out: nowhere is not a run: it does not exist\n"
    assert trained["folds"]


def test_what_is_wrong_with_the_run_is_said_before_what_is_wrong_with_the_data(command, tmp_path):
    (tmp_path / "thesis").mkdir()
    for name, reason in (("nowhere", "it does not exist"), ("thesis", "and there is none below it")):
        done = command("eval", name, "--data", "none.mat", status=1, QM7_DATA=None)
        assert done.stderr.startswith(f"qm7: {name} is not a run")
        assert reason in done.stderr


def test_where_no_run_can_be_used_each_says_why(command, tmp_path):
    (tmp_path / "runs").mkdir()
    assert command("eval", status=1).stderr.startswith("qm7: runs is not a run, and there is none below it: ")
    for name in "ab":
        (tmp_path / "runs" / name).mkdir()
        (tmp_path / "runs" / name / "results.yaml").touch()
    done = command("eval", status=1)
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        f"qm7: runs/{name} has no model: there is no fold-*/model.npz in it" for name in "ab"
    ]


def test_folds_parts_and_draws_can_be_chosen(command, trained):
    evaluated = json.loads(
        command("eval", "run", "--fold", "1", "--draws", "1", "--part", "train", "--format", "json").stdout
    )
    (record,) = evaluated["folds"]
    assert (record["fold"], record["draws"]) == (1, 1)
    assert "mae" not in record
    assert record["train_mae"] != trained["folds"][1]["train_mae"]


def read_fold(tmp_path, run, fold):
    """Return errors and spreads of a fold's predictions."""
    with (tmp_path / f"{run}/fold-{fold}/predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    table = np.array([[float(row[key]) for key in ("target", "prediction", "spread")] for row in rows])
    return table[:, 1] - table[:, 0].astype(np.float32), table[:, 2]


@pytest.mark.usefixtures("trained")
def test_intervals_are_held_against_the_errors_of_the_other_fold(command, tmp_path):
    evaluated = json.loads(command("eval", "run", "--format", "json").stdout)
    errors, spreads = zip(*(read_fold(tmp_path, "run", fold) for fold in (0, 1)), strict=True)
    for k, record in enumerate(evaluated["folds"]):
        widths = [Interval.of(errors[j], spreads[j]).half_widths(spreads[k]) for j in (k, 1 - k)]
        assert record["interval"] == pytest.approx(widths[0].mean())
        assert record["coverage"] == pytest.approx(np.mean(abs(errors[k]) <= widths[1]))
        assert record["rank_correlation"] == pytest.approx(spearmanr(abs(errors[k]), spreads[k])[0])
        assert record["run_rank_correlation"] is None
    assert evaluated["coverage"]["mean"] == pytest.approx(np.mean([fold["coverage"] for fold in evaluated["folds"]]))
    alone = json.loads(command("eval", "run", "--fold", "0", "--format", "json").stdout)["folds"][0]
    assert alone["coverage"] is None
    assert alone["interval"] == evaluated["folds"][0]["interval"]
    trained_on = json.loads(command("eval", "run", "--part", "train", "--format", "json").stdout)
    assert "interval" not in trained_on["folds"][0]  # they would teach too small a one


def test_an_ensemble_has_the_error_of_the_averaged_predictions(command, three_variants, tmp_path):
    for name in ("original", "corrected"):
        shutil.copytree(three_variants / name, tmp_path / "runs" / name)
    done = command("eval", "runs/original", "runs/corrected", "--ensemble", "--format", "json")
    *single, both = map(json.loads, done.stdout.splitlines())
    assert (both["run"], both["variant"]) == ("ensemble of 2 runs", None)
    for k, record in enumerate(both["folds"]):
        folds = [read_fold(tmp_path, f"runs/{name}", k) for name in ("original", "corrected")]
        errors, spreads = np.mean(folds, axis=0)
        assert record["mae"] == pytest.approx(abs(errors).mean())
        assert record["interval"] == pytest.approx(np.mean([run["folds"][k]["interval"] for run in single]))
        assert record["rank_correlation"] == pytest.approx(spearmanr(abs(errors), spreads)[0])
        apart = abs(folds[0][0] - folds[1][0])
        assert record["run_rank_correlation"] == pytest.approx(spearmanr(abs(errors), apart)[0])
    assert both["mae"]["mean"] == pytest.approx(np.mean([fold["mae"] for fold in both["folds"]]))


def test_runs_that_share_no_folds_are_no_ensemble(command, three_variants, quick_flags, tmp_path):
    shutil.copytree(three_variants / "original", tmp_path / "run")
    alone = command("eval", "run", "--ensemble", status=1).stderr
    assert alone == "qm7: an ensemble takes two runs or more, and there is run alone\n"
    command("train", *quick_flags, "--fold", "0", "--out", "one")
    done = command("eval", "run", "one", "--ensemble", status=1)
    assert done.stderr == "qm7: run has the folds 0, 1, one 0; --fold chooses shared ones\n"
    assert "ensemble of 2 runs" in command("eval", "run", "one", "--ensemble", "--fold", "0").stdout
    command("train", *quick_flags, "--fold", "0", "--split", "random", "--out", "other")
    done = command("eval", "run", "other", "--ensemble", "--fold", "0", status=1)
    assert done.stderr == "qm7: fold 0 of run and of other have different molecules\n"


def test_output_goes_to_a_file_whole_or_not_at_all(command, trained, tmp_path):
    assert command("eval", "run", "--format", "csv", "--output", "out.csv").stdout == ""
    before = (tmp_path / "out.csv").read_text()
    assert before == command("eval", "run", "--format", "csv").stdout
    command("eval", "run", "--fold", "2", "--output", "out.csv", status=1)
    assert (tmp_path / "out.csv").read_text() == before
    assert command("eval", "run", "--output", "none/x", status=1).stderr == (
        "qm7: cannot write none/x: No such file or directory\n"
    )
    assert trained["folds"]


@pytest.mark.usefixtures("trained")
def test_bad_input_is_one_sentence(command, tmp_path):
    def sentence(*args):
        done = command("eval", *args, status=1)
        assert done.stdout == ""
        assert done.stderr.count("\n") == 1
        return done.stderr

    assert sentence("nowhere") == "qm7: nowhere is not a run: it does not exist\n"
    assert sentence("run", "--fold", "2") == "qm7: run has no complete fold 2; it has 0, 1\n"
    model = tmp_path / "run/fold-0/model.npz"
    whole = model.read_bytes()
    model.write_bytes(whole[:-100])
    assert sentence("run").startswith("qm7: run/fold-0/model.npz is damaged: ")
    model.write_bytes((tmp_path / "run/fold-0/checkpoint.npz").read_bytes())
    assert sentence("run").startswith("qm7: run/fold-0/model.npz is not a model that this version of qm7 reads: ")


def test_another_data_set_is_refused(command, trained, tmp_path):
    molecules.write(tmp_path / "other.mat", seed=1)
    done = command("eval", "run", "--data", "other.mat", status=1)
    assert done.stderr.startswith("qm7: fold 0 of run was trained on another data set: SHA-256 ")
    assert trained["dataset"]["sha256"][:12] in done.stderr
    done = command("eval", "run", status=1, QM7_DATA="other.mat")
    assert done.stderr.startswith("qm7: run was trained on small, SHA-256 ")
    assert done.stderr.endswith(
        "looked at other.mat (another data set), data/qm7.mat (not there); --data names its file\n"
    )


def test_neither_the_data_nor_a_run_is_written_over(command, trained, mat, tmp_path):
    shutil.copy(mat, tmp_path / "data.mat")
    done = command("eval", "run", "--output", "data.mat", status=1, QM7_DATA="data.mat")
    assert done.stderr == "qm7: data.mat is also read here; choose another output\n"
    done = command("eval", "run", "--output", "run/results.yaml", status=1)
    assert done.stderr == "qm7: run/results.yaml lies in the run run; choose another output\n"
    assert (tmp_path / "data.mat").read_bytes() == mat.read_bytes()
    assert yaml.safe_load((tmp_path / "run/results.yaml").read_text()) == trained


@pytest.mark.usefixtures("trained")
def test_a_standard_output_that_is_full_or_closed_is_no_traceback(mat, tmp_path):
    shutil.copy(mat, tmp_path / "small.mat")

    def shell(line):
        done = subprocess.run(
            ["/bin/bash", "-c", f"'{qm7_path()}' {line}"],
            cwd=tmp_path,
            env=dict(os.environ),
            capture_output=True,
            text=True,
            check=False,
        )
        assert "Traceback" not in done.stderr
        return done

    assert shell("eval run --data small.mat >/dev/full").stderr == "qm7: standard output: No space left on device\n"
    assert shell("info --data small.mat >&-").stderr == ""
    assert shell("info --data small.mat | head -1").stdout.startswith("property")
    assert shell("eval run --data small.mat --output .").stderr == "qm7: cannot write .: Is a directory\n"


@pytest.mark.usefixtures("trained")
def test_odd_names_are_shown_as_they_are(command, tmp_path):
    (tmp_path / "run").rename(tmp_path / "[bold]ä")
    assert "[bold]\\xe4" in command("eval", "[bold]ä", PYTHONIOENCODING="ascii").stdout
