"""Worker processes: how they are started, and what becomes of them."""

import os
import subprocess
import sys
import time
from contextlib import closing
from itertools import count
from pathlib import Path
from threading import Lock

import pytest

from conftest import QUICK
from qm7cli.training import process_executor as processes
from qm7cli.training.executor import Job, LostError
from qm7cli.training.process_executor import ProcessExecutor

SCRIPT = f"""
import sys
from pathlib import Path
print("the script runs", flush=True)
from qm7cli.runs import experiment as config
from qm7cli.data import dataset
from qm7cli.training import train_run as runner
experiment = config.resolve(None, {[*QUICK, "split.folds=[0,1]"]!r}, {{}})
data = dataset.load(dataset.locate(None))
results = runner.train_run(experiment, data, Path("run"), jobs=2, overwrite=True)
print(*(result.status for result in results.folds))
"""

TALKATIVE = """
import os, sys
if "-c" in sys.orig_argv:  # in a worker
    from qm7cli.training import process_executor as processes
    do_job = processes.do_job
    def print_and_do_job(*args):
        print("from Python")
        os.write(1, b"from C")
        assert os.read(0, 1) == b""
        return do_job(*args)
    processes.do_job = print_and_do_job
"""


FAILING = """
from qm7cli.training.fold_training import FoldTraining
def iterate(training):
    raise {}
FoldTraining.iterate = iterate
"""


@pytest.fixture
def site(tmp_path):
    """Has Python run some code as it starts, in workers too, where PYTHONPATH is what this gives."""

    def write(code):
        (tmp_path / "site").mkdir(exist_ok=True)
        (tmp_path / "site/sitecustomize.py").write_text(code)
        return str(tmp_path / "site")

    return write


@pytest.mark.parametrize("way", ["file", "standard input", "command line"])
def test_the_program_that_trains_folds_in_processes_runs_once(tmp_path, mat, way):
    """It has no `if __name__ == "__main__"`, and overwrites: run again in a worker, it would remove the work."""
    (tmp_path / "script.py").write_text(SCRIPT)
    arguments = {"file": ["script.py"], "standard input": ["-"], "command line": ["-c", SCRIPT]}[way]
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=tmp_path,
        env={**os.environ, "QM7_DATA": str(mat)},
        input=SCRIPT if arguments == ["-"] else None,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    assert done.stdout == "the script runs\ncomplete complete\n"


def test_a_worker_imports_what_its_parent_does_and_not_what_lies_in_the_directory(command, tmp_path, quick_flags):
    for name in ("numpy", "pickle", "random", "signal", "struct"):
        (tmp_path / f"{name}.py").write_text("raise ImportError('not me')")
    done = command("train", *quick_flags, "--fold", 0, "--fold", 1, "--jobs", 2, "--quiet")
    assert done.stderr == ""


def test_what_a_worker_prints_does_not_disturb_what_it_says_to_its_parent(command, site, quick_flags):
    two = ("--fold", 0, "--fold", 1, "--jobs", 2)
    done = command("train", *quick_flags, *two, "--quiet", PYTHONPATH=site(TALKATIVE))
    assert done.stderr == "from Python\n" * 2
    assert "status: complete" in done.stdout


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        ("MemoryError('no room')", "not enough memory for these settings"),
        ("OSError(28, 'No space left on device')", "OSError: [Errno 28] No space left on device"),
    ],
)
def test_an_error_is_the_same_sentence_whether_one_fold_is_trained_at_a_time_or_two(
    command, site, quick_flags, error, sentence
):
    two = ("train", *quick_flags, "--fold", 0, "--fold", 1, "--out", "run")
    one, other = (
        command(*two, "--jobs", jobs, status=1, PYTHONPATH=site(FAILING.format(error))).stderr for jobs in (1, 2)
    )
    assert one == other
    assert one.startswith(f"qm7: fold 0 of run: {sentence}")
    assert one.count("\n") == 2


def test_lost_workers_are_replaced_and_none_does_two_jobs_at_once(monkeypatch, quick, small):
    numbers = count()

    class Worker:
        def __init__(self):
            self.process = self
            self.at_work = Lock()

        def do(self, *_):
            assert self.at_work.acquire(blocking=False)
            if next(numbers) % 2:
                raise LostError("lost")
            time.sleep(1e-4)
            self.at_work.release()
            return "done"

        def kill(self): ...

        def end(self): ...

        def stop(self): ...

    monkeypatch.setattr(processes, "_Worker", Worker)
    with closing(ProcessExecutor(4, print)) as executor:
        monkeypatch.setattr(executor._stopping, "wait", lambda _: None)
        futures = [executor.submit(Job(Path("run"), quick(), fold), small) for fold in range(400)]
        errors = [future.exception() for future in futures]
    assert {type(error) for error in errors} == {type(None), LostError}
