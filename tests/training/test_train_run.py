import fcntl
import re
import signal
from concurrent.futures import Future
from dataclasses import fields, replace

import numpy as np
import pytest

import molecules
from qm7cli.core.errors import BusyError, QM7Error, notices_to
from qm7cli.data.dataset import Dataset, load
from qm7cli.runs.access import lock_fold
from qm7cli.runs.results import read_results
from qm7cli.training import executor as jobs_module
from qm7cli.training import process_executor as processes
from qm7cli.training.executor import Job, LostError, do_jobs
from qm7cli.training.train_run import FoldsError, train_run


class Holder:
    """Holds a lock file as another process does, from any thread."""

    def __init__(self, path):
        self.path, self.file = path, None

    def acquire(self):
        self.file = self.path.open("a")
        fcntl.flock(self.file, fcntl.LOCK_EX)
        return True

    def release(self):
        self.file.close()

    def __enter__(self):
        self.acquire()
        return self

    def __exit__(self, *_):
        self.release()


def bits(run):
    return {
        path.relative_to(run): path.read_bytes()
        for path in run.glob("fold-*/*")
        if path.stem in {"model", "predictions"}
    }


def test_folds_in_processes_of_their_own_give_the_same_bits(tmp_path, quick, small):
    alone = train_run(quick(), small, tmp_path / "alone")
    beside = train_run(quick(), small, tmp_path / "beside", jobs=3)
    assert [fold.fold for fold in alone.folds] == [0, 1, 2, 3, 4]
    assert [fold.mae for fold in alone.folds] == [fold.mae for fold in beside.folds]
    assert len(bits(tmp_path / "alone")) == 10
    assert bits(tmp_path / "alone") == bits(tmp_path / "beside")


@pytest.mark.parametrize("jobs", [1, 2])
def test_progress_comes_from_every_fold(tmp_path, quick, small, jobs):
    seen = []
    outcomes = train_run(quick("split.folds=[1, 4]"), small, tmp_path / "run", jobs=jobs, report=seen.append)
    for fold in (1, 4):
        maes = [progress.mae for progress in seen if progress.fold == fold and progress.mae is not None]
        assert len(maes) == 3
        assert maes[-1] == outcomes[fold].mae


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
    other = Holder(run / "fold-0/.lock")

    def report(progress):
        done.extend([progress.fold] * (progress.iteration == progress.iterations))
        if len(done) == 2:
            other.release()

    with other:
        results = train_run(experiment, small, run, jobs=jobs, report=report)
    assert sorted(done) == [3, 4]
    assert [(fold.fold, fold.status) for fold in results.folds] == [(k, "complete") for k in (0, 3, 4)]


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_fold_that_is_still_busy_at_the_end_is_an_error_that_says_so(tmp_path, quick, small, jobs):
    run = tmp_path / "run"
    with lock_fold(run, 3), pytest.raises(FoldsError) as failure:
        train_run(quick("split.folds=[3, 4]"), small, run, jobs=jobs)
    assert isinstance(failure.value.errors[3], BusyError)
    assert str(failure.value) == f"fold 3 of {run} is being trained by another process"
    assert failure.value.results[4].status == "complete"


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


def test_a_worker_that_is_killed_is_noticed_and_its_fold_tried_once_more(tmp_path, quick, small, workers):
    killed = []

    def kill_the_first_once(progress):
        if progress.fold == 0 and not killed:
            killed.append(workers[0])
            workers[0].kill()

    experiment = quick("split.folds=[0, 1]", "training.iterations=2000")
    outcomes = train_run(experiment, small, tmp_path / "run", jobs=2, report=kill_the_first_once)
    assert killed[0] is not workers[0]
    assert [outcomes[fold].status for fold in (0, 1)] == ["complete", "complete"]
    train_run(experiment, small, tmp_path / "alone")
    assert bits(tmp_path / "alone") == bits(tmp_path / "run")


def test_a_fold_whose_worker_is_killed_twice_is_an_error_and_the_others_go_on(tmp_path, quick, small, workers):
    def kill_the_first(progress):
        if progress.fold == 0:
            workers[0].kill()

    run = tmp_path / "run"
    experiment = quick("split.folds=[0, 1]", "training.iterations=2000")
    with pytest.raises(FoldsError) as failure:
        train_run(experiment, small, run, jobs=2, report=kill_the_first)
    again = "the same command goes on from its checkpoint"
    assert str(failure.value) == f"fold 0 of {run}: its process ended by signal SIGKILL; {again}"
    assert failure.value.results[1].status == "complete"
    resumed = train_run(experiment, small, run, jobs=2)
    assert resumed[0].status == "complete"
    train_run(experiment, small, tmp_path / "alone")
    assert bits(tmp_path / "alone") == bits(run)


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_stop_leaves_the_folds_begun_partial_and_begins_no_other(tmp_path, quick, small, jobs):
    experiment = quick("training.iterations=1000000")
    seen = []
    outcomes = train_run(experiment, small, tmp_path / "run", jobs=jobs, report=seen.append, stopped=lambda: bool(seen))
    assert {fold.status for fold in outcomes.folds} == {"partial"}
    assert len(outcomes.folds) == jobs
    assert outcomes == read_results(tmp_path / "run")


