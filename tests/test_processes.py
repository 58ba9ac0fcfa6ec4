"""Worker processes: how they are started, and what becomes of them."""

import os
import subprocess
import sys
import threading
import time
from itertools import count
from pathlib import Path

import pytest

from conftest import QUICK
from qm7cli import processes
from qm7cli.jobs import Job, LostError
from qm7cli.processes import ProcessExecutor

SCRIPT = f"""
import sys
from pathlib import Path
print("the script runs", flush=True)
from qm7cli import config, dataset, runner
experiment = config.resolve(None, {[*QUICK, "split.folds=[0,1]"]!r}, {{}})
data = dataset.load(dataset.locate(None))
results = runner.train_run(experiment, data, Path("run"), jobs=2, overwrite=True)
print(*(results[fold].status for fold in results))
"""

TALKATIVE = """
import os, sys
if "-c" in sys.orig_argv:  # in a worker
    from qm7cli import processes
    do_job = processes.do_job
    def print_and_do_job(*args):
        print("from Python")
        os.write(1, b"from C")
        assert os.read(0, 1) == b""
        return do_job(*args)
    processes.do_job = print_and_do_job
"""


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


def test_what_a_worker_prints_does_not_disturb_what_it_says_to_its_parent(command, tmp_path, quick_flags):
    (tmp_path / "site").mkdir()
    (tmp_path / "site/sitecustomize.py").write_text(TALKATIVE)
    two = ("--fold", 0, "--fold", 1, "--jobs", 2)
    done = command("train", *quick_flags, *two, "--quiet", PYTHONPATH=str(tmp_path / "site"))
    assert done.stderr == "from Python\n" * 2
    assert "status: complete" in done.stdout


@pytest.fixture
def _switched():
    """Has threads take turns after every operation of `processes`, as they might."""

    def trace(frame, event, _):
        if frame.f_code.co_filename != processes.__file__:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            time.sleep(0)
        return trace

    before = threading.gettrace()
    threading.settrace(trace)
    yield
    threading.settrace(before)


@pytest.mark.usefixtures("_switched")
def test_lost_workers_are_replaced_whatever_the_threads_that_look_after_them_do(monkeypatch, quick, small):
    """Some workers are lost, so that fewer are there than threads that want one."""
    numbers = count()

    class Worker:
        def __init__(self):
            self.process = self

        def do(self, *_):
            if next(numbers) % 2:
                raise LostError("lost")
            return "done"

        def kill(self): ...

        def end(self): ...

        def stop(self): ...

    monkeypatch.setattr(processes, "_Worker", Worker)
    with ProcessExecutor(4, print) as executor:
        monkeypatch.setattr(executor._stopping, "wait", lambda _: None)
        futures = [executor.submit(Job(Path("run"), quick(), fold), small) for fold in range(400)]
        errors = [future.exception() for future in futures]
    assert {type(error) for error in errors} == {type(None), LostError}
