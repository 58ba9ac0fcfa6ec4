"""Locks between processes (filelock): the operating system's, so that a lock ends with the process that holds it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from qm7cli.core.errors import SAY_AFTER, BusyError, notice, os_errors

LOOKED_AT: Final = 0.1  # seconds for which a lock is tried before it is another's: `is_held` takes it for an instant


@contextmanager
def lock(path: Path, busy: str | None = None) -> Iterator[None]:
    """Hold the lock file `path`; if another process does, raise BusyError with `busy` or, without it, wait."""
    held = FileLock(path)
    with os_errors(f"cannot lock {path}"):
        try:
            held.acquire(timeout=SAY_AFTER if busy is None else LOOKED_AT)
        except Timeout as error:
            if busy is not None:
                raise BusyError(busy) from error
            notice(f"waiting for the lock {path}, which another process holds")
            held.acquire()
    try:
        yield
    finally:
        held.release()


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
