"""The errors that a user can cause."""


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
