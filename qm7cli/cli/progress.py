"""Progress of trainings, evaluations and files: bars on a terminal, a plain line now and then in a log."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import datetime
from functools import partial
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Final

from qm7cli.cli.output import ECHO, note
from qm7cli.core.errors import BusyError, printable

if TYPE_CHECKING:
    from pathlib import Path

    from rich.progress import Progress as Bars
    from rich.progress import TaskID

    from qm7cli.training.claim_fold import Progress
    from qm7cli.training.executor import Job, Outcome

LINE_EVERY: Final = 60.0  # seconds without a line about a fold, at most
COUNT_EVERY: Final = 10.0  # the same, about molecules or a file


@contextmanager
def show_progress(jobs: int | None = None, complete: int = 0, *, folds: int = 1, quiet: bool) -> Iterator["Display"]:
    """Give what shows the progress of trainings on standard error, unless that is to be `quiet`.

    They are a sweep's `jobs`, of which so many are `complete` already, or without `jobs` the `folds` of one run.
    """
    if complete and not quiet:
        note(f"{complete} of {jobs} jobs are complete already")
    with _bars(quiet=quiet) or nullcontext() as bars:
        yield _Bars(bars, jobs, complete) if bars else Display(jobs, complete, folds, quiet=quiet)


class Display:
    """Lines about the jobs of a sweep as they end, or about the folds of one run as they are trained."""

    def __init__(self, jobs: int | None, complete: int, folds: int = 1, *, quiet: bool = False) -> None:
        self.jobs, self.done, self.folds, self.quiet = jobs, complete, folds, quiet
        self.first: dict[int, tuple[float, int]] = {}  # by fold: time and iteration of its first report
        self.reached: dict[int, int] = {}  # by fold: iteration of its last report
        self.last: dict[int, float] = {}  # by fold: time of the last line about it

    def say(self, line: str) -> None:
        """Print a line with the time."""
        if not self.quiet:
            note(f"{datetime.now().astimezone():%Y-%m-%d %H:%M:%S} {line}")

    def report(self, progress: "Progress") -> None:
        """Print a line for each evaluation of one run, and for each minute without one."""
        if self.jobs is not None:
            return
        fold, now = progress.fold, time.monotonic()
        began, start = self.first.setdefault(fold, (now, progress.iteration))
        self.reached[fold] = progress.iteration
        if progress.mae is None and now - self.last.setdefault(fold, now) < LINE_EVERY:
            return
        self.last[fold] = now
        line = f"fold {fold}: {progress.unit} {progress.iteration} of {progress.iterations}"
        if start < progress.iteration < progress.iterations:
            rate = (progress.iteration - start) / (now - began)
            line += f", {rate:.0f}/s, {self._seconds_left(progress.iterations, now):.0f} s left"
            line += " for all folds" if self.folds > 1 else ""
        if progress.mae is not None:
            line += f", test MAE {progress.mae:.2f} kcal/mol"
        self.say(line)

    def _seconds_left(self, iterations: int, now: float) -> float:
        """Return how long all folds take, at the rate of those that were trained so far."""
        done = sum(self.reached.values())
        rate = (done - sum(start for _, start in self.first.values())) / (now - min(self.first.values())[0])
        return (max(self.folds, len(self.reached)) * iterations - done) / rate

    def end_job(self, job: "Job", outcome: "Outcome") -> None:
        """Print a line, and count the job as done unless it was stopped or is busy elsewhere."""
        name = f"{job.run.name} fold {job.fold}"
        if isinstance(outcome, BusyError):
            self.say(f"{name}: busy: another process trains it")
        elif not isinstance(outcome, Exception) and outcome.status == "partial":
            self.say(f"{name}: stopped after {outcome.iterations} iterations")
        else:
            self.done += 1
            self.say(f"{self.done} of {self.jobs}: {name}: {_describe_end(outcome)}")


def _describe_end(outcome: "Outcome") -> str:
    if isinstance(outcome, Exception):
        return "failed"
    if outcome.mae is None:
        return outcome.outcome
    trained = f"{outcome.iterations} iterations in " if outcome.iterations else ""
    return f"test MAE {outcome.mae:.2f} kcal/mol, {trained}{outcome.seconds:.0f} s"


def _bars(*, quiet: bool) -> "Bars | None":
    """Return bars on standard error, or None if its cursor does not move: with TERM=dumb or TTY_COMPATIBLE=0, too."""
    if quiet or not sys.stderr.isatty():
        return None
    from rich import progress as rich
    from rich.console import Console
    from rich.table import Column

    terminal = Console(stderr=True, highlight=False, width=get_terminal_size().columns - ECHO)
    if not terminal.is_interactive:
        return None
    name = rich.TextColumn("{task.description}", markup=False, table_column=Column(overflow="fold"))
    state = rich.TextColumn("{task.fields[state]}{task.fields[mae]}")
    return rich.Progress(name, rich.BarColumn(), state, rich.TimeRemainingColumn(), console=terminal)


class _Bars(Display):
    """A bar for each job that is being done and, in a sweep, one for the whole, under the lines of jobs that ended."""

    def __init__(self, bars: "Bars", jobs: int | None, complete: int) -> None:
        super().__init__(jobs, complete)
        self.bars = bars
        self.whole = None if jobs is None else bars.add_task("jobs", total=jobs, state="", mae="")
        self.tasks: dict[tuple[Path, int], TaskID | None] = {}  # None of a job that has ended
        self._show_whole()

    def report(self, progress: "Progress") -> None:
        key = progress.run, progress.fold
        if key not in self.tasks:
            name = f"fold {progress.fold}" if self.jobs is None else f"{progress.run.name} fold {progress.fold}"
            self.tasks[key] = self.bars.add_task(printable(name), total=progress.iterations, state="", mae="")
        if (task := self.tasks[key]) is None:  # a cluster may report late
            return
        if progress.mae is not None:
            self.bars.update(task, mae=f", test MAE {progress.mae:.2f}")
        self.bars.update(task, completed=progress.iteration, state=f"{progress.iteration}/{progress.iterations}")
        self._show_whole()

    def end_job(self, job: "Job", outcome: "Outcome") -> None:
        super().end_job(job, outcome)  # the bars have standard error printed above them
        task = self.tasks.get((job.run, job.fold))
        self.tasks[job.run, job.fold] = None
        if task is not None:
            self.bars.remove_task(task)
        self._show_whole()

    def _show_whole(self) -> None:
        """Show the progress of a sweep, with the parts of running jobs."""
        if self.whole is not None:
            parts = sum(task.percentage / 100 for task in self.bars.tasks if task.id != self.whole)
            self.bars.update(self.whole, completed=self.done + parts, state=f"{self.done} of {self.jobs}")


@contextmanager
def show_count(name: str, *, quiet: bool, unit: str = "", scale: float = 1) -> Iterator[Callable[[float, float], None]]:
    """Give a function of how much of something is done, and of how much or 0, in a unit that is so many of these."""
    last, digits = time.monotonic(), 1 if unit else 0
    with _bars(quiet=quiet) or nullcontext() as bars:
        task = bars and bars.add_task(printable(name), total=None, state="", mae="")

        def report(done: float, size: float) -> None:
            nonlocal last
            state = f"{done / scale:.{digits}f}{f' of {size / scale:.{digits}f}' if size else ''}{unit}"
            if bars and task is not None:
                bars.update(task, completed=done, total=size or None, state=state)
            elif not quiet and (now := time.monotonic()) - last >= COUNT_EVERY:
                last = now
                note(f"{name}: {state}")

        yield report


show_bytes = partial(show_count, unit=" MB", scale=1e6)  # megabytes of a file
