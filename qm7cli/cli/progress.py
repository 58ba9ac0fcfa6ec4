"""Progress of trainings, evaluations and files: bars on a terminal, a plain line now and then in a log.

A training of one run is shown as a sweep of that run; in a log it has a line for each evaluation as well.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from qm7cli.cli.output import note
from qm7cli.core.errors import BusyError, printable

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

    from qm7cli.training.claim_fold import Progress
    from qm7cli.training.executor import Job, Outcome

NARROW: Final = 70  # columns: below, there is no room for bars and time left
LINE_EVERY: Final = 60.0  # seconds without a line about a fold, at most
BYTES_EVERY: Final = 5.0  # the same, about a file
COUNT_EVERY: Final = 10.0  # the same, about molecules


class Display:
    """Shows nothing; see `show_progress`."""

    def report(self, progress: "Progress") -> None:
        """Show where a job stands."""

    def end_job(self, job: "Job", outcome: "Outcome") -> None:
        """Show what has become of a job."""


@contextmanager
def show_progress(jobs: int | None = None, complete: int = 0, *, quiet: bool) -> Iterator[Display]:
    """Give what shows the progress of trainings on standard error.

    Parameters
    ----------
    jobs : int, optional
        How many there are: a line is printed for each that ends. Without it, they are folds of one run, and a log has a
        line for each evaluation.
    complete : int
        How many of them are complete already.
    quiet : bool
        Show nothing.
    """
    if quiet:
        yield Display()
        return
    if complete:
        note(f"{complete} of {jobs} jobs are complete already")
    if terminal := _terminal():
        with _bars(terminal) as bars:
            yield _Bars(bars, jobs, complete)
    else:
        yield _Lines(jobs, complete)


class _Lines(Display):
    """Lines about the jobs of a sweep as they end, or about the folds of one run as they are trained."""

    def __init__(self, jobs: int | None, complete: int) -> None:
        self.jobs, self.done = jobs, complete
        self.first: dict[int, tuple[float, int]] = {}  # by fold: time and iteration of its first report
        self.last: dict[int, float] = {}  # by fold: time of the last line about it

    def report(self, progress: "Progress") -> None:
        """Print a line for each evaluation of one run, and for each minute without one."""
        now = time.monotonic()
        began, start = self.first.setdefault(progress.fold, (now, progress.iteration))
        if self.jobs is not None or (
            progress.mae is None and now - self.last.setdefault(progress.fold, now) < LINE_EVERY
        ):
            return
        self.last[progress.fold] = now
        line = f"fold {progress.fold}: {progress.unit} {progress.iteration} of {progress.iterations}"
        if start < progress.iteration < progress.iterations:
            rate = (progress.iteration - start) / (now - began)
            line += f", {rate:.0f}/s, {(progress.iterations - progress.iteration) / rate:.0f} s left"
        if progress.mae is not None:
            line += f", test MAE {progress.mae:.2f} kcal/mol"
        note(line)

    def end_job(self, job: "Job", outcome: "Outcome") -> None:
        """Print a line, and count the job as done unless it was stopped or is busy elsewhere."""
        name = f"{job.run.name} fold {job.fold}"
        if isinstance(outcome, BusyError):
            note(f"{name}: busy: another process trains it")
        elif not isinstance(outcome, Exception) and outcome.status == "partial":
            note(f"{name}: stopped after {outcome.iterations} iterations")
        else:
            self.done += 1
            note(f"{self.done} of {self.jobs}: {name}: {_describe_end(outcome)}")


def _describe_end(outcome: "Outcome") -> str:
    if isinstance(outcome, Exception):
        return f"failed: {outcome}"
    if outcome.mae is None:
        return outcome.outcome
    trained = f"{outcome.iterations} iterations in " if outcome.iterations else ""
    return f"test MAE {outcome.mae:.2f} kcal/mol, {trained}{outcome.seconds:.0f} s"


def _terminal() -> "Console | None":
    """Return standard error if it is a terminal whose cursor moves: with TERM=dumb or TTY_COMPATIBLE=0 it does not."""
    if not sys.stderr.isatty():
        return None
    from rich.console import Console

    console = Console(stderr=True, highlight=False)
    return console if console.is_interactive else None


def _bars(terminal: "Console", *, of_bytes: bool = False) -> "Bars":
    """Return bars on a terminal or, where that is narrow, numbers in their place."""
    from rich import progress as rich
    from rich.table import Column

    name = rich.TextColumn("{task.description}", markup=False, table_column=Column(overflow="fold"))
    state = rich.DownloadColumn() if of_bytes else rich.TextColumn("{task.fields[state]}")
    if terminal.width >= NARROW:
        speed = [rich.TransferSpeedColumn()] if of_bytes else []
        columns = [name, rich.BarColumn(), state, *speed, rich.TimeRemainingColumn()]
    else:
        columns = [state] if of_bytes else [name, rich.TextColumn("{task.percentage:.0f} %"), state]
    return rich.Progress(*columns, console=terminal)


class _Bars(_Lines):
    """A bar for each job that is being done and, in a sweep, one for the whole, under the lines of jobs that ended."""

    def __init__(self, bars: "Bars", jobs: int | None, complete: int) -> None:
        super().__init__(jobs, complete)
        self.bars, self.failed = bars, 0
        self.whole = None if jobs is None else bars.add_task("jobs", total=jobs, state="")
        self.tasks: dict[tuple[Path, int], TaskID] = {}
        self.maes: dict[TaskID, str] = {}
        self.ended: set[tuple[Path, int]] = set()
        self._show_whole()

    def report(self, progress: "Progress") -> None:
        key = progress.run, progress.fold
        if key in self.ended:  # a cluster may report late
            return
        if key not in self.tasks:
            name = f"fold {progress.fold}" if self.jobs is None else f"{progress.run.name} fold {progress.fold}"
            self.tasks[key] = self.bars.add_task(
                printable(name), total=progress.iterations, completed=progress.iteration, state=""
            )
        task = self.tasks[key]
        if progress.mae is not None:
            self.maes[task] = f", test MAE {progress.mae:.2f}"
        state = f"{progress.iteration}/{progress.iterations}{self.maes.get(task, '')}"
        self.bars.update(task, completed=progress.iteration, state=state)
        self._show_whole()

    def end_job(self, job: "Job", outcome: "Outcome") -> None:
        super().end_job(job, outcome)  # the bars have standard error printed above them
        failed = not isinstance(outcome, BusyError) if isinstance(outcome, Exception) else outcome.status == "diverged"
        self.failed += failed
        self.ended.add((job.run, job.fold))
        task = self.tasks.pop((job.run, job.fold), None)
        if task is not None:
            self.bars.remove_task(task)
        self._show_whole()

    def _show_whole(self) -> None:
        """Show the progress of a sweep, with the parts of running jobs."""
        if self.whole is None:
            return
        parts = sum(task.percentage / 100 for task in self.bars.tasks if task.id in self.tasks.values())
        failed = f", {self.failed} failed" if self.failed else ""
        self.bars.update(self.whole, completed=self.done + parts, state=f"{self.done} of {self.jobs}{failed}")


@contextmanager
def show_evaluation(*, quiet: bool) -> "Iterator[Callable[[Path, int], None]]":
    """Give a function of the run and the fold that was evaluated last; it shows them on a terminal."""
    terminal = None if quiet else _terminal()
    if terminal is None:
        yield lambda _, __: None
        return
    from rich.text import Text

    with terminal.status("evaluating") as status:
        yield lambda run, fold: status.update(Text(printable(f"evaluated fold {fold} of {run}")))


@contextmanager
def show_count(name: str, size: int, *, quiet: bool) -> Iterator[Callable[[int], None]]:
    """Give a function of how many of so many things are done: a bar on a terminal, in a log a line now and then."""
    with _show_amount(name, COUNT_EVERY, lambda done, size: f"{done} of {size}", quiet=quiet) as report:
        yield lambda done: report(done, size)


@contextmanager
def show_bytes(name: str, *, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """Give a function of the bytes of a file that are done and their number, or 0; it shows them."""

    def describe(done: int, size: int) -> str:
        return f"{done / 1e6:.1f}{f' of {size / 1e6:.1f}' if size else ''} MB"

    with _show_amount(name, BYTES_EVERY, describe, quiet=quiet, of_bytes=True) as report:
        yield report


@contextmanager
def _show_amount(
    name: str, every: float, describe: Callable[[int, int], str], *, quiet: bool, of_bytes: bool = False
) -> Iterator[Callable[[int, int], None]]:
    if quiet:
        yield lambda _done, _size: None
        return
    if terminal := _terminal():
        with _bars(terminal, of_bytes=of_bytes) as bars:
            task = bars.add_task(printable(name), total=None, state="")
            yield lambda done, size: bars.update(task, completed=done, total=size or None, state=f"{done}/{size}")
        return
    last = time.monotonic()

    def say(done: int, size: int) -> None:
        nonlocal last
        if (now := time.monotonic()) - last >= every:
            last = now
            note(f"{name}: {describe(done, size)}")

    yield say
