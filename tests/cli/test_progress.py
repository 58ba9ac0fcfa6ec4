"""How a sweep shows that it gets on."""

import io
import re
import sys
from pathlib import Path

import pytest

from conftest import COMPLETE as DONE
from qm7cli.cli.progress import show_progress
from qm7cli.core.errors import BusyError, QM7Error
from qm7cli.runs.experiment import Experiment
from qm7cli.training.claim_fold import Progress
from qm7cli.training.executor import Job


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self):
        return True


COMPLETE = DONE.model_copy(update={"mae": 3.14, "seconds": 2.0})
OUTCOMES = [  # and the lines that they give, one of two jobs being complete already
    (COMPLETE, "2 of 2: run fold 0: test MAE 3.14 kcal/mol, 9 iterations in 2 s"),
    (QM7Error("of a reason"), "2 of 2: run fold 0: failed"),
    (COMPLETE.model_copy(update={"status": "partial", "mae": None}), "run fold 0: stopped after 9 iterations"),
    (BusyError("fold 0 is busy"), "run fold 0: busy: another process trains it"),
]


@pytest.fixture
def show(monkeypatch):
    """Shows how one job ends after another is complete; returns the lines, without the codes that move and color."""
    monkeypatch.setenv("TERM", "xterm")

    def run(stderr, outcome, COLUMNS="100"):
        monkeypatch.setenv("COLUMNS", COLUMNS)
        monkeypatch.setattr(sys, "stderr", stderr)
        with show_progress(2, 1, quiet=False) as display:
            display.report(Progress(Path("run"), 0, 5, 9))
            display.end_job(Job(Path("run"), Experiment(), 0), outcome)
        shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", stderr.getvalue()).replace("\r", "\n")
        shown, times = re.subn(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d (?=\S)", "", shown, flags=re.MULTILINE)
        assert times == 1  # of what ended
        return [line.rstrip() for line in shown.splitlines() if line.strip()]

    return run


@pytest.mark.parametrize(("outcome", "line"), OUTCOMES)
def test_a_job_that_ends_is_a_line_in_a_log_and_the_same_above_the_bars(show, outcome, line):
    log = show(io.StringIO(), outcome)
    assert log == ["1 of 2 jobs are complete already", line]
    shown = show(Terminal(), outcome)
    assert [text for text in shown if not re.match("jobs|run fold 0 +[━╸╺]", text)] == log
    done = 2 if line.startswith("2 of 2") else 1
    assert re.search(rf" {done} of 2  *[-0]:", [text for text in shown if text.startswith("jobs")][-1])


def test_bars_leave_room_for_what_a_terminal_echoes_or_their_first_line_would_stand_twice(show):
    lines = show(Terminal(), OUTCOMES[2][0], COLUMNS="40")
    assert max(len(line) for line in lines if "\N{BOX DRAWINGS HEAVY HORIZONTAL}" in line) == 40 - len("^C")


@pytest.mark.parametrize(("name", "value"), [("TERM", "dumb"), ("TTY_COMPATIBLE", "0")])
def test_a_terminal_whose_cursor_does_not_move_gets_the_lines_of_a_log(show, monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    monkeypatch.setattr("qm7cli.cli.progress.LINE_EVERY", 0)
    assert show(Terminal(), COMPLETE) == ["1 of 2 jobs are complete already", OUTCOMES[0][1]]


def test_the_time_left_is_that_of_all_folds(capsys, monkeypatch, tmp_path):
    clock = iter([0, 10, 10, 20])
    monkeypatch.setattr("qm7cli.cli.progress.time.monotonic", lambda: next(clock))
    with show_progress(folds=2, quiet=False) as display:
        for fold, iteration in ((0, 0), (0, 1000), (1, 0), (1, 1000)):
            display.report(Progress(tmp_path, fold, iteration, 2000, 5.0))
    lines = [line[20:] for line in capsys.readouterr().err.splitlines() if "left" in line]
    assert lines == [
        "fold 0: iteration 1000 of 2000, 100/s, 30 s left for all folds, test MAE 5.00 kcal/mol",
        "fold 1: iteration 1000 of 2000, 100/s, 20 s left for all folds, test MAE 5.00 kcal/mol",
    ]
