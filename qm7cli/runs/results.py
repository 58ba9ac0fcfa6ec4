"""The results of a run (``results.yaml``) and of each fold (``fold-0/result.yaml``): one record, written and read here.

Processes may train different folds of one run at once: ``results.yaml`` is made anew from all the folds' own files,
under the run's lock.
"""

import re
import statistics
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from qm7cli.core.errors import QM7Error
from qm7cli.core.files import LARGEST_FILE, read_text, write_text
from qm7cli.core.locks import lock
from qm7cli.core.validation import Count, Measure, first_mistake, refusal
from qm7cli.core.yaml_text import checksum, format_record, parse_record
from qm7cli.data.dataset import Dataset
from qm7cli.model.metrics import TEST_METRICS
from qm7cli.runs.directory import fold_directory, fold_numbers, refuse_links_out
from qm7cli.runs.environment import Environment, RunEnvironment, current_environment, share_environments
from qm7cli.runs.experiment import Experiment, read_experiment, validate

CHECKED: Final = {"history_checksum": "history.csv", "predictions_checksum": "predictions.csv"}
OPTIONAL: Final = ("test_molecules", "hyperparameters", "reason", *CHECKED, "environment")
REMEDY: Final = "--overwrite trains the fold from the start"
DIVERGED: Final = re.compile(
    r"at iteration (\d+)\b.*\brate (\d+(?:\.\d+)?(?:e[+-]\d+)?)"
)  # older runs: at the learning rate
Status = Literal["complete", "partial", "diverged"]


class FoldResult(BaseModel):
    """What became of a fold: errors in kcal/mol over the run's draws, and the training's length.

    A complete fold has checksums of the lines of its files, `CHECKED` (`yaml_text.checksum`); older ones have none.
    `environment` is that of the process that trained it last, with the times when it was first ``started`` and when it
    was ``finished``; folds of older runs have none, and in `RunResults` it is with the run's.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    fold: Count
    status: Status
    mae: Measure | None = None
    rmse: Measure | None = None
    train_mae: Measure | None = None
    train_rmse: Measure | None = None
    iterations: Count
    seconds: Measure
    train_molecules: Annotated[Count, Field(ge=1)] | None = None
    test_molecules: Annotated[Count, Field(ge=1)] | None = None
    hyperparameters: dict[str, int | float] | None = None
    reason: str | None = None
    history_checksum: str | None = None
    predictions_checksum: str | None = None
    environment: Environment | None = None

    @property
    def outcome(self) -> str:
        """The status; of a diverged fold where and at what rate, ``diverged at iteration 12503 (rate 0.01)``."""
        return self.reason.removeprefix(f"fold {self.fold} ") if self.reason else self.status

    @property
    def diverged_at(self) -> tuple[int, str]:
        """The iteration at which a diverged fold broke off, and its learning rate, empty if the reason has none."""
        found = DIVERGED.search(self.reason or "")
        return (int(found[1]), found[2]) if found else (self.iterations, "")

    @model_validator(mode="after")
    def _measured(self) -> Self:
        if self.status == "complete" and None in {self.mae, self.rmse}:
            raise refusal("a complete fold has a mae and an rmse")
        return self

    @model_serializer(mode="wrap")
    def _without_absent(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {key: value for key, value in handler(self).items() if value is not None or key not in OPTIONAL}


class DatasetRecord(BaseModel):
    """The data set of a run; older runs do not tell how many molecules it has."""

    model_config = ConfigDict(frozen=True)

    name: str
    sha256: str
    molecules: Annotated[int, Field(ge=1)] | None = None
    split: str | None = None


class RunResults(BaseModel):
    """The results of a run's folds so far; ``results[2]`` is that of fold 2.

    The folds' environments are in `environment`, once for what they share.
    """

    model_config = ConfigDict(frozen=True)  # a file has more, which follows from these

    dataset: DatasetRecord
    folds: Annotated[list[FoldResult], Field(min_length=1)]
    config: Experiment
    environment: RunEnvironment

    def __getitem__(self, fold: int) -> FoldResult:
        """Return the result of a fold; raises KeyError if there is none."""
        return {result.fold: result for result in self.folds}[fold]

    @property
    def baseline(self) -> str | None:
        """The baseline's name; None for a network."""
        return self.config.baseline.model

    @property
    def variant(self) -> str | None:
        """The network's variant; None for a baseline."""
        return None if self.baseline else self.config.variant

    @property
    def status(self) -> Status:
        """``diverged`` if a fold is, else ``partial`` if one is, else ``complete``."""
        statuses = {result.status for result in self.folds}
        return "diverged" if "diverged" in statuses else "partial" if "partial" in statuses else "complete"

    @property
    def environments(self) -> dict[int, Environment]:
        """The environment of each fold."""
        return {result.fold: self.environment.of_fold(result.fold) for result in self.folds}

    def summary(self, metric: str) -> dict[str, float | None]:
        """Return the `summary` of a metric over the folds."""
        return summary(getattr(result, metric) for result in self.folds)


def summary(values: Iterable[float | None]) -> dict[str, float | None]:
    """Return ``mean`` and ``std``, the population standard deviation, of the values that are not None.

    The deviation is None for one value, and both are None for none.
    """
    known = [value for value in values if value is not None]
    return {
        "mean": statistics.fmean(known) if known else None,
        "std": statistics.pstdev(known) if len(known) > 1 else None,
    }


