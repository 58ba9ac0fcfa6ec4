import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
import yaml

from conftest import remove_checksums
from qm7cli.core.arrays import read_arrays, write_arrays
from qm7cli.core.errors import QM7Error
from qm7cli.model.model import load_model, save_model
from qm7cli.runs.directory import fold_directory, fold_numbers
from qm7cli.runs.environment import Environment, current_environment
from qm7cli.runs.models import evaluate_run, load_models
from qm7cli.runs.results import (
    CHECKED,
    FoldResult,
    read_checked,
    read_fold,
    read_results,
    summary,
    write_fold,
    write_results,
)
from qm7cli.training.sweep import log
from qm7cli.training.train_run import train_run

COMPLETE = FoldResult(
    fold=0, status="complete", mae=3.0, rmse=5.0, train_mae=1.0, train_rmse=2.0, iterations=9, seconds=1.0
)


def test_the_summary_is_mean_and_population_standard_deviation_of_the_complete_folds():
    assert summary([3.0, 4.0, None]) == {"mean": 3.5, "std": 0.5}
    assert summary([5.0, 5.0]) == {"mean": 5.0, "std": 0.0}
    assert summary([3.0]) == {"mean": 3.0, "std": None}
    assert summary([None]) == {"mean": None, "std": None}


def test_results_are_as_documented_and_plain_yaml(run, small):
    write_fold(run, COMPLETE, small)
    write_fold(run, FoldResult(fold=2, status="partial", iterations=4, seconds=0.5), small)
    results = yaml.safe_load((run / "results.yaml").read_text())
    assert list(results) == [
        "format", "variant", "baseline", "units", "status", "dataset", "folds", "mae", "rmse", "config", "environment",
        "checksum",
    ]  # fmt: skip
    assert results["status"] == "partial"
    assert results["dataset"] == {"name": "small", "sha256": small.sha256, "molecules": 60, "split": "published"}
    assert [fold["fold"] for fold in results["folds"]] == [0, 2]
    assert results["folds"][0]["mae"] == 3.0
    assert results["mae"] == {"mean": 3.0, "std": None}
    assert results["config"]["split"]["folds"] == [0, 2]
    assert results["environment"]["threads"] == 1
    assert results["environment"]["finished"] is None
    started = results["environment"]["started"]
    write_fold(run, COMPLETE.model_copy(update={"fold": 2}), small)
    results = read_results(run)
    assert results.status == "complete"
    assert results.environment.started == started <= results.environment.finished


def test_a_diverged_fold_says_why_and_makes_the_run_diverged(run, small):
    write_fold(run, COMPLETE, small)
    write_fold(run, FoldResult(fold=2, status="diverged", iterations=4, seconds=0.5, reason="it did"), small)
    results = read_results(run)
    assert results.status == "diverged"
    assert results[2].reason == "it did"
    assert "reason" not in yaml.safe_load((run / "results.yaml").read_text())["folds"][0]


def test_the_results_of_a_baseline_tell_it_and_its_hyperparameters(run, small):
    (run / "config.yaml").write_text("baseline: {model: knn}")
    write_fold(run, COMPLETE.model_copy(update={"hyperparameters": {"neighbours": 3}}), small)
    results = read_results(run)
    assert (results.variant, results.baseline) == (None, "knn")
    assert results[0].hyperparameters == {"neighbours": 3}


@pytest.fixture
def on(monkeypatch):
    """Moves to a machine with another processor."""
    return lambda cpu: monkeypatch.setattr(
        "qm7cli.runs.results.current_environment", lambda: Environment(python="3.11", cpu=cpu)
    )


def test_each_fold_says_where_and_when_it_was_trained_and_the_run_says_once_what_they_share(run, small):
    write_fold(run, FoldResult(fold=0, status="partial", iterations=4, seconds=0.5), small)
    remove_checksums(run)
    (run / "fold-0/result.yaml").write_text(
        re.sub("started: '2", "started: '1", (run / "fold-0/result.yaml").read_text())  # a thousand years ago
    )
    for fold in (0, 2):
        write_fold(run, COMPLETE.model_copy(update={"fold": fold}), small)
    first, second = (yaml.safe_load((run / f"fold-{fold}/result.yaml").read_text())["environment"] for fold in (0, 2))
    whole = yaml.safe_load((run / "results.yaml").read_text())["environment"]
    here = current_environment().model_dump()
    assert {key: first[key] for key in here} == here
    assert [*first] == [*second] == [*whole] == [*here, "started", "finished"]
    assert whole["started"] == first["started"] < "2"  # it was taken up again, not started again
    assert whole["finished"] == max(first["finished"], second["finished"]) > second["started"][:10]
    assert "environment" not in yaml.safe_load((run / "results.yaml").read_text())["folds"][0]


