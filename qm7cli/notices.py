"""What the library has to say while it waits for something; it prints nothing itself.

    with notices_to(print):
        train_run(...)

They are warnings of the logger ``qm7cli``, so that a program which does not listen finds them on standard error.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

_LOGGER: Final = logging.getLogger("qm7cli")


def notice(sentence: str) -> None:
    """Say something to those who listen."""
    _LOGGER.warning("%s", sentence)


@contextmanager
def notices_to(take: Callable[[str], None]) -> Iterator[None]:
    """Have `take` called with each sentence once, in whatever thread it is said."""
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
        self._said: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        sentence = record.getMessage()
        if sentence not in self._said:  # several jobs may wait for one thing
            self._said.add(sentence)
            self._take(sentence)
