"""The results of a fold (``fold-0/result.yaml``) and of its run (``results.yaml``): one record, written and read here.

A fold's file is written when its training begins, at each evaluation and when it ends. ``results.yaml`` can always be
made anew from the folds' files; it is changed under the run's lock, as processes may train different folds at once.
"""

import functools
import platform
import statistics
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import numpy as np
import scipy
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_serializer, field_validator
from threadpoolctl import threadpool_info

from qm7cli.core.errors import QM7Error, damaged
from qm7cli.core.files import read_text, write_text
from qm7cli.core.html import html_table
from qm7cli.core.locks import lock
from qm7cli.core.yaml_text import format_yaml, parse_yaml
from qm7cli.model.metrics import METRICS, TEST_METRICS
from qm7cli.runs.access import DatasetRecord, fold_directory, fold_numbers, read_config
from qm7cli.runs.experiment import Experiment

Status = Literal["complete", "partial", "diverged"]
APART: Final = ("environment", "history")  # of a fold, which `results.yaml` has behind all that is read first


class Environment(BaseModel):
    """Where and when a fold was made: versions, commit, BLAS, processor, and two times in ISO 8601, UTC."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    qm7cli: str
    git: str | None = None
    rule: str | None = None  # this and the engine are `qm7cli.runs.fingerprints`
    engine: str | None = None
    python: str
    numpy: str
    scipy: str
    blas: str
    cpu: str
    threads: int = 1
    started: str | None = None
    finished: str | None = None  # complete or diverged


@functools.cache
def current_environment() -> Environment:
    """Return the environment of this process, without times and fingerprints."""
    from qm7cli.core.version import COMMIT, __version__  # noqa: PLC0415 - which asks git

    libraries = [library for library in threadpool_info() if library["user_api"] == "blas"]
    blas = {f"{each['internal_api']} {each['version']} {each.get('architecture', '')}".strip() for each in libraries}
    return Environment(
        qm7cli=__version__,
        git=COMMIT,
        python=platform.python_version(),
        numpy=np.__version__,
        scipy=scipy.__version__,
        blas=", ".join(sorted(blas)),
        cpu=_cpu(),
    )


def _cpu() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


class HistoryRow(NamedTuple):
    """An evaluation on the way: after which iteration and how many seconds of training, and errors in kcal/mol."""

    iteration: int
    seconds: float
    test_mae: float
    test_rmse: float
    train_mae: float
    train_rmse: float


class FoldResult(BaseModel):
    """What became of a fold: errors in kcal/mol over the run's draws, and the training's length.

    A fold that diverged has the iteration and the learning rate at which it did. `history` has the evaluations, in
    files a list for each column; that of a complete fold ends with the errors of the model.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    fold: int
    status: Status
    mae: float | None = None
    rmse: float | None = None
    train_mae: float | None = None
    train_rmse: float | None = None
    iterations: int
    seconds: float
    train_molecules: int
    test_molecules: int
    hyperparameters: dict[str, int | float] | None = None
    diverged_at: int | None = None
    rate: float | None = None
    environment: Environment | None = None
    history: list[HistoryRow] = Field(default=[])

    def __repr_args__(self) -> list[tuple[str | None, Any]]:
        return [(key, value) for key, value in self if key not in APART and value is not None]

    @property
    def outcome(self) -> str:
        """The status; of a diverged fold where and at what rate, ``diverged at iteration 12503 (rate 0.01)``."""
        diverged = self.status == "diverged"
        return f"diverged at iteration {self.diverged_at} (rate {self.rate:g})" if diverged else self.status

    @property
    def reason(self) -> str | None:
        """Why there are no errors, as a sentence; None unless the fold diverged."""
        return f"fold {self.fold} {self.outcome}" if self.status == "diverged" else None

    @field_validator("history", mode="before")
    @classmethod
    def _rows(cls, history: Any) -> Any:
        return list(zip(*history.values(), strict=True)) if isinstance(history, dict) else history

    @field_serializer("history")
    def _columns(self, history: list[HistoryRow]) -> dict[str, list[float]]:
        return dict(zip(HistoryRow._fields, map(list, zip(*history, strict=True)), strict=False))


