"""The versions and the machine that results come from, and when they were made."""

import functools
import platform
import subprocess
from pathlib import Path

import numpy as np
import scipy
from pydantic import BaseModel, ConfigDict
from threadpoolctl import threadpool_info

import qm7cli


class Environment(BaseModel):
    """Where and when a fold was made: versions, commit, BLAS, processor, and two times in ISO 8601, UTC.

    A fold is `finished` when it is complete or has diverged.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    qm7cli: str
    git: str | None = None
    python: str
    numpy: str
    scipy: str
    blas: str
    cpu: str
    threads: int = 1
    started: str | None = None
    finished: str | None = None


@functools.cache
def current_environment() -> Environment:
    """Return the environment of this process, without times."""
    blas = {
        f"{library['internal_api']} {library['version']} {library.get('architecture', '')}".strip()
        for library in threadpool_info()
        if library["user_api"] == "blas"
    }
    return Environment(
        qm7cli=qm7cli.__version__,
        git=_git_commit(),
        python=platform.python_version(),
        numpy=np.__version__,
        scipy=scipy.__version__,
        blas=", ".join(sorted(blas)),
        cpu=_cpu(),
    )


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
