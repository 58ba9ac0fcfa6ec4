"""Signals as a request to stop, to be asked for where stopping is safe.

Nothing heavy is imported here: a command listens first, as an interrupt in the middle of an import may be lost.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from queue import SimpleQueue
from types import FrameType
from typing import Final

SIGNALS: Final[tuple[signal.Signals, ...]] = (
    *(signal.SIGINT, signal.SIGTERM, signal.SIGHUP),
    *(signal.SIGUSR1, signal.SIGUSR2, signal.SIGXCPU),  # with which Slurm and ulimit say that time is nearly up
)
STOPPING: Final = "stopping; Ctrl-C again ends at once, losing what came after the last checkpoint"
ENDING: Final = "ending at once: what came after the last checkpoint is lost"


@dataclass
class StopRequest:
    """What `SIGNALS` ask for; `signal` is the number of the one that came, or 0."""

    signal: int = 0

    def __call__(self) -> bool:
        """Say whether a signal came."""
        return bool(self.signal)


@contextmanager
def stop_on_signals(announce: Callable[[str], None]) -> Iterator[StopRequest]:
    """Turn the first of `SIGNALS` into a request to stop; a second SIGINT interrupts at once.

    A signal that is ignored, as under nohup, stays ignored. At a SIGINT, `announce` is called with a sentence that says
    what it does; in a thread of its own, for what a handler prints may come in the middle of what is being printed.
    """
    request = StopRequest()
    announcements: SimpleQueue[str | None] = SimpleQueue()  # its put may be interrupted by a handler that puts as well

    def handle(number: int, _: FrameType | None) -> None:
        if request.signal and number == signal.SIGINT:
            announcements.put(ENDING)
            raise KeyboardInterrupt
        if number == signal.SIGINT:
            announcements.put(STOPPING)
        request.signal = number

    def announce_all() -> None:
        for sentence in iter(announcements.get, None):
            announce(sentence)

    announcer = threading.Thread(target=announce_all, daemon=True)
    announcer.start()
    heeded = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    before = [signal.signal(number, handle) for number in heeded]
    try:
        yield request
    finally:
        for number, handler in zip(heeded, before, strict=True):
            signal.signal(number, handler)
        announcements.put(None)
        announcer.join()


@contextmanager
def signals_blocked() -> Iterator[None]:
    """Have `SIGNALS` wait; a process that is started here begins with them waiting."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def take_signals() -> None:
    """Take the signals that have waited since `signals_blocked`, which this process was started in."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
