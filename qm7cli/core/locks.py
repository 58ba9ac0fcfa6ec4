"""Locks between processes.

A lock is the operating system's (flock), so it ends with the process that holds it, however that ends; where its file
has been removed, as with ``rm -rf`` of a run, it protects nothing any more, and its holder writes nothing more.
"""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from qm7cli.core.errors import BusyError, QM7Error, StoppedError
from qm7cli.core.notices import SAY_AFTER, notice

GIVE_UP_AFTER: Final = 2.0  # seconds after which a stop ends the wait for a lock: those waited for are held for less
LOOKED_AT: Final = 0.1  # seconds for which a lock is tried before it is another's: `is_held` takes it for an instant
POLL: Final = 0.05  # seconds between two looks at a lock that another process holds
NO_LINK: Final = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)  # nor does a pipe keep us; POSIX


class _Held(threading.local):
    def __init__(self) -> None:
        self.locks: list[tuple[Path, int]] = []  # the path and the open file of each lock of this thread


_held: Final = _Held()


@contextmanager
def lock(path: Path, busy: str | None = None, stopped: Callable[[], bool] = lambda: False) -> Iterator[None]:
    """Hold the lock file `path`.

    If the file is removed or replaced meanwhile, the lock is lost: what this thread would still write or remove is then
    refused, wherever it is, since others may hold the lock of that name now.

    The file is made if absent, and left in place. If another process holds it, raise BusyError with the sentence
    `busy`; default: wait, and raise StoppedError after `GIVE_UP_AFTER` seconds as soon as `stopped` is true.
    """
    begun, said = time.monotonic(), False
    try:
        while (descriptor := _open_locked(path)) is None:
            waited = time.monotonic() - begun
            if busy is not None and waited > LOOKED_AT:
                raise BusyError(busy)
            if waited > GIVE_UP_AFTER and stopped():
                raise StoppedError(f"stopped while another process held the lock {path}")
            if waited > SAY_AFTER and not said:
                notice(f"waiting for the lock {path}, which another process holds")
                said = True
            time.sleep(POLL)
    except OSError as error:
        raise QM7Error(f"cannot lock {path}: {error.strerror or error}") from error
    _held.locks.append((path, descriptor))
    try:
        yield
    finally:
        _held.locks.remove((path, descriptor))
        os.close(descriptor)


def _open_locked(path: Path) -> int | None:
    """Return the open and locked file, or None if it is another's now."""
    descriptor, locked = os.open(path, os.O_RDWR | os.O_CREAT | NO_LINK, 0o666), False
    try:
        locked = try_lock(descriptor) and is_at(path, descriptor)
    finally:
        if not locked:
            os.close(descriptor)
    return descriptor if locked else None


def is_held(path: Path) -> bool:
    """Say whether a process holds the lock file `path`, which is neither made nor kept.

    Where there are no locks, nobody holds one.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | NO_LINK)
    except OSError:
        return False
    try:
        return not try_lock(descriptor, shared=True)
    except OSError:
        return False
    finally:
        os.close(descriptor)


def try_lock(descriptor: int, *, shared: bool = False) -> bool:
    """Lock an open file until it is closed, if nobody has locked it; raises OSError where there are no locks.

    A `shared` lock may be had beside others that are shared, where the system has such locks.
    """
    try:
        if sys.platform == "win32":
            import msvcrt  # noqa: PLC0415

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl  # noqa: PLC0415

            fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


def is_at(path: Path, descriptor: int) -> bool:
    """Say whether a path still leads to an open file."""
    try:
        return os.path.samestat(path.stat(follow_symlinks=False), os.fstat(descriptor))
    except (FileNotFoundError, NotADirectoryError):
        return False


def refuse_lost_locks() -> None:
    """Raise QM7Error if the file of a lock that this thread holds is no longer in its place."""
    for path, descriptor in _held.locks:
        if not is_at(path, descriptor):
            raise QM7Error(
                f"{path.parent} was removed or replaced while this process worked there, so it writes nothing more; "
                "start it again"
            )