def test_what_folds_do_not_share_stands_by_fold_whoever_writes_last(run, small, on):
    on("old")
    write_fold(run, COMPLETE, small)
    on("new")
    write_fold(run, COMPLETE.model_copy(update={"fold": 2}), small)
    on("newest")
    write_results(run, small)
    written = yaml.safe_load((run / "results.yaml").read_text())["environment"]
    assert written["folds"] == {0: {"cpu": "old"}, 2: {"cpu": "new"}}
    assert written["python"] == "3.11"
    assert "cpu" not in written
    assert {fold: own.cpu for fold, own in read_results(run).environments.items()} == {0: "old", 2: "new"}


def test_folds_of_an_older_run_were_made_where_its_results_say(run, small, on):
    """They have no environment of their own; the other fold is trained on, twice."""
    on("old")
    for fold, status in ((0, "complete"), (2, "partial")):
        write_fold(run, COMPLETE.model_copy(update={"fold": fold, "status": status}), small)
        text = (run / f"fold-{fold}/result.yaml").read_text()
        (run / f"fold-{fold}/result.yaml").write_text(text.partition("environment:")[0])
    started = read_results(run).environment.started
    on("new")
    for _ in range(2):
        write_fold(run, COMPLETE.model_copy(update={"fold": 2}), small)
        assert {fold: own.cpu for fold, own in read_results(run).environments.items()} == {0: "old", 2: "new"}
    assert read_fold(run, 2).environment.started == started
    assert read_results(run).environment.finished == read_fold(run, 2).environment.finished


@pytest.mark.parametrize("text", ["", "fold: [", "fold: 0\nstatus: lost\niterations: 1\nseconds: 1\n", "[1]"])
def test_a_damaged_result_is_one_sentence(run, text):
    (fold_directory(run, 0) / "result.yaml").write_text(text)
    with pytest.raises(QM7Error, match=r"result.yaml"):
        read_fold(run, 0)


def test_damaged_results_are_one_sentence_and_a_foreign_file_is_not_taken_for_them(run, tmp_path):
    (run / "results.yaml").write_text("folds: []")
    with pytest.raises(QM7Error, match=r"results.yaml is damaged: remove it, and qm7 train writes it again"):
        read_results(run)
    (tmp_path / "results.yaml").write_text("folds: []")
    with pytest.raises(QM7Error, match=r"results.yaml is not a run's results"):
        read_results(tmp_path)


def test_a_baseline_and_a_run_without_models_say_that_they_have_none(run, small):
    write_fold(run, COMPLETE, small)
    with pytest.raises(QM7Error, match=r"run has no model: there is no fold-\*/model.npz in it"):
        evaluate_run(run, small)
    (run / "config.yaml").write_text("baseline: {model: knn}")
    write_fold(run, COMPLETE, small)
    with pytest.raises(
        QM7Error, match=r"run is a baseline \(knn\) of an older version, which kept no model; --overwrite"
    ):
        evaluate_run(run, small)


def trained(run, quick, small):
    """Train a fold of a run, and return what its results say of it."""
    train_run(quick("split.folds=[2]"), small, run)
    return read_results(run)[2]


@pytest.mark.parametrize("name", ["result.yaml", "history.csv", "predictions.csv", "results.yaml"])
def test_a_result_that_was_changed_by_hand_is_refused_and_one_of_an_older_run_is_read(run, quick, small, name):
    fold = trained(run, quick, small)
    path = run / name if name == "results.yaml" else run / "fold-2" / name

    def read():
        read_fold(run, 2)
        read_results(run)
        for key in CHECKED:
            read_checked(run, fold, key)

    read()
    text = path.read_text()
    digits = str(fold.mae) if name != "predictions.csv" else text.splitlines()[-1].split(",")[-2]
    assert digits in text
    path.write_text(text.replace(digits, digits[:-1]))
    with pytest.raises(QM7Error, match=rf"{name} is damaged or was changed: its checksum is \w+, .*'?\w+'?; \S+ "):
        read()
    remove_checksums(run)
    fold = read_results(run)[2]
    assert (fold.history_checksum, fold.predictions_checksum) == (None, None)
    read()


def test_a_fold_in_training_has_no_checksums_of_files_that_go_on(run, quick, small):
    trained(run, quick, small)
    stopped = iter([False] * 150 + [True] * 1000)
    train_run(quick("split.folds=[2]", "training.iterations=600"), small, run, stopped=lambda: next(stopped))
    fold = read_results(run)[2]
    assert fold.status == "partial"
    assert (fold.history_checksum, fold.predictions_checksum) == (None, None)
    train_run(quick("split.folds=[2]", "training.iterations=600"), small, run)
    fold = read_results(run)[2]
    assert fold.history_checksum
    assert fold.predictions_checksum
    for key in CHECKED:
        read_checked(run, fold, key)


