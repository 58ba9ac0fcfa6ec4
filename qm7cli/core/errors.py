"""The errors that a user can cause."""

NO_THREAD = "can't start new thread"  # what Python's RuntimeError says then


class QM7Error(Exception):
    """What is wrong, where, and what to do, in one sentence.

    A command prints it in one line on standard error and exits with its `exit_status`.
    """

    exit_status: int = 1


class UsageError(QM7Error):
    """The command line is wrong in itself, whatever the files hold; the exit status is 2."""


class BusyError(QM7Error):
    """Another process holds a lock; it may be tried again later."""

    exit_status = 75  # EX_TEMPFAIL of sysexits.h


class StoppedError(QM7Error):
    """A stop was asked for in the middle of something; the same command goes on from what is there."""


class DamagedError(QM7Error):
    """A file that begins as it should and cannot be read to its end."""


def damaged(path: object) -> QM7Error:
    """Return what is said of a file of a run that cannot be read."""
    return QM7Error(f"{path} is damaged or from another version; --overwrite trains it again")


def shortage(error: BaseException) -> str | None:
    """Say what there is not enough of, memory or threads, if that is what an error of Python's is about."""
    if isinstance(error, MemoryError):
        return "not enough memory for these settings"
    if isinstance(error, RuntimeError) and str(error) == NO_THREAD:
        return "the system allows no more threads (ulimit -u); use fewer --jobs"
    return None


def brief(text: object) -> str:
    """Return what a library says is wrong in a line of at most 200 signs: some show the file's bytes."""
    return " ".join(str(text).split())[:200]
