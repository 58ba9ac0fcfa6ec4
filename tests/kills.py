"""Processes that die at a given change of the file system, as by ``kill -9`` at that instant."""

import os
import traceback
import warnings
from itertools import count

DEAD = 9
CHANGES = ("fsync", "mkdir", "rename", "replace", "rmdir", "unlink")  # of os, by which pathlib does them too


def deaths(work):
    """Do some work in one process after another, dying just before its first change, its second, ... to its end.

    Gives the number of the change after each death, so that what is left can be looked at. A process is a fork, which
    takes along what is loaded already.
    """
    for number in count(1):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of threads: those of BLAS, none of which is in use
            child = os.fork()
        if child == 0:
            try:
                _die_at(number)
                work()
                os._exit(0)
            except BaseException:  # noqa: BLE001 - it must not go on as a second pytest
                traceback.print_exc()
                os._exit(1)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert code in {0, DEAD}
        if code == 0:
            return
        yield number


def _die_at(number):
    """Have this process die just before it changes the file system for the so-manieth time."""
    numbers = count(1)

    def counted(name):
        change = getattr(os, name)

        def changed(*args, **options):
            idle = (name == "mkdir" and os.path.lexists(args[0])) or (name == "unlink" and not os.path.lexists(args[0]))
            if not idle and next(numbers) == number:
                os._exit(DEAD)
            return change(*args, **options)

        return changed

    for name in CHANGES:
        setattr(os, name, counted(name))