def test_a_worker_that_does_not_answer_is_ended_some_seconds_after_a_stop(tmp_path, quick, small, workers, monkeypatch):
    monkeypatch.setattr(jobs_module, "SAY_AFTER", 0)
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
    assert said[0].startswith("waiting up to 0.5 s for a checkpoint of fold 0 of ")
    assert re.fullmatch(f"fold 0 of {run}.*: no answer; what came after the last checkpoint is lost", said[-1])
    assert all(process.poll() is not None for process in workers.values())


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_stop_ends_the_wait_for_the_run_s_lock_and_nothing_is_lost(tmp_path, quick, small, jobs):
    """Another process holds it from the first progress on, stopped itself perhaps."""
    run, said = tmp_path / "run", []
    experiment = quick("split.folds=[0, 1]")
    other = Holder(run / ".lock")
    with notices_to(said.append):
        results = train_run(
            experiment,
            small,
            run,
            jobs=jobs,
            report=lambda _: other.file or other.acquire(),
            stopped=lambda: bool(said),
        )
        assert {fold.status for fold in results.folds} == {"partial"}
        assert said[0] == f"waiting for the lock {run}/.lock, which another process holds"
        assert train_run(experiment, small, run, stopped=lambda: bool(said)) is None
    other.release()
    resumed = train_run(experiment, small, run)
    assert [fold.status for fold in resumed.folds] == ["complete", "complete"]
    train_run(experiment, small, tmp_path / "alone")
    assert bits(tmp_path / "alone") == bits(run)


def test_nothing_is_touched_when_the_stop_comes_first(tmp_path, quick, small):
    assert train_run(quick(), small, tmp_path / "run", stopped=lambda: True) is None
    assert not (tmp_path / "run").exists()


def test_a_fold_that_is_not_there_is_refused_before_anything_is_made(tmp_path, quick, small):
    with pytest.raises(QM7Error, match="there is no fold 9"):
        train_run(quick("split.folds=[9]"), small, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("times", [1, 2])
def test_a_worker_that_others_ask_to_stop_is_replaced_once(tmp_path, quick, small, workers, times):
    asked = []

    def stop_the_first(progress):
        if progress.fold == 0 and len(asked) < times and workers[0] not in asked:
            asked.append(workers[0])
            workers[0].terminate()

    experiment = quick("split.folds=[0, 1]", "training.iterations=3000")
    errors = {}
    try:
        results = train_run(experiment, small, tmp_path / "run", jobs=2, report=stop_the_first)
    except FoldsError as failure:
        results, errors = failure.results, failure.errors
    assert len(asked) == times
    if times == 1:
        assert results[0].status == "complete"
    else:
        assert str(errors[0]).startswith(f"fold 0 of {tmp_path}/run: its process was asked to stop")
    assert results[1].status == "complete"


def test_a_worker_does_one_job_after_another_and_is_sent_the_data_set_once(tmp_path, quick, small, workers):
    pickled = []

    class Counted(Dataset):
        def __reduce__(self):
            pickled.append(self.name)
            return Dataset, tuple(getattr(small, field.name) for field in fields(small))

    counted = Counted(*(getattr(small, field.name) for field in fields(small)))
    outcomes = train_run(quick(), counted, tmp_path / "run", jobs=2)
    assert outcomes.status == "complete"
    assert len({process.pid for process in workers.values()}) == len(pickled) == 2


def test_an_unforeseen_error_of_an_executor_fails_its_job_alone(quick, small, tmp_path):
    class Executor:
        def submit(self, job, _):
            future = Future()
            if job.fold:
                future.set_result("done")
            else:
                future.set_exception(ZeroDivisionError("what?"))
            return future

    work = [(Job(tmp_path, quick(), fold), small) for fold in (0, 1)]
    outcomes = {job.fold: outcome for job, outcome in do_jobs(work, Executor(), lambda: False)}
    assert outcomes[1] == "done"
    assert str(outcomes[0]) == f"fold 0 of {tmp_path}: ZeroDivisionError: what?"
    assert "ZeroDivisionError" in outcomes[0].__notes__[0]


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


def twice(tmp_path, **changes):
    """Return a data set in which each molecule is there twice, its copies in different folds."""
    own = molecules.variables(molecules=30)
    both = {name: np.concatenate([own[name]] * 2, axis=int(name == "T")) for name in ("X", "T", "Z", "R")}
    return load(molecules.write(tmp_path / "twice.mat", {**both, "P": np.arange(60).reshape(5, 12), **changes}))


@pytest.mark.parametrize("settings", [(), ("baseline.model=mean",)])
def test_copies_in_other_folds_are_noticed_before_a_training(tmp_path, quick, settings):
    said = []
    with notices_to(said.append):
        train_run(quick("split.folds=[0]", *settings), twice(tmp_path), tmp_path / "run")
    assert said[0] == "30 molecules are copies of others, as molecule 30 of 0"
    assert said[1].startswith("60 test molecules are also trained on, as copies in other folds")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"R": molecules.variables()["R"] * 0.529177}, "X is not the Coulomb matrix of Z and R in bohr"),
        ({"T": molecules.variables()["T"] / 23.06}, "T holds neither atomization energies nor total energies"),
        ({"T": (-313.75 * molecules.variables()["Z"] ** 2.4).sum(axis=1)[None]}, "has total energies: --set target"),
    ],
)
def test_on_a_data_set_that_is_not_sound_nothing_is_trained_or_written(tmp_path, quick, changes, sentence):
    unsound = load(molecules.write(tmp_path / "x.mat", changes))
    for settings in ((), ("baseline.model=mean",)):
        with pytest.raises(QM7Error, match=sentence):
            train_run(quick(*settings), unsound, tmp_path / "run")
    assert not (tmp_path / "run").exists()