class RunResults(BaseModel):
    """The results of a run's folds so far; ``results[2]`` is that of fold 2."""

    model_config = ConfigDict(frozen=True)

    dataset: DatasetRecord
    folds: list[FoldResult]
    config: Experiment

    def __repr_args__(self) -> list[tuple[str | None, Any]]:
        folds = ", ".join(f"{result.fold} {result.outcome}" for result in self.folds)
        return [("dataset", self.dataset.name), ("folds", folds), ("mae", self.summary("mae")["mean"])]

    def to_records(self) -> list[dict[str, Any]]:
        """Return a plain record for each fold, as for ``pandas.DataFrame``, without history and environment."""
        return [result.model_dump(exclude={*APART}) for result in self.folds]

    def _repr_html_(self) -> str:
        header = ("fold", "status", *(f"{metric.label}, {metric.unit}" for metric in METRICS.values()))
        errors = [[getattr(result, key) for key in METRICS] for result in self.folds]
        shown = [["-" if error is None else f"{error:.2f}" for error in own] for own in errors]
        rows = [(result.fold, result.outcome, *own) for result, own in zip(self.folds, shown, strict=True)]
        return html_table(header, rows)

    def __getitem__(self, fold: int) -> FoldResult:
        """Return the result of a fold; raises KeyError if there is none."""
        return {result.fold: result for result in self.folds}[fold]

    @property
    def status(self) -> Status:
        """``diverged`` if a fold is, else ``partial`` if one is, else ``complete``."""
        statuses = {result.status for result in self.folds}
        return "diverged" if "diverged" in statuses else "partial" if "partial" in statuses else "complete"

    @property
    def environments(self) -> list[Environment]:
        """The environments of the folds."""
        return [result.environment for result in self.folds if result.environment]

    @property
    def times(self) -> dict[str, str | None]:
        """When the first fold was ``started``, and the last one ``finished``; None unless all are."""
        started = [environment.started or "" for environment in self.environments]
        ended = [environment.finished or "" for environment in self.environments]
        return {"started": min(started, default=None), "finished": max(ended) if ended and all(ended) else None}

    def summary(self, metric: str) -> dict[str, float | None]:
        """Return the `summary` of a metric over the folds."""
        return summary(getattr(result, metric) for result in self.folds)


def summary(values: Iterable[float | None]) -> dict[str, float | None]:
    """Return ``mean`` and ``std``, the population standard deviation, of the values that are not None, or None."""
    known = [value for value in values if value is not None]
    return {
        "mean": statistics.fmean(known) if known else None,
        "std": statistics.pstdev(known) if len(known) > 1 else None,
    }


def read_fold(run: Path, fold: int) -> FoldResult | None:
    """Return a fold's result, or None if it was never begun; raises QM7Error if the file is damaged."""
    path = fold_directory(run, fold) / "result.yaml"
    if not path.exists():
        return None
    try:
        return FoldResult.model_validate(parse_yaml(read_text(path), path))
    except (QM7Error, ValidationError) as error:
        raise damaged(path) from error


def write_fold_alone(run: Path, result: FoldResult) -> None:
    """Write a fold's ``result.yaml``."""
    write_text(fold_directory(run, result.fold) / "result.yaml", format_yaml(_fields(result)))


def write_fold(run: Path, result: FoldResult) -> None:
    """Write a fold's result, and ``results.yaml`` with it."""
    write_fold_alone(run, result)
    make_results(run, result)


def read_results(run: Path) -> RunResults:
    """Return the results of a run; raises QM7Error if there is no ``results.yaml`` or it is damaged."""
    path = run / "results.yaml"
    text = read_text(path)
    try:
        record = parse_yaml(text, path)
        folds = [
            fold | {name: record[f"{name}s" if name == "environment" else "histories"][fold["fold"]] for name in APART}
            for fold in record["folds"]
        ]
        config = Experiment.model_validate(record["config"])
        return RunResults(dataset=record["dataset"], folds=folds, config=config)
    except (QM7Error, ValidationError, LookupError, TypeError) as error:
        raise damaged(path) from error


def known_results(run: Path) -> RunResults | None:
    """Return the results of a run, or None if ``results.yaml`` is missing or damaged."""
    with suppress(QM7Error):
        return read_results(run)
    return None


def make_results(run: Path, changed: FoldResult | None = None) -> None:
    """Make ``results.yaml`` of what it has, the folds that it lacks, and one that has `changed`."""
    with lock(run / ".lock"):
        known = known_results(run)
        results = {result.fold: result for result in known.folds} if known else {}
        if changed is not None:
            if results.get(changed.fold) == changed:
                return
            results[changed.fold] = changed
        begun = [fold for fold in fold_numbers(run) if (fold_directory(run, fold) / "result.yaml").exists()]
        folds = [result for fold in begun if (result := results.get(fold) or read_fold(run, fold))]
        config = read_config(run)
        made = RunResults(dataset=config.dataset, folds=folds, config=config.experiment)
        write_text(run / "results.yaml", format_yaml(_document(made)))


def _document(results: RunResults) -> dict[str, Any]:
    """Return what ``results.yaml`` has: the errors first, then settings and environments, and the histories last."""
    folds = {result.fold: _fields(result) for result in results.folds}
    return {
        "status": results.status,
        "units": "kcal/mol",
        **{metric: results.summary(metric) for metric in TEST_METRICS},
        "dataset": results.dataset.model_dump(),
        "folds": [{key: value for key, value in fold.items() if key not in APART} for fold in folds.values()],
        "config": results.config.model_dump(mode="json"),
        "environments": {number: fold["environment"] for number, fold in folds.items()},
        "histories": {number: fold["history"] for number, fold in folds.items()},
    }


def _fields(result: FoldResult) -> dict[str, Any]:
    """Return the fields of a result as files have them, without those of other kinds of results."""
    absent = {key for key in ("hyperparameters", "diverged_at", "rate") if getattr(result, key) is None}
    return result.model_dump(exclude=absent)
