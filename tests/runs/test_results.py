from dataclasses import replace

import numpy as np
import pytest
import yaml

from conftest import COMPLETE
from qm7cli.core.errors import QM7Error
from qm7cli.runs.access import fold_numbers
from qm7cli.runs.fingerprints import fingerprints
from qm7cli.runs.models import describe_evaluation, evaluate_folds, load_models, read_predictions
from qm7cli.runs.results import (
    FoldResult,
    HistoryRow,
    current_environment,
    read_fold,
    read_results,
    summary,
    write_fold,
    write_fold_alone,
)
from qm7cli.training.train_run import train_run


def evaluate_run(run, dataset, folds=None, parts=("test",)):
    models = load_models(run, folds, dataset)
    return describe_evaluation(str(run), None, evaluate_folds(run, models, dataset, parts=parts), parts)


PARTIAL = FoldResult(fold=2, status="partial", iterations=4, seconds=0.5, train_molecules=48, test_molecules=12)


def test_the_summary_is_mean_and_population_standard_deviation_of_the_complete_folds():
    assert summary([3.0, 4.0, None]) == {"mean": 3.5, "std": 0.5}
    assert summary([5.0, 5.0]) == {"mean": 5.0, "std": 0.0}
    assert summary([3.0]) == {"mean": 3.0, "std": None}
    assert summary([None]) == {"mean": None, "std": None}


def test_results_are_plain_yaml_with_the_errors_first_and_the_histories_last(run, small):
    rows = [HistoryRow(1000, 0.5, 4.0, 6.0, 3.0, 5.0), HistoryRow(2000, 1.0, 3.0, 5.0, 1.0, 2.0)]
    complete = COMPLETE.model_copy(update={"history": rows, "environment": current_environment()})
    write_fold(run, complete)
    write_fold(run, PARTIAL)
    results = yaml.safe_load((run / "results.yaml").read_text())
    assert list(results) == [
        "status", "units", "mae", "rmse", "dataset", "folds", "config", "environments", "histories",
    ]  # fmt: skip
    assert (results["status"], results["mae"]) == ("partial", {"mean": 3.0, "std": None})
    assert results["dataset"] == {"name": "small", "sha256": small.sha256, "molecules": 60}
    assert [(fold["fold"], fold["mae"]) for fold in results["folds"]] == [(0, 3.0), (2, None)]
    assert results["config"]["split"]["folds"] == [0, 2]
    assert results["environments"][0]["threads"] == 1
    assert results["histories"][0]["test_mae"] == [4.0, 3.0]
    assert read_results(run).folds == [complete, PARTIAL]
    assert read_fold(run, 0) == complete


def test_results_can_be_made_anew_of_the_folds_and_a_finished_fold_is_read_once(run, monkeypatch):
    write_fold(run, COMPLETE)
    write_fold(run, PARTIAL)
    whole = (run / "results.yaml").read_bytes()
    (run / "results.yaml").unlink()
    write_fold(run, PARTIAL)
    assert (run / "results.yaml").read_bytes() == whole
    monkeypatch.setattr("qm7cli.runs.results.read_fold", None)
    write_fold(run, PARTIAL.model_copy(update={"iterations": 5}))
    assert [fold.iterations for fold in read_results(run).folds] == [9, 5]


def test_a_diverged_fold_says_where_and_at_what_rate_and_makes_the_run_diverged(run):
    write_fold(run, COMPLETE)
    write_fold(run, PARTIAL.model_copy(update={"status": "diverged", "diverged_at": 5, "rate": 0.01}))
    results = read_results(run)
    assert results.status == "diverged"
    assert results[2].reason == "fold 2 diverged at iteration 5 (rate 0.01)"
    assert (results[0].reason, results[0].outcome) == (None, "complete")
    assert "rate" not in yaml.safe_load((run / "fold-0/result.yaml").read_text())


