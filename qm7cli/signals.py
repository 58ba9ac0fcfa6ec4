"""SIGINT and SIGTERM as a request to stop, to be asked for where stopping is safe.

Nothing heavy is imported here: a command listens before it imports what it needs, for an interrupt that comes in the
middle of an import may be lost in it.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Final

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


@dataclass
class StopRequest:
    """What SIGINT and SIGTERM ask for; `signal` is the number of the one that came, or 0."""

    signal: int = 0

    def __call__(self) -> bool:
        """Say whether a signal came."""
        return bool(self.signal)


@contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """Turn the first SIGINT or SIGTERM into a request to stop; a second SIGINT interrupts at once."""
    request = StopRequest()

    def handle(number: int, _: FrameType | None) -> None:
        if request.signal and number == signal.SIGINT:
            raise KeyboardInterrupt
        request.signal = number

    before = [signal.signal(number, handle) for number in SIGNALS]
    try:
        yield request
    finally:
        for number, handler in zip(SIGNALS, before, strict=True):
            signal.signal(number, handler)
