"""Locks between processes (filelock): the operating system's, so that a lock ends with the process that holds it."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from qm7cli.core.errors import SAY_AFTER, BusyError, StoppedError, notice, os_errors

GIVE_UP_AFTER: Final = 2.0  # seconds after which a stop ends the wait for a lock: those waited for are held for less
LOOKED_AT: Final = 0.1  # seconds for which a lock is tried before it is another's: `is_held` takes it for an instant


@contextmanager
def lock(path: Path, busy: str | None = None, stopped: Callable[[], bool] = lambda: False) -> Iterator[None]:
    """Hold the lock file `path`, which is made if absent.

    If another process holds it, raise BusyError with the sentence `busy`; default: wait, and raise StoppedError after
    `GIVE_UP_AFTER` seconds as soon as `stopped` is true.
    """
    begun, said, held = time.monotonic(), False, FileLock(path)
    while not _acquired(held):
        waited = time.monotonic() - begun
        if busy is not None:
            raise BusyError(busy)
        if waited > GIVE_UP_AFTER and stopped():
            raise StoppedError(f"stopped while another process held the lock {path}")
        if waited > SAY_AFTER and not said:
            notice(f"waiting for the lock {path}, which another process holds")
            said = True
    try:
        yield
    finally:
        held.release()


def _acquired(held: FileLock) -> bool:
    with os_errors(f"cannot lock {held.lock_file}"):
        try:
            held.acquire(timeout=LOOKED_AT)
        except Timeout:  # an OSError as well
            return False
    return True


def is_held(path: Path) -> bool:
    """Say whether a process holds the lock file `path`; where it cannot be known, as on a read-only disk, none does."""
    try:
        if path.exists():
            with FileLock(path, blocking=False):
                pass
    except Timeout:
        return True
    except OSError:
        pass
    return False
