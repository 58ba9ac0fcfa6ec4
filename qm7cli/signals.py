"""SIGINT, SIGTERM and SIGHUP as a request to stop, to be asked for where stopping is safe.

Nothing heavy is imported here: a command listens before it imports what it needs, for an interrupt that comes in the
middle of an import may be lost in it.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Final

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass
class StopRequest:
    """What `SIGNALS` ask for; `signal` is the number of the one that came, or 0."""

    signal: int = 0

    def __call__(self) -> bool:
        """Say whether a signal came."""
        return bool(self.signal)


@contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """Turn the first of `SIGNALS` into a request to stop; a second SIGINT interrupts at once.

    A signal that is ignored, as under nohup, stays ignored.
    """
    request = StopRequest()

    def handle(number: int, _: FrameType | None) -> None:
        if request.signal and number == signal.SIGINT:
            raise KeyboardInterrupt
        request.signal = number

    heeded = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    before = [signal.signal(number, handle) for number in heeded]
    try:
        yield request
    finally:
        for number, handler in zip(heeded, before, strict=True):
            signal.signal(number, handler)