def read_fold(run: Path, fold: int) -> FoldResult | None:
    """Return a fold's result, or None if it was never begun; raises QM7Error if the file is damaged."""
    path = fold_directory(run, fold) / "result.yaml"
    refuse_links_out(run, path.parent)
    if not path.exists():
        return None
    try:
        result = FoldResult.model_validate(parse_record(read_text(path), path, REMEDY))
    except ValidationError as error:
        raise QM7Error(f"{path} is not a fold's result ({error.error_count()} fields are wrong)") from error
    if result.fold != fold:
        raise QM7Error(f"{path} is the result of fold {result.fold}")
    return result


def write_fold(
    run: Path, result: FoldResult, dataset: Dataset, stopped: Callable[[], bool] = lambda: False
) -> FoldResult:
    """Write a fold's result, with this process's environment, and ``results.yaml`` with it; return what was written.

    Raises StoppedError if stopped while waiting for the run's lock: the fold's result is written then.
    """
    now = datetime.now(UTC).isoformat(timespec="seconds")
    before = read_fold(run, result.fold)
    started = _environments(run, [before])[result.fold].started if before else None
    times = {"started": started or now, "finished": None if result.status == "partial" else now}
    directory = fold_directory(run, result.fold)
    checksums = {key: _file_checksum(directory / name) for key, name in CHECKED.items() if result.status == "complete"}
    result = result.model_copy(update={"environment": current_environment().model_copy(update=times), **checksums})
    write_text(directory / "result.yaml", format_record(result.model_dump()))
    with lock(run / ".lock", stopped=stopped):
        write_results(run, dataset)
    return result


def _file_checksum(path: Path) -> str | None:
    return checksum(read_text(path, LARGEST_FILE).splitlines()) if path.exists() else None


def read_checked(run: Path, result: FoldResult, key: str) -> str:
    """Read the file whose checksum is under `key` in a fold's result; raises QM7Error if it is missing or damaged."""
    path = fold_directory(run, result.fold) / CHECKED[key]
    refuse_links_out(run, path.parent)
    if not path.exists():
        raise QM7Error(f"{path} is missing")
    text = read_text(path, LARGEST_FILE)
    expected, actual = getattr(result, key), checksum(text.splitlines())
    if expected not in {None, actual}:
        reason = f"its checksum is {actual}, in the fold's result it is {expected}"
        raise QM7Error(f"{path} is damaged or was changed: {reason}; {REMEDY}")
    return text


def read_results(run: Path) -> RunResults:
    """Return the results of a run; raises QM7Error if there is no ``results.yaml`` or it is damaged."""
    refuse_links_out(run, run)
    path = run / "results.yaml"
    record = parse_record(read_text(path), path, "remove it, and the command that trained it writes it again")
    if not isinstance(record, dict) or not {"folds", "dataset", "environment"} <= record.keys():
        what = "is damaged: remove it, and qm7 train writes it again" if fold_numbers(run) else "is not a run's results"
        raise QM7Error(f"{path} {what}")
    config = validate(record.get("config"), f"{path}: config: ")
    try:
        return RunResults.model_validate(record | {"config": config})
    except ValidationError as error:
        raise QM7Error(f"{path} is damaged: {first_mistake(error)}") from error


def known_results(run: Path) -> RunResults | None:
    """Return the results of a run, or None if ``results.yaml`` is missing or damaged: it is made anew from others."""
    try:
        return read_results(run)
    except QM7Error:
        return None


def write_results(run: Path, dataset: Dataset) -> RunResults:
    """Make ``results.yaml`` anew from the folds' results, and return it; the run's lock is held."""
    config = read_experiment(run / "config.yaml")
    folds = [result for fold in fold_numbers(run) if (result := read_fold(run, fold))]
    results = RunResults(
        dataset=DatasetRecord(
            name=dataset.name, sha256=dataset.sha256, molecules=len(dataset), split=config.split.scheme
        ),
        folds=[result.model_copy(update={"environment": None}) for result in folds],
        config=config,
        environment=share_environments(
            _environments(run, folds), ended=all(result.status != "partial" for result in folds)
        ),
    )
    write_text(run / "results.yaml", format_record(_document(results)))
    return results


def repair_results(
    run: Path, result: FoldResult, dataset: Dataset, stopped: Callable[[], bool] = lambda: False
) -> None:
    """Make ``results.yaml`` anew if it lacks a complete fold, as a process leaves it that is killed at its end."""
    known = known_results(run)
    if known is None or result.model_copy(update={"environment": None}) not in known.folds:
        with lock(run / ".lock", stopped=stopped):
            write_results(run, dataset)


def _document(results: RunResults) -> dict[str, Any]:
    return {
        "format": 1,
        "variant": results.variant,
        "baseline": results.baseline,
        "units": "kcal/mol",
        "status": results.status,
        "dataset": results.dataset.model_dump(),
        "folds": [result.model_dump() for result in results.folds],
        **{metric: results.summary(metric) for metric in TEST_METRICS},
        "config": results.config.model_dump(mode="json"),
        "environment": results.environment.model_dump(),
    }


def _environments(run: Path, folds: Sequence[FoldResult]) -> dict[int, Environment]:
    """Return the environment of each fold; an older run, which has none in its folds, has it in ``results.yaml``."""
    known = None if all(result.environment for result in folds) else known_results(run)
    environments = known.environments if known else {}
    return {result.fold: result.environment or environments.get(result.fold, Environment()) for result in folds}
