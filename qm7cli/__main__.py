"""Where `qm7` and `python -m qm7cli` begin: the program is imported, and Ctrl-C meanwhile ends it at once.

Python's own way to interrupt, an exception, may be lost in the middle of an import.
"""

import os
import signal
from types import FrameType


def main() -> None:
    """Run the command line."""
    os.environ["MPLBACKEND"] = "agg"  # a notebook's own, which a command inherits, is none for a file
    heeded = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # not ignored, as under nohup
    if heeded:
        signal.signal(signal.SIGINT, _end)
    from qm7cli.cli.main import main as run_command_line  # noqa: PLC0415 - it is what may be interrupted

    if heeded:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    run_command_line()


def _end(number: int, _: FrameType | None) -> None:
    os._exit(128 + number)  # nothing is begun yet that would have to be tidied up


if __name__ == "__main__":
    main()
