"""The errors that a user can cause."""


class QM7Error(Exception):
    """What is wrong, where, and what to do, in one sentence.

    A command prints it in one line on standard error and exits with status 1.
    """


class BusyError(QM7Error):
    """Another process holds a lock."""
