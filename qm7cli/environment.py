"""The versions and the machine that results come from."""

import functools
import platform
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import scipy
from threadpoolctl import threadpool_info

import qm7cli


@functools.cache
def environment() -> dict[str, Any]:
    """Return what ``results.yaml`` tells of where it was made: versions, commit, BLAS, processor."""
    blas = {
        f"{library['internal_api']} {library['version']} {library.get('architecture', '')}".strip()
        for library in threadpool_info()
        if library["user_api"] == "blas"
    }
    return {
        "qm7cli": qm7cli.__version__,
        "git": _git_commit(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "blas": ", ".join(sorted(blas)),
        "cpu": _cpu(),
        "threads": 1,
    }


def _git_commit() -> str | None:
    """Return the commit of the checkout that the package runs from, if it is one."""
    root = Path(qm7cli.__file__).parents[1]
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603
    except (OSError, subprocess.CalledProcessError):
        return None


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