def test_each_fold_says_where_and_when_it_was_trained(run, quick, small):
    stopped = iter([False] * 50 + [True] * 1000)
    train_run(quick("split.folds=[2]"), small, run, stopped=lambda: next(stopped))
    begun = read_fold(run, 2).environment
    text = (run / "fold-2/result.yaml").read_text().replace(begun.started, "1999-01-01T00:00:00+00:00")
    (run / "fold-2/result.yaml").write_text(text)
    train_run(quick("split.folds=[2]"), small, run)
    ended = read_results(run)[2].environment
    assert begun.finished is None
    assert (ended.started[:4], ended.finished > begun.started[:10]) == ("1999", True)
    here = current_environment().model_copy(update=fingerprints(quick()))
    assert ended.model_dump(exclude={"started", "finished"}).items() <= here.model_dump().items()
    assert None not in (ended.rule, ended.engine)


@pytest.mark.parametrize("text", ["", "fold: [", "fold: 0\nstatus: lost\niterations: 1\nseconds: 1\n", "[1]"])
@pytest.mark.parametrize("name", ["fold-0/result.yaml", "results.yaml"])
def test_a_damaged_file_is_one_sentence_and_results_are_made_anew(run, name, text):
    write_fold(run, COMPLETE)
    (run / name).write_text(text)
    with pytest.raises(QM7Error, match=rf"{name} is damaged or from another version; --overwrite trains it again"):
        read_fold(run, 0) if name.startswith("fold") else read_results(run)
    write_fold(run, COMPLETE)
    assert read_results(run)[0] == read_fold(run, 0) == COMPLETE


def test_an_evaluation_on_the_way_is_written_for_its_fold_alone(run):
    write_fold(run, PARTIAL)
    write_fold_alone(run, PARTIAL.model_copy(update={"iterations": 6}))
    assert (read_fold(run, 2).iterations, read_results(run)[2].iterations) == (6, 4)


def test_evaluating_a_run_gives_the_digits_of_its_results(run, quick, small):
    train_run(quick(), small, run)
    results, again = read_results(run), evaluate_run(run, small, parts=("test", "train"))
    for result, fold in zip(results.folds, again["folds"], strict=True):
        for metric in ("mae", "rmse", "train_mae", "train_rmse"):
            assert getattr(result, metric) == fold[metric]
        assert result.history[-1].test_mae == result.mae
        errors = read_predictions(run, result.fold).errors
        assert np.abs(errors).mean() == pytest.approx(result.mae, rel=1e-6)
    assert again["mae"] == results.summary("mae")
    assert fold_numbers(run) == [0, 1, 2, 3, 4]
    assert [fold["fold"] for fold in evaluate_run(run, small, folds=[3, 1])["folds"]] == [1, 3]


def test_a_run_without_models_or_the_fold_or_of_another_data_set_is_not_evaluated(run, quick, small):
    with pytest.raises(QM7Error, match="is not a run with a complete fold"):
        evaluate_run(run, small)
    write_fold(run, COMPLETE)
    with pytest.raises(QM7Error, match=r"run has no model: there is no fold-\*/model.npz in it"):
        evaluate_run(run, small)
    train_run(quick("split.folds=[2]"), small, run)
    with pytest.raises(QM7Error, match="has no complete fold 1; it has 2"):
        evaluate_run(run, small, folds=[1])
    with pytest.raises(QM7Error, match=r"fold 2 of .* was trained on another data set"):
        evaluate_run(run, replace(small, sha256="0" * 64))


def test_damaged_or_missing_predictions_are_one_sentence(run):
    with pytest.raises(QM7Error, match=r"fold-0/predictions.csv is missing"):
        read_predictions(run, 0)
    (run / "fold-0/predictions.csv").write_text("molecule,target\n1,x\n")
    with pytest.raises(QM7Error, match=r"fold-0/predictions.csv is damaged"):
        read_predictions(run, 0)
