"""Sentences that the library logs while it waits for something; it prints nothing itself.

    with notices_to(print):
        train_run(...)

They are warnings of the logger ``qm7cli``, so that a program which does not listen finds them on standard error.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

SAY_AFTER: Final = 1.0  # seconds of waiting, after which a notice says what for
_LOGGER: Final = logging.getLogger("qm7cli")


def notice(sentence: str) -> None:
    """Say something to those who listen."""
    _LOGGER.warning("%s", sentence)


@contextmanager
def notices_to(take: Callable[[str], None]) -> Iterator[None]:
    """Have `take` called with each sentence, in whatever thread it is said; once if it comes again and again."""
    handler = _Handler(take)
    _LOGGER.addHandler(handler)
    try:
        yield
    finally:
        _LOGGER.removeHandler(handler)


class _Handler(logging.Handler):
    def __init__(self, take: Callable[[str], None]) -> None:
        super().__init__()
        self._take = take
        self._last: str | None = None

    def emit(self, record: logging.LogRecord) -> None:
        sentence = record.getMessage()
        if sentence != self._last:  # several jobs may wait for one thing
            self._last = sentence
            self._take(sentence)
