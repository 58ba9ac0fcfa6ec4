"""Where `qm7` and `python -m qm7cli` begin: the program is imported, and Ctrl-C meanwhile ends it at once.

Python's own way to interrupt, an exception, may be lost in the middle of an import.
"""

import os
import signal


def main() -> None:
    """Run the command line."""
    os.environ["MPLBACKEND"] = "agg"  # a notebook's own, which a command inherits, is none for a file
    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:  # not ignored, as under nohup
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from qm7cli.cli.main import main as run_command_line  # noqa: PLC0415 - it is what may be interrupted

    signal.signal(signal.SIGINT, before)
    run_command_line()


if __name__ == "__main__":
    main()
