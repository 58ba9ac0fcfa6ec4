"""Worker processes: how they are started, and what becomes of them."""

import os
import subprocess
import sys

import pytest

from conftest import QUICK

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
        os.write(1, b"from C\\n")
        assert os.read(0, 1) == b""
        return do_job(*args)
    processes.do_job = print_and_do_job
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


def test_what_a_worker_prints_does_not_disturb_what_it_says_to_its_parent(command, site, quick_flags):
    two = ("--fold", 0, "--fold", 1, "--jobs", 2)
    done = command("train", *quick_flags, *two, "--quiet", PYTHONPATH=site(TALKATIVE))
    assert sorted(done.stderr.splitlines()) == ["from C"] * 2 + ["from Python"] * 2
    assert "status: complete" in done.stdout
