"""The errors that a user can cause, and what else the library says: warnings of the logger ``qm7cli``."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Final

SAY_AFTER: Final = 1.0  # seconds of waiting, after which a notice says what for
_LOGGER: Final = logging.getLogger("qm7cli")


class QM7Error(Exception):
    """What is wrong, where, and what to do, in one sentence, which a command prints before it exits."""

    exit_status: int = 1


class UsageError(QM7Error):
    """The command line is wrong in itself, whatever the files hold; the exit status is 2."""


class BusyError(QM7Error):
    """Another process holds a lock; it may be tried again later."""

    exit_status = 75  # EX_TEMPFAIL of sysexits.h


class StoppedError(QM7Error):
    """A stop was asked for in the middle of something; the same command goes on from what is there."""


def damaged(path: object) -> QM7Error:
    """Return what is said of a file of a run that cannot be read."""
    return QM7Error(f"{path} is damaged or from another version; --overwrite trains it again")


@contextmanager
def os_errors(failed: str) -> Iterator[None]:
    """Turn an error of the operating system into QM7Error: what has failed, such as ``cannot read x``, and why."""
    try:
        yield
    except OSError as error:
        raise QM7Error(f"{failed}: {error.strerror or error}") from error


def shortage(error: BaseException) -> str | None:
    """Say what there is not enough of, memory or threads, if that is what an error of Python's is about."""
    if isinstance(error, MemoryError):
        return "not enough memory for these settings"
    if isinstance(error, RuntimeError) and str(error) == "can't start new thread":
        return "the system allows no more threads (ulimit -u); use fewer --jobs"
    return None


def brief(text: object) -> str:
    """Return what a library says is wrong in a line of at most 200 signs: some show the file's bytes."""
    return " ".join(str(text).split())[:200]


def printable(text: str, keep: str = "") -> str:
    """Escape what would control a terminal, turn its direction of writing or break a line; not what is in `keep`."""
    return "".join(sign if sign.isprintable() or sign in keep else ascii(sign)[1:-1] for sign in text)


def notice(sentence: str) -> None:
    """Say something to those who listen."""
    _LOGGER.warning("%s", sentence)


@contextmanager
def notices_to(take: Callable[[str], None]) -> Iterator[None]:
    """Have `take` called with each sentence, in whatever thread it is said; once if it comes again and again."""
    handler = _Handler()
    handler.take = take
    _LOGGER.addHandler(handler)
    try:
        yield
    finally:
        _LOGGER.removeHandler(handler)


class _Handler(logging.Handler):
    take: Callable[[str], None]
    last = ""

    def emit(self, record: logging.LogRecord) -> None:
        if (sentence := record.getMessage()) != self.last:  # several jobs may wait for one thing
            self.last = sentence
            self.take(sentence)


def import_extra(module: str, extra: str, purpose: str) -> Any:
    """Import a module that an `extra` brings; raises QM7Error, which begins with `purpose`, as ``SMILES need``."""
    library = module.partition(".")[0]
    try:
        import_module(library)  # which names itself where it is missing
        return import_module(module)
    except Exception as error:  # a library may raise anything while it is imported
        if isinstance(error, ModuleNotFoundError) and error.name == library:
            raise QM7Error(f"{purpose} {library}, which is not installed: pip install '.[{extra}]'") from error
        raise QM7Error(f"{purpose} {library}, which is installed and cannot be imported: {error}") from error
