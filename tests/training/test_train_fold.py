"""Stopping and going on changes no bit, and every way to end leaves what it should."""

import itertools

import pytest

from qm7cli.core.errors import QM7Error
from qm7cli.data.splits import select_folds
from qm7cli.model.variants import RULES
from qm7cli.runs.access import prepare_run
from qm7cli.runs.results import read_fold, read_results
from qm7cli.training.train_fold import evaluation_due, train_fold


@pytest.fixture
def train(small, tmp_path):
    """Trains fold 1 of an experiment in a run directory and gives its result and files."""

    def run(experiment, name="run", **kwargs):
        path = tmp_path / name
        prepare_run(path, experiment, [1], small, overwrite=kwargs.pop("overwrite", False))
        return train_fold(experiment, small, select_folds(small, experiment.split)[1], path, **kwargs), path

    return run


def stop_after(asked):
    """Give what says stop after it has been asked so often: once an iteration, and a draw of an evaluation's part."""
    calls = itertools.count()
    return lambda: next(calls) >= asked


def same_files(one, other):
    names = ("model.npz", "predictions.csv")
    return all((one / "fold-1" / name).read_bytes() == (other / "fold-1" / name).read_bytes() for name in names)


def without_seconds(run):
    return [row._replace(seconds=0) for row in read_fold(run, 1).history]


@pytest.mark.parametrize("settings", [
    [],
    ["encoding.center=false", "network.offset=1.5", "network.bias=[2,1]"],
    ["target.subtract=composition", "network.activation=relu"],
])  # fmt: skip
@pytest.mark.parametrize("variant", RULES)
def test_stopped_and_resumed_gives_the_same_bits(train, quick, variant, settings):
    experiment = quick(*settings, "training.schedule=[[1, 0.001]]", variant=variant)
    undisturbed, whole = train(experiment, "whole")
    for stop in (0, 1, 77, 100, 121):
        result, run = train(experiment, stopped=stop_after(stop))
        assert result.status == "partial"
        assert result.mae is None
    result, run = train(experiment)
    assert result.status == "complete"
    assert (result.mae, result.train_rmse) == (undisturbed.mae, undisturbed.train_rmse)
    assert same_files(whole, run)
    assert without_seconds(whole) == without_seconds(run)


@pytest.mark.parametrize(("asked", "reached"), [(103, 100), (206, 200), (317, 300)])
def test_an_evaluation_that_a_stop_ends_is_done_when_the_training_goes_on(train, quick, asked, reached):
    """On 3 draws of 2 parts after 100 and 200 iterations, 6 times asked each, and at the end."""
    undisturbed, whole = train(quick(), "whole")
    seen = []
    result, run = train(quick(), stopped=stop_after(asked), report=seen.append)
    assert (result.status, result.iterations) == ("partial", reached)
    result, run = train(quick(), report=seen.append)
    assert [progress.iteration for progress in seen if progress.mae] == [100, 200, 300]
    assert (result.mae, result.train_rmse) == (undisturbed.mae, undisturbed.train_rmse)
    assert same_files(whole, run)
    assert without_seconds(whole) == without_seconds(run)


def test_more_iterations_go_on_from_the_last_state(train, quick):
    _, whole = train(quick("training.iterations=450"), "whole")
    train(quick("training.iterations=130"))
    _, run = train(quick("training.iterations=450"))
    assert same_files(whole, run)
    assert without_seconds(whole) == without_seconds(run)


def test_fewer_iterations_than_done_are_refused_and_the_configuration_stays(train, quick):
    _, run = train(quick())
    before = (run / "config.yaml").read_text()
    with pytest.raises(QM7Error, match="trained for 300 iterations, more than the 200 asked for"):
        train(quick("training.iterations=200"))
    assert (run / "config.yaml").read_text() == before
    train(quick("training.iterations=250", "evaluation.every=1000"), "stopped", stopped=stop_after(240))
    with pytest.raises(QM7Error, match="trained for 240 iterations, more than the 200 asked for"):
        train(quick("training.iterations=200"), "stopped")


def test_interim_evaluations_and_checkpoints_change_nothing(train, quick):
    _, often = train(quick("evaluation.every=10", "training.checkpoint_every=7"), "often")
    _, seldom = train(quick("evaluation.every=1000", "training.checkpoint_every=1000"), "seldom")
    assert same_files(often, seldom)


def test_the_history_has_a_row_for_every_evaluation_and_the_last_is_the_result(train, quick):
    result, run = train(quick("training.iterations=250"))
    rows = read_fold(run, 1).history
    assert [row.iteration for row in rows] == [100, 200, 250]
    assert rows[-1][2:] == (result.mae, result.rmse, result.train_mae, result.train_rmse)


@pytest.mark.parametrize("rate", ["1e2", "1e30"])
def test_divergence_is_a_result_with_the_iteration_and_the_rate(train, quick, rate):
    experiment = quick(f"training.schedule=[[1, 0.001], [151, {rate}]]")
    result, run = train(experiment)
    assert result.reason.startswith("fold 1 diverged at iteration 15")
    assert result.reason.endswith(f"(rate {float(rate):g})")
    assert result.mae is None
    assert read_results(run).status == "diverged"
    assert train(experiment)[0] == result  # not tried again
    assert train(experiment, overwrite=True)[0].iterations == result.iterations  # but anew when asked


def test_a_last_step_that_explodes_is_no_result(train, quick):
    result, _ = train(quick("training.iterations=1", "training.schedule=[[1, 1e30]]"))
    assert result.status == "diverged"
    assert result.reason == "fold 1 diverged at iteration 1 (rate 1e+30)"


def test_a_checkpoint_of_another_configuration_is_refused(train, quick):
    _, one = train(quick(), stopped=stop_after(150))
    _, other = train(quick(seed=1), "other", stopped=stop_after(150))
    (one / "fold-1/checkpoint.npz").write_bytes((other / "fold-1/checkpoint.npz").read_bytes())
    with pytest.raises(QM7Error, match="was written with other settings"):
        train(quick())


def test_evaluations_come_at_1_2_5_times_powers_of_ten_and_every_so_many():
    due = [i for i in range(1, 60_001) if evaluation_due(i, 25_000)]
    assert due == [1_000, 2_000, 5_000, 10_000, 20_000, 25_000, 50_000]
    assert not any(evaluation_due(i, None) for i in due)


def test_results_that_lack_a_finished_fold_are_mended(train, quick):
    _, run = train(quick())
    before = read_results(run).folds
    (run / "results.yaml").unlink()
    train(quick())
    assert read_results(run).folds == before


def test_a_missing_checkpoint_does_not_start_the_fold_anew(train, quick):
    _, run = train(quick())
    (run / "fold-1/checkpoint.npz").unlink()
    with pytest.raises(QM7Error, match=r"checkpoint.npz is missing: .*; --overwrite trains"):
        train(quick("training.iterations=400"))
    assert read_fold(run, 1).status == "complete"
