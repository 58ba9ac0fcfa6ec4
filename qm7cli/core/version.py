"""The version of the program, as ``0.1.dev464+g3a0c161a2b4c``, and the commit of the checkout that it runs from."""

import subprocess
from importlib.metadata import distributions
from pathlib import Path
from typing import Final


def _commit() -> str | None:
    root = Path(__file__).parents[2]
    git = ["git", "--no-optional-locks", "-C", str(root)]  # a process that is killed leaves no lock behind
    command = [*git, "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        return subprocess.check_output(command, stderr=subprocess.DEVNULL, text=True).strip()  # noqa: S603
    except (OSError, subprocess.CalledProcessError):
        return None


COMMIT: Final = _commit() if (Path(__file__).parents[2] / ".git").exists() else None  # now, not when installed
INSTALLED: Final = next((each.version for each in distributions(name="qm7cli")), "0.1.dev0")
__version__: Final = f"{INSTALLED.partition('+')[0]}+g{COMMIT.replace('-', '.')}" if COMMIT else INSTALLED
