"""Progress of training, sweeps, downloads and large files: bars on a terminal, a plain line now and then in a log."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from qm7cli.cli.common import note
from qm7cli.errors import BusyError
from qm7cli.escaping import printable

if TYPE_CHECKING:
    from pathlib import Path

    from rich.progress import Progress as Bars
    from rich.progress import TaskID

    from qm7cli.fold_work import Progress
    from qm7cli.jobs import Job, Outcome

NARROW = 70  # columns: below, there is no room for bars and time left
LINE_EVERY = 60.0  # seconds without a line about a fold, at most
BYTES_EVERY = 5.0  # the same, about a file


@contextmanager
def show_progress(*, quiet: bool) -> Iterator["Callable[[Progress], None]"]:
    """Give what is to be called with each Progress; it writes to standard error."""
    if quiet:
        yield lambda _: None
    elif sys.stderr.isatty():
        with _bars() as report:
            yield report
    else:
        yield _Lines()


@contextmanager
def _bars() -> Iterator["Callable[[Progress], None]"]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    terminal = Console(stderr=True, highlight=False)
    columns = [
        TextColumn("fold {task.fields[fold]}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[mae]}"),
    ]
    if terminal.width < NARROW:
        del columns[4], columns[1]
    with Bars(*columns, console=terminal) as bars:
        tasks = {}

        def report(progress: "Progress") -> None:
            if progress.fold not in tasks:
                tasks[progress.fold] = bars.add_task(
                    "",
                    total=progress.iterations,
                    completed=progress.iteration,
                    fold=progress.fold,
                    rate="",
                    mae="",
                )
            task = tasks[progress.fold]
            bars.update(task, completed=progress.iteration)
            speed = next(t.speed for t in bars.tasks if t.id == task)
            if speed:
                bars.update(task, rate=f"{speed:.0f}/s")
            if progress.mae is not None:
                bars.update(task, mae=f"test MAE {progress.mae:.2f}")

        yield report


class _Lines:
    """A line for each evaluation, and for each minute without one."""

    def __init__(self) -> None:
        self.first: dict[int, tuple[float, int]] = {}  # by fold: when it was first heard of, and at which iteration
        self.last: dict[int, float] = {}

    def __call__(self, progress: "Progress") -> None:
        now = time.monotonic()
        began, start = self.first.setdefault(progress.fold, (now, progress.iteration))
        if progress.mae is None and now - self.last.setdefault(progress.fold, now) < LINE_EVERY:
            return
        self.last[progress.fold] = now
        line = f"fold {progress.fold}: {progress.unit} {progress.iteration} of {progress.iterations}"
        if start < progress.iteration < progress.iterations:
            rate = (progress.iteration - start) / (now - began)
            line += f", {rate:.0f}/s, {(progress.iterations - progress.iteration) / rate:.0f} s left"
        if progress.mae is not None:
            line += f", test MAE {progress.mae:.2f} kcal/mol"
        note(line)


@contextmanager
def byte_progress(name: str, *, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """Give what is to be called with the bytes of a file that are done and their number, 0 if that is not known."""
    if quiet:
        yield lambda _done, _size: None
    elif sys.stderr.isatty():
        with _byte_bar(name) as report:
            yield report
    else:
        last = time.monotonic()

        def report(done: int, size: int) -> None:
            nonlocal last
            now = time.monotonic()
            if now - last >= BYTES_EVERY:
                last = now
                note(f"{name}: {done / 1e6:.1f}{f' of {size / 1e6:.1f}' if size else ''} MB")

        yield report


@contextmanager
def _byte_bar(name: str) -> Iterator[Callable[[int, int], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.progress import Progress as Bars

    terminal = Console(stderr=True, highlight=False)
    columns = [TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn()]
    if terminal.width >= NARROW:
        columns += [TransferSpeedColumn(), TimeRemainingColumn()]
    else:
        del columns[:2]
    with Bars(*columns, console=terminal) as bars:
        task = bars.add_task(printable(name), total=None)
        yield lambda done, size: bars.update(task, completed=done, total=size or None)


class SweepDisplay(Protocol):
    """Shows how a sweep gets on."""

    def report(self, progress: "Progress") -> None:
        """Take where a job stands."""

    def ended(self, job: "Job", outcome: "Outcome") -> None:
        """Take what has become of a job."""


@contextmanager
def show_sweep(jobs: int, complete: int, *, quiet: bool) -> Iterator[SweepDisplay]:
    """Give what shows on standard error how the jobs of a sweep get on: a line for each that ends, bars below them."""
    if quiet:
        yield _Silence()
        return
    if complete:
        note(f"{complete} of {jobs} jobs are complete already")
    if sys.stderr.isatty():
        with _sweep_bars(jobs, complete) as bars:
            yield bars
    else:
        yield _SweepLines(jobs, complete)


class _Silence:
    def report(self, progress: "Progress") -> None: ...

    def ended(self, job: "Job", outcome: "Outcome") -> None: ...


class _SweepLines:
    """A line for each job that ends; those that are stopped, or busy elsewhere, are not done."""

    def __init__(self, jobs: int, complete: int) -> None:
        self.jobs, self.done = jobs, complete

    def report(self, progress: "Progress") -> None: ...

    def ended(self, job: "Job", outcome: "Outcome") -> None:
        name = f"{job.run.name} fold {job.fold}"
        if isinstance(outcome, BusyError):
            note(f"{name}: busy: another process trains it")
        elif not isinstance(outcome, Exception) and outcome.status == "partial":
            note(f"{name}: stopped after {outcome.iterations} iterations")
        else:
            self.done += 1
            note(f"{self.done} of {self.jobs}: {name}: {_ending(outcome)}")


def _ending(outcome: "Outcome") -> str:
    if isinstance(outcome, Exception):
        return f"failed: {outcome}"
    if outcome.mae is None:
        return f"{outcome.status} after {outcome.iterations} iterations"
    trained = f"{outcome.iterations} iterations in " if outcome.iterations else ""
    return f"test MAE {outcome.mae:.2f} kcal/mol, {trained}{outcome.seconds:.0f} s"


@contextmanager
def _sweep_bars(jobs: int, complete: int) -> Iterator[SweepDisplay]:
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars
    from rich.table import Column

    terminal = Console(stderr=True, highlight=False)
    name = TextColumn("{task.description}", markup=False, table_column=Column(overflow="fold"))
    columns = [name, BarColumn(), TextColumn("{task.fields[state]}"), TimeRemainingColumn()]
    if terminal.width < NARROW:
        columns = [name, TextColumn("{task.percentage:.0f} %"), columns[2]]
    with Bars(*columns, console=terminal) as bars:
        yield _SweepBars(bars, jobs, complete)


class _SweepBars(_SweepLines):
    """One bar for the whole and one for each job that is being done; the lines go above them."""

    def __init__(self, bars: "Bars", jobs: int, complete: int) -> None:
        super().__init__(jobs, complete)
        self.bars, self.failed = bars, 0
        self.whole = bars.add_task("jobs", total=jobs, state="")
        self.tasks: dict[tuple[Path, int], TaskID] = {}
        self.over: set[tuple[Path, int]] = set()
        self._show()

    def report(self, progress: "Progress") -> None:
        key = progress.run, progress.fold
        if key in self.over:  # a cluster may tell late
            return
        if key not in self.tasks:
            description = f"{progress.run.name} fold {progress.fold}"
            self.tasks[key] = self.bars.add_task(printable(description), total=progress.iterations, state="")
        task = self.tasks[key]
        self.bars.update(task, completed=progress.iteration)
        if progress.mae is not None:
            self.bars.update(task, state=f"MAE {progress.mae:.2f}")
        self._show()

    def ended(self, job: "Job", outcome: "Outcome") -> None:
        super().ended(job, outcome)  # the bars have standard error printed above them
        failed = not isinstance(outcome, BusyError) if isinstance(outcome, Exception) else outcome.status == "diverged"
        self.failed += failed
        self.over.add((job.run, job.fold))
        task = self.tasks.pop((job.run, job.fold), None)
        if task is not None:
            self.bars.remove_task(task)
        self._show()

    def _show(self) -> None:
        """Show the whole, the parts of running jobs included."""
        parts = sum(task.percentage / 100 for task in self.bars.tasks if task.id in self.tasks.values())
        failed = f", {self.failed} failed" if self.failed else ""
        self.bars.update(self.whole, completed=self.done + parts, state=f"{self.done} of {self.jobs}{failed}")
