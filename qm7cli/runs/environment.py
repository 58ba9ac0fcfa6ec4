"""The versions and the machine that results come from, and when they were made."""

import functools
import platform
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import scipy
from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer
from threadpoolctl import threadpool_info

import qm7cli

TIMES: Final = ("started", "finished")


class Environment(BaseModel):
    """Where and when a fold or a run was made: versions, commit, BLAS, processor, and two times in ISO 8601, UTC.

    A field that an older version did not write stays unset and is not written; one that a newer version adds is kept.
    """

    model_config = ConfigDict(extra="allow", frozen=True, coerce_numbers_to_str=True)

    qm7cli: str | None = None
    git: str | None = None
    python: str | None = None
    numpy: str | None = None
    scipy: str | None = None
    blas: str | None = None
    cpu: str | None = None
    threads: int | None = None
    started: str | None = None
    finished: str | None = None

    @model_serializer(mode="wrap")
    def _only_what_is_set(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {key: value for key, value in handler(self).items() if key in self.model_fields_set}


class RunEnvironment(Environment):
    """What the folds' environments share, and when the first began and the last ended; `folds` has what differs."""

    folds: dict[int, Environment] = Field(default_factory=dict)

    def of_fold(self, fold: int) -> Environment:
        """Return the environment of a fold; its times are the run's."""
        own = self.folds[fold].model_dump() if fold in self.folds else {}
        return Environment(**self.model_dump(exclude={"folds"}) | own)


def share_environments(environments: Mapping[int, Environment], *, ended: bool) -> RunEnvironment:
    """Return the environments of a run's folds as one; its `finished` is None unless all have `ended`."""
    stays = {fold: own.model_dump(exclude=set(TIMES)) for fold, own in environments.items()}
    first, *others = stays.values()
    shared = {key: value for key, value in first.items() if all(key in own and own[key] == value for own in others)}
    differing = {fold: {key: own[key] for key in own if key not in shared} for fold, own in stays.items()}
    started, finished = ([str(time) for own in environments.values() if (time := getattr(own, key))] for key in TIMES)
    times = {"started": min(started, default=None), "finished": max(finished, default=None) if ended else None}
    return RunEnvironment.model_validate(shared | times | ({"folds": differing} if any(differing.values()) else {}))


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
        threads=1,
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
