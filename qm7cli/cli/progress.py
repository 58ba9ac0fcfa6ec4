"""Progress of training, downloads and large files: bars on a terminal, a plain line now and then in a log."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from qm7cli.cli.common import note

if TYPE_CHECKING:
    from qm7cli.training import Progress

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
        line = f"fold {progress.fold}: iteration {progress.iteration} of {progress.iterations}"
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
        task = bars.add_task(name, total=None)
        yield lambda done, size: bars.update(task, completed=done, total=size or None)
