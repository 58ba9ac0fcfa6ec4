import fcntl
import re
import signal
from concurrent.futures import Future
from dataclasses import replace

import numpy as np
import pytest

import molecules
from conftest import bits
from qm7cli.core.errors import QM7Error, notices_to
from qm7cli.data.dataset import load
from qm7cli.training import executor as jobs_module
from qm7cli.training import process_executor as processes
from qm7cli.training.executor import Job, LostError, do_jobs
from qm7cli.training.train_run import FoldsError, train_run


def test_folds_in_processes_of_their_own_give_the_same_bits(tmp_path, quick, small):
    alone = train_run(quick(), small, tmp_path / "alone")
    seen = []
    beside = train_run(quick(), small, tmp_path / "beside", jobs=3, report=seen.append)
    assert [fold.fold for fold in alone.folds] == [0, 1, 2, 3, 4]
    assert [fold.mae for fold in alone.folds] == [fold.mae for fold in beside.folds]
    assert len(bits(tmp_path / "alone")) == 11
    assert bits(tmp_path / "alone") == bits(tmp_path / "beside")
    for fold in beside.folds:
        maes = [progress.mae for progress in seen if progress.fold == fold.fold and progress.mae is not None]
        assert (len(maes), maes[-1]) == (3, fold.mae)


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_fold_that_fails_does_not_keep_the_others_and_is_raised_with_their_results(tmp_path, quick, small, jobs):
    run = tmp_path / "run"
    (run / "fold-3").mkdir(parents=True)
    (run / "fold-3/checkpoint.npz").write_text("nonsense")
    with pytest.raises(FoldsError, match=r"fold-3/checkpoint.npz is damaged") as failure:
        train_run(quick("split.folds=[0, 3, 4]"), small, run, jobs=jobs)
    assert [(fold.fold, fold.status) for fold in failure.value.results.folds] == [(0, "complete"), (4, "complete")]
    assert list(failure.value.errors) == [3]
    assert str(failure.value.errors[3]) == str(failure.value)
    assert failure.value.__cause__ is failure.value.errors[3]
    assert "in train_fold" in failure.value.errors[3].__notes__[0]


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_fold_that_another_process_trains_is_come_back_to_and_found_complete(tmp_path, quick, small, jobs):
    """The other holds fold 0 until the rest is done, and has completed it then."""
    run, experiment = tmp_path / "run", quick("split.folds=[0, 3, 4]")
    train_run(quick("split.folds=[0]"), small, run)
    done = []
    with (run / "fold-0/.lock").open("a") as other:
        fcntl.flock(other, fcntl.LOCK_EX)

        def report(progress):
            done.extend([progress.fold] * (progress.iteration == progress.iterations))
            if len(done) == 2:
                fcntl.flock(other, fcntl.LOCK_UN)

        results = train_run(experiment, small, run, jobs=jobs, report=report)
    assert sorted(done) == [3, 4]
    assert [(fold.fold, fold.status) for fold in results.folds] == [(k, "complete") for k in (0, 3, 4)]


@pytest.fixture
def workers(monkeypatch):
    """The worker process that was given each fold last, by fold."""
    given = {}
    do = processes._Worker.do

    def do_and_remember(worker, job, *args):
        given[job.fold] = worker.process
        return do(worker, job, *args)

    monkeypatch.setattr(processes._Worker, "do", do_and_remember)
    return given


@pytest.mark.parametrize(
    ("signal_", "reason"),
    [(signal.SIGKILL, "its process ended by signal SIGKILL"), (signal.SIGTERM, "its process was asked to stop")],
)
@pytest.mark.parametrize("times", [1, 2])
def test_a_fold_whose_worker_others_end_is_tried_once_more(tmp_path, quick, small, workers, times, signal_, reason):
    """If that one is lost too, it is an error, and the other folds go on."""
    run, ended = tmp_path / "run", []

    def end_the_first(progress):
        if progress.fold == 0 and len(ended) < times and workers[0] not in ended:
            ended.append(workers[0])
            workers[0].send_signal(signal_)

    experiment = quick("split.folds=[0, 1]", "training.iterations=2000")
    if times == 1:
        train_run(experiment, small, run, jobs=2, report=end_the_first)
    else:
        with pytest.raises(FoldsError) as failure:
            train_run(experiment, small, run, jobs=2, report=end_the_first)
        assert str(failure.value) == f"fold 0 of {run}: {reason}; the same command resumes from its checkpoint"
        assert failure.value.results[1].status == "complete"
    assert len(ended) == times
    assert train_run(experiment, small, run).status == "complete"
    train_run(experiment, small, tmp_path / "alone")
    assert bits(run) == bits(tmp_path / "alone")


