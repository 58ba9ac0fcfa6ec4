"""How a sweep shows that it gets on."""

import io
import re
import sys
from pathlib import Path

import pytest

from qm7cli.cli.progress import show_progress
from qm7cli.core.errors import BusyError, QM7Error
from qm7cli.runs.experiment import Experiment
from qm7cli.runs.results import FoldResult
from qm7cli.training.claim_fold import Progress
from qm7cli.training.executor import Job

COMPLETE = FoldResult(fold=0, status="complete", mae=3.14, rmse=5.0, iterations=9, seconds=2.0)
OUTCOMES = [  # and the lines that they give, one of two jobs being complete already
    (COMPLETE, "2 of 2: run fold 0: test MAE 3.14 kcal/mol, 9 iterations in 2 s"),
    (QM7Error("of a reason"), "2 of 2: run fold 0: failed: of a reason"),
    (
        COMPLETE.model_copy(
            update={"status": "diverged", "mae": None, "reason": "fold 0 diverged at iteration 10 (rate 0.5)"}
        ),
        "2 of 2: run fold 0: diverged at iteration 10 (rate 0.5)",
    ),
    (COMPLETE.model_copy(update={"status": "partial", "mae": None}), "run fold 0: stopped after 9 iterations"),
    (BusyError("fold 0 is busy"), "run fold 0: busy: another process trains it"),
]


class Terminal(io.StringIO):
    """A standard error that is a terminal."""

    def isatty(self):
        return True

    def frames(self):
        """Return what has been shown, without the codes that move and colour."""
        return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", self.getvalue()).replace("\r", "\n").splitlines()


@pytest.fixture
def show(monkeypatch):
    """Shows how one job ends after another is complete, on a terminal or elsewhere."""
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TERM", "xterm")

    def run(stderr, outcome):
        monkeypatch.setattr(sys, "stderr", stderr)
        with show_progress(2, 1, quiet=False) as display:
            display.report(Progress(Path("run"), 0, 5, 9))
            display.end_job(Job(Path("run"), Experiment(), 0), outcome)

    return run


@pytest.mark.parametrize(("outcome", "line"), OUTCOMES)
def test_a_job_that_ends_is_a_line_in_a_log_and_the_same_above_the_bars(show, outcome, line):
    show(log := io.StringIO(), outcome)
    assert log.getvalue().splitlines() == ["1 of 2 jobs are complete already", line]
    show(terminal := Terminal(), outcome)
    above = [text.rstrip() for text in terminal.frames() if not re.match("jobs|run fold 0 +[━╸╺]", text)]
    assert [text for text in above if text] == ["1 of 2 jobs are complete already", line]


@pytest.mark.parametrize(("outcome", "line"), OUTCOMES)
def test_the_bar_counts_what_is_done_and_neither_stopped_nor_busy_jobs(show, outcome, line):
    show(terminal := Terminal(), outcome)
    last = [text for text in terminal.frames() if text.startswith("jobs")][-1]
    failed = ", 1 failed" if "failed" in line or "diverged" in line else ""
    done = 2 if line.startswith("2 of 2") else 1
    assert re.search(rf" {done} of 2{failed}  *[-0]:", last)