@pytest.mark.parametrize("name", ["result.yaml", "model.npz", "checkpoint.npz", "log.txt", "", "../results.yaml"])
def test_a_file_that_is_a_link_out_of_its_run_is_neither_read_nor_written(run, quick, small, tmp_path, name):
    trained(run, quick, small)
    path = (run / "fold-2" / name).resolve()
    outside = tmp_path / "outside"
    if path.exists():
        path.rename(outside)
    else:
        outside.touch()
    path.symlink_to(outside)
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    for use in (
        lambda: load_models(run),
        lambda: train_run(quick("split.folds=[2]", "training.iterations=400"), small, run),
        lambda: train_run(quick("split.folds=[2]"), small, run, overwrite=True),
    ):
        with pytest.raises(QM7Error, match=rf"^{path} is a link out of the run, which is not followed; put what it"):
            use()
    log(run, 2, "text")
    if name != "log.txt":
        (run / "fold-2/log.txt").unlink(missing_ok=True)
    assert before.items() <= {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}.items()


def test_links_within_a_run_and_to_a_run_are_followed(run, quick, small, tmp_path):
    trained(run, quick, small)
    (run / "fold-2/model.npz").rename(run / "kept.npz")
    (run / "fold-2/model.npz").symlink_to("../kept.npz")
    (tmp_path / "link").symlink_to(run)
    assert len(load_models(tmp_path / "link")) == 1
    assert train_run(quick("split.folds=[2]"), small, tmp_path / "link")[2].status == "complete"


def test_evaluating_a_run_gives_the_digits_of_its_results(run, quick, small):
    train_run(quick(), small, run)
    results, again = read_results(run), evaluate_run(run, small, parts=("test", "train"))
    for result, fold in zip(results.folds, again["folds"], strict=True):
        for metric in ("mae", "rmse", "train_mae", "train_rmse"):
            assert getattr(result, metric) == fold[metric]
    assert again["mae"] == results.summary("mae")
    assert fold_numbers(run) == [0, 1, 2, 3, 4]
    assert [fold["fold"] for fold in evaluate_run(run, small, folds=[3, 1])["folds"]] == [1, 3]


def test_a_model_of_other_molecules_than_the_data_set_has_is_damaged(run, quick, small):
    train_run(quick("split.folds=[2]"), small, run)
    path = fold_directory(run, 2) / "model.npz"
    arrays = read_arrays(path)
    for changes in (
        {"test": np.array([60])},
        {"train": np.array([0, 1, 60])},
        {
            "counts": np.append(arrays["counts"], np.ones(8, dtype=np.intp)),  # an atom more
            "mean": np.append(arrays["mean"], np.zeros(8, dtype=np.float32)),
            "layer0.A": np.append(arrays["layer0.A"], np.zeros(8, dtype=np.float32)),
            "layer0.W": np.vstack([arrays["layer0.W"], np.zeros((8, 20), dtype=np.float32)]),
            "domain.matrices": np.zeros((1, 36), dtype=np.float16),
        },
    ):
        write_arrays(path, arrays | changes)
        with pytest.raises(QM7Error, match=r"fold-2/model.npz is damaged: it has molecules that the data set lacks"):
            load_models(run, dataset=small)


def test_a_run_without_the_fold_or_of_another_data_set_is_not_evaluated(run, quick, small):
    with pytest.raises(QM7Error, match="is not a run with a complete fold"):
        evaluate_run(run, small)
    (run / "config.yaml").unlink()
    train_run(quick("split.folds=[2]"), small, run)
    with pytest.raises(QM7Error, match="has no complete fold 1; it has 2"):
        evaluate_run(run, small, folds=[1])
    with pytest.raises(QM7Error, match=r"fold 2 of .* was trained on another data set"):
        evaluate_run(run, replace(small, sha256="0" * 64))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"fold": 1}, "is the model of fold 1, and not 0 as its run"),
        ({"variant": "corrected"}, "is a model of the variant corrected, and not the variant original as its run"),
        ({"seed": 1}, "is a model with the seed 1, and not 0 as its run"),
        ({"sha256": 64 * "0"}, f"is a model of the data set with the SHA-256 {64 * '0'}, and not "),
    ],
)
def test_a_model_of_another_fold_or_run_is_not_taken_for_the_run_s(three_variants, tmp_path, change, sentence):
    run = tmp_path / "run"
    shutil.copytree(three_variants / "original", run)
    path = run / "fold-0/model.npz"
    own = load_model(path)
    assert load_models(run)[0].fold == 0
    save_model(path, replace(own, **change))
    with pytest.raises(QM7Error) as error:
        load_models(run)
    assert str(error.value).startswith(f"{path} {sentence}")
    assert str(error.value).endswith("; --overwrite trains the fold again")
    assert load_models(run, [1])[0].fold == 1
    for name in ("config.yaml", "results.yaml"):
        (run / name).unlink()
    if "fold" not in change:
        assert load_models(run)[0].seed == change.get("seed", 0)  # the models are enough