def test_a_worker_that_does_not_answer_is_ended_some_seconds_after_a_stop(tmp_path, quick, small, workers, monkeypatch):
    monkeypatch.setattr(jobs_module, "STOP_WITHIN", 0.5)
    run, stopped, said = tmp_path / "run", [], []

    def stop_worker(progress):
        if progress.fold == 0 and not stopped:
            workers[0].send_signal(signal.SIGSTOP)
            stopped.append(0)

    experiment = quick("split.folds=[0, 1]", "training.iterations=1000000")
    with notices_to(said.append):
        results = train_run(experiment, small, run, jobs=2, report=stop_worker, stopped=lambda: bool(stopped))
    assert results is None or {fold.status for fold in results.folds} == {"partial"}
    assert re.fullmatch(f"fold 0 of {run}.*: no answer; what came after the last checkpoint is lost", said[-1])
    assert all(process.poll() is not None for process in workers.values())


def test_nothing_is_touched_when_the_stop_comes_first(tmp_path, quick, small):
    assert train_run(quick(), small, tmp_path / "run", stopped=lambda: True) is None
    assert not (tmp_path / "run").exists()


def test_a_fold_that_is_not_there_is_refused_before_anything_is_made(tmp_path, quick, small):
    with pytest.raises(QM7Error, match="there is no fold 9"):
        train_run(quick("split.folds=[9]"), small, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_unforeseen_error_of_a_job_is_raised_with_its_traceback_and_not_taken_for_a_loss(
    tmp_path, quick, small, jobs
):
    broken = replace(small)
    vars(broken)["norms"] = small.norms[:3]  # fails where no user's mistake is looked for
    with pytest.raises(FoldsError) as failure:
        train_run(quick("split.folds=[0, 1]"), broken, tmp_path / "run", jobs=jobs)
    for fold in (0, 1):
        assert re.fullmatch(rf"fold {fold} of {tmp_path}/run: \w+Error: .*", str(failure.value.errors[fold]))
        assert "Traceback" in failure.value.errors[fold].__notes__[0]


def test_a_lost_job_is_not_tried_again_when_the_stop_has_come(quick, small, tmp_path):
    submitted, stopped = [], []

    class Executor:
        def submit(self, job, _):
            submitted.append(job)
            future = Future()
            future.set_exception(LostError("it was asked to stop"))
            stopped.append(True)
            return future

        def stop(self):
            pass

    assert list(do_jobs([(Job(tmp_path, quick(), 0), small)], Executor(), lambda: bool(stopped))) == []
    assert len(submitted) == 1


def test_copies_in_other_folds_are_noticed_before_a_training(tmp_path, quick):
    """Each molecule is there twice."""
    own, said = molecules.variables(molecules=30), []
    twice = {name: np.concatenate([own[name]] * 2, axis=int(name == "T")) for name in ("X", "T", "Z", "R")}
    dataset = load(molecules.write(tmp_path / "twice.mat", {**twice, "P": np.arange(60).reshape(5, 12)}))
    with notices_to(said.append):
        train_run(quick("split.folds=[0]", "baseline.model=mean"), dataset, tmp_path / "run")
    assert said[0] == "30 molecules are copies of others, as molecule 30 of 0"
    assert said[1].startswith("60 test molecules are also trained on, as copies in other folds")


def test_on_a_data_set_that_is_not_sound_nothing_is_trained_or_written(tmp_path, quick):
    unsound = load(molecules.write(tmp_path / "x.mat", {"T": molecules.variables()["T"] / 23.06}))
    with pytest.raises(QM7Error, match="T holds neither atomization energies nor total energies"):
        train_run(quick(), unsound, tmp_path / "run")
    assert not (tmp_path / "run").exists()
