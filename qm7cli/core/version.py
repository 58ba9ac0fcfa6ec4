"""The version of the program, as ``0.1.dev464+g3a0c161a2b4c``, and the commit of the checkout that it runs from."""

import subprocess
from importlib.metadata import distributions
from pathlib import Path
from typing import Final


def _commit() -> str | None:
    """Return the commit of the checkout, with ``-dirty`` if files differ; no lock is left behind if this is killed."""

    def git(*args: str) -> str:
        command = ["git", "--no-optional-locks", "-C", str(Path(__file__).parents[2]), *args]
        return subprocess.check_output(command, stderr=subprocess.DEVNULL, text=True).strip()  # noqa: S603

    try:
        dirty = git("status", "--porcelain", "--untracked-files=no")
        return git("rev-parse", "--short=12", "HEAD") + ("-dirty" if dirty else "")
    except (OSError, subprocess.CalledProcessError):
        return None


COMMIT: Final = _commit() if (Path(__file__).parents[2] / ".git").exists() else None  # now, not when installed
INSTALLED: Final = next((each.version for each in distributions(name="qm7cli")), "0.1.dev0")
__version__: Final = f"{INSTALLED.partition('+')[0]}+g{COMMIT.replace('-', '.')}" if COMMIT else INSTALLED
