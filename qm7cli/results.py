"""Result files, and evaluating a run again.

    runs/NAME/results.yaml         all folds so far, their summary, and where they were made
    runs/NAME/fold-0/result.yaml   this fold's result, and where it was made

Processes may train different folds of one run at once: ``results.yaml`` is made anew from all the folds' own files,
under the run's lock.
"""

import os
import statistics
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from qm7cli.checkpoint import load_model
from qm7cli.config import read_experiment
from qm7cli.dataset import LARGEST, Dataset
from qm7cli.environment import environment
from qm7cli.errors import QM7Error
from qm7cli.evaluation import Evaluation, Model
from qm7cli.files import LARGEST_FILE, format_csv, read_text, write_text
from qm7cli.locks import lock
from qm7cli.mistakes import refusal
from qm7cli.splits import Part
from qm7cli.yaml_text import checksum, format_record, parse_record

METRICS: Final = ("mae", "rmse", "train_mae", "train_rmse")
CHECKED: Final = {"history_checksum": "history.csv", "predictions_checksum": "predictions.csv"}
OPTIONAL: Final = ("test_molecules", "hyperparameters", "reason", *CHECKED)
REMEDY: Final = "--overwrite trains the fold from the start"
TIMES: Final = ("started", "finished")  # of an environment: when a fold or a run was
Count = Annotated[int, Field(ge=0, lt=2**63)]
Measure = Annotated[float, Field(ge=0, lt=LARGEST)]


class FoldResult(BaseModel):
    """What became of a fold: errors in kcal/mol over the run's draws, and the training's length.

    A complete fold has checksums of the lines of its files, `CHECKED` (`yaml_text.checksum`); older ones have none.
    `environment` is that of the process that trained it last, with the times when it was first ``started`` and when it
    was ``finished``; folds of older runs have none.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    fold: Count
    status: Literal["complete", "partial", "diverged"]
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
    environment: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _measured(self) -> Self:
        if self.status == "complete" and None in {self.mae, self.rmse}:
            raise refusal("a complete fold has a mae and an rmse")
        return self

    def record(self) -> dict[str, Any]:
        """Return the fields but the environment as plain values; those of `OPTIONAL` only where there are any."""
        record = self.model_dump(exclude={"environment"})
        return {key: record[key] for key in record if record[key] is not None or key not in OPTIONAL}


def fold_directory(run: Path, fold: int) -> Path:
    """Return the directory of a fold."""
    return run / f"fold-{fold}"


def refuse_links_out(run: Path, directory: Path) -> None:
    """Raise QM7Error if a directory of a run, or a file in it, is a link that leads out of the run."""
    inside = os.path.realpath(run)
    try:
        files = list(directory.iterdir()) if directory.is_dir() else []
    except OSError as error:
        raise QM7Error(f"cannot read {directory}: {error.strerror or error}") from error
    for path in (directory, *files):
        if path.is_symlink() and path != run and not Path(os.path.realpath(path)).is_relative_to(inside):
            raise QM7Error(f"{path} is a link out of the run, which is not followed; put what it names in its place")


def fold_numbers(run: Path) -> list[int]:
    """Return the numbers of the folds that a run directory has, in order."""
    numbers = (path.name.removeprefix("fold-") for path in run.glob("fold-*") if path.is_dir())
    return sorted(int(number) for number in numbers if number.isdecimal() and number == str(int(number)))


def trained_folds(run: Path) -> list[int]:
    """Return the numbers of the folds whose model a run directory has, in order."""
    return [fold for fold in fold_numbers(run) if (fold_directory(run, fold) / "model.npz").exists()]


def write_predictions(run: Path, fold: int, evaluation: Evaluation, dataset: Dataset) -> None:
    """Write a fold's ``predictions.csv``: target, prediction and sample standard deviation over draws, kcal/mol."""
    molecules, predictions = evaluation.molecules, evaluation.predictions
    spread = predictions.std(axis=0, ddof=1) if len(predictions) > 1 else [None] * len(molecules)
    columns = (molecules, dataset.T[molecules], predictions.mean(axis=0), spread)
    text = format_csv(("molecule", "target", "prediction", "spread"), zip(*columns, strict=True))
    write_text(fold_directory(run, fold) / "predictions.csv", text)


def read_fold(run: Path, fold: int) -> FoldResult | None:
    """Return a fold's result, or None if it was never begun; raises QM7Error if the file is damaged."""
    path = fold_directory(run, fold) / "result.yaml"
    refuse_links_out(run, path.parent)
    if not path.exists():
        return None
    try:
        result = FoldResult.model_validate(parse_record(read_text(path), path, REMEDY))
    except ValidationError as error:
        raise QM7Error(f"{path} is no fold's result ({error.error_count()} fields are wrong)") from error
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
    started = _environments(run, [before])[0].get("started") if before else None
    times = {"started": started or now, "finished": None if result.status == "partial" else now}
    directory = fold_directory(run, result.fold)
    checksums = {key: _file_checksum(directory / name) for key, name in CHECKED.items() if result.status == "complete"}
    result = result.model_copy(update={"environment": environment() | times, **checksums})
    text = format_record(result.record() | {"environment": result.environment})
    write_text(fold_directory(run, result.fold) / "result.yaml", text)
    with lock(run / ".lock", stopped=stopped):
        write_results(run, dataset)
    return result


def _file_checksum(path: Path) -> str | None:
    return checksum(read_text(path, LARGEST_FILE).splitlines()) if path.exists() else None


def read_checked(run: Path, record: dict[str, Any], key: str) -> str:
    """Read the file of a fold whose checksum is under `key` in the fold's record, if that has one.

    Raises
    ------
    QM7Error
        If it is missing, cannot be read or has another checksum.
    """
    path = fold_directory(run, record["fold"]) / CHECKED[key]
    refuse_links_out(run, path.parent)
    if not path.exists():
        raise QM7Error(f"{path} is missing")
    text = read_text(path, LARGEST_FILE)
    told, found = record.get(key), checksum(text.splitlines())
    if told not in {None, found}:
        raise QM7Error(
            f"{path} is damaged or was changed: its checksum is {found}, in the fold's result it is {told}; {REMEDY}"
        )
    return text


def write_results(run: Path, dataset: Dataset) -> None:
    """Make ``results.yaml`` anew from the folds' results; the run's lock is held."""
    write_text(run / "results.yaml", format_record(_results(run, dataset)))


def record_fold(run: Path, result: FoldResult, dataset: Dataset, stopped: Callable[[], bool] = lambda: False) -> None:
    """Mend ``results.yaml`` if it lacks a complete fold, as a process leaves it that is killed at its end."""
    try:
        known = result.record() in read_results(run)["folds"]
    except (QM7Error, TypeError):
        known = False
    if not known:
        with lock(run / ".lock", stopped=stopped):
            write_results(run, dataset)


def read_results(run: Path) -> dict[str, Any]:
    """Return ``results.yaml``.

    Raises
    ------
    QM7Error
        If there is none or it is damaged.
    """
    refuse_links_out(run, run)
    path = run / "results.yaml"
    results = parse_record(read_text(path), path, "remove it, and the command that trained it makes it anew")
    if not isinstance(results, dict) or not {"folds", "dataset", "environment"} <= results.keys():
        what = "is damaged: remove it, and qm7 train makes it anew" if fold_numbers(run) else "is not a run's results"
        raise QM7Error(f"{path} {what}")
    return results


def recorded(run: Path, section: str, key: str, default: str) -> str:
    """Return a text from ``results.yaml``, or `default`: the file is made anew from others, so it may be damaged."""
    try:
        return str(read_results(run)[section][key])
    except (QM7Error, KeyError, TypeError):
        return default


def summary(records: Sequence[dict[str, Any]], metrics: Iterable[str] = METRICS[:2]) -> dict[str, Any]:
    """Return mean and population standard deviation of each metric over the folds that have it.

    The deviation is None for one fold, and both are None for none.
    """
    summaries = {}
    for metric in metrics:
        values = [record[metric] for record in records if record.get(metric) is not None]
        summaries[metric] = {
            "mean": statistics.fmean(values) if values else None,
            "std": statistics.pstdev(values) if len(values) > 1 else None,
        }
    return summaries


def _results(run: Path, dataset: Dataset) -> dict[str, Any]:
    experiment = read_experiment(run / "config.yaml")
    folds = [result for fold in fold_numbers(run) if (result := read_fold(run, fold))]
    statuses = {result.status for result in folds}
    status = next((s for s in ("diverged", "partial") if s in statuses), "complete")
    records = [result.record() for result in folds]
    return {
        "format": 1,
        "variant": None if experiment.baseline.model else experiment.variant,
        "baseline": experiment.baseline.model,
        "units": "kcal/mol",
        "status": status,
        "dataset": {
            "name": dataset.name,
            "sha256": dataset.sha256,
            "molecules": len(dataset),
            "split": experiment.split.scheme,
        },
        "folds": records,
        **summary(records),
        "config": experiment.model_dump(mode="json"),
        "environment": _common_environment(folds, _environments(run, folds)),
    }


def environment_of_folds(results: dict[str, Any]) -> dict[int, dict[str, Any]]:
    """Return the environment of each fold of a ``results.yaml``, where it stands once for what they have in common."""
    common = {key: value for key, value in results["environment"].items() if key != "folds"}
    own = results["environment"].get("folds", {})
    return {record["fold"]: common | own.get(record["fold"], {}) for record in results["folds"]}


def _environments(run: Path, folds: Sequence[FoldResult]) -> list[dict[str, Any]]:
    """Return the environment of each fold; of an older run, which has none in its folds, as ``results.yaml`` has it."""
    known: dict[int, dict[str, Any]] = {}
    if not all(result.environment for result in folds):
        with suppress(QM7Error, AttributeError, KeyError, TypeError):  # there is none yet, or it is damaged
            known = environment_of_folds(read_results(run))
    return [result.environment or known.get(result.fold, {}) for result in folds]


def _common_environment(folds: Sequence[FoldResult], environments: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return what the folds' environments have in common, when the run began and ended, and what differs by fold."""
    stays = [{key: own[key] for key in own if key not in TIMES} for own in environments]
    keys = dict.fromkeys(key for own in stays for key in own)
    common = {key: stays[0][key] for key in keys if all(key in own and own[key] == stays[0][key] for own in stays)}
    differing = {
        result.fold: {key: own[key] for key in own if key not in common}
        for result, own in zip(folds, stays, strict=True)
    }
    started, finished = ([str(own[time]) for own in environments if own.get(time)] for time in TIMES)
    partial = any(result.status == "partial" for result in folds)
    return {
        **common,
        "started": min(started, default=None),
        "finished": None if partial else max(finished, default=None),
        **({"folds": differing} if any(differing.values()) else {}),
    }


def load_models(run: Path, folds: Sequence[int] | None = None, dataset: Dataset | None = None) -> list[Model]:
    """Read the models of the given folds of a run, or of all that are trained, in order.

    Raises
    ------
    QM7Error
        If there is no such run or fold, a model is damaged or not of this run, or it was trained on another data set
        than `dataset`.
    """
    trained = trained_folds(run)
    missing = sorted(set(folds or []) - set(trained))
    if not trained:
        raise QM7Error(_no_model(run))
    if missing:
        raise QM7Error(f"{run} has no complete fold {missing[0]}; it has {', '.join(map(str, trained))}")
    wanted = sorted(set(folds)) if folds else trained
    for directory in (run, *(fold_directory(run, fold) for fold in wanted)):
        refuse_links_out(run, directory)
    models = [_own_model(run, fold) for fold in wanted]
    if dataset is not None:
        refuse_other_dataset(run, models, dataset)
    return models


def _own_model(run: Path, fold: int) -> Model:
    """Read the model of a fold; raises QM7Error if it is damaged, or is another fold's or another run's."""
    path = fold_directory(run, fold) / "model.npz"
    model = load_model(path)
    experiment = None
    with suppress(QM7Error):  # without a configuration, the model is enough
        experiment = read_experiment(run / "config.yaml")
    for what, own, expected in (
        ("the model of fold", model.fold, fold),
        ("a model with the seed", model.seed, experiment and experiment.seed),
        ("a model of the variant", model.variant, experiment and experiment.variant),
        ("a model of the data set with the SHA-256", model.sha256, recorded(run, "dataset", "sha256", model.sha256)),
    ):
        if expected not in {None, own}:
            raise QM7Error(f"{path} is {what} {own}, and not {expected} as its run; --overwrite trains the fold again")
    return model


def _no_model(run: Path) -> str:
    """Say why there is no model in a directory."""
    if not (run / "results.yaml").exists():
        return f"{run} is not a run with a complete fold: there is no fold-*/model.npz in it"
    try:
        baseline = read_results(run).get("baseline")
    except QM7Error:
        baseline = None
    if baseline is not None:
        return f"{run} is a baseline ({baseline}), which keeps no model; its errors are in its results.yaml"
    return f"{run} has no model: there is no fold-*/model.npz in it"


def refuse_other_dataset(run: Path, models: Iterable[Model], dataset: Dataset) -> None:
    """Raise QM7Error if a model of a run was trained on another data set."""
    for model in models:
        if model.sha256 != dataset.sha256:
            raise QM7Error(
                f"fold {model.fold} of {run} was trained on another data set: "
                f"SHA-256 {model.sha256[:12]}... there, {dataset.sha256[:12]}... now"
            )
        if not model.fits(dataset):
            path = fold_directory(run, model.fold) / "model.npz"
            raise QM7Error(f"{path} is damaged: it has molecules that the data set lacks")


def evaluate_run(
    run: Path,
    dataset: Dataset,
    *,
    folds: Sequence[int] | None = None,
    draws: int | None = None,
    parts: Sequence[Part] = ("test",),
) -> dict[str, Any]:
    """Evaluate the trained folds of a run from their models, as `evaluate_models`.

    Parameters
    ----------
    run : Path
        The run's directory.
    dataset : Dataset
        What it was trained on.
    folds : sequence of int, optional
        Which folds; without it, all that are trained.
    draws, parts
        As of `evaluate_models`.

    Raises
    ------
    QM7Error
        If there is no such run or fold, a model is damaged, or it was trained on another data set.
    """
    return evaluate_models(run, load_models(run, folds, dataset), dataset, draws=draws, parts=parts)


def evaluate_models(
    run: Path,
    models: Sequence[Model],
    dataset: Dataset,
    *,
    draws: int | None = None,
    parts: Sequence[Part] = ("test",),
    report: Callable[[Path, int], None] = lambda _run, _fold: None,
) -> dict[str, Any]:
    """Evaluate models of a run.

    Parameters
    ----------
    run : Path
        The run's directory.
    models : sequence of Model
        What `load_models` has read there.
    dataset : Dataset
        What they were trained on.
    draws : int, optional
        Draws to average over; without it the run's own, which give the digits of its results again.
    parts : sequence of {"test", "train"}
        Which molecules.
    report : callable
        Called with the run and the number of each fold, when it is done.

    Returns
    -------
    dict
        ``run``, ``variant``, ``units``, ``folds`` and the summary of each metric, as in ``results.yaml``.
    """
    metrics = [metric for metric in METRICS if ("train" if metric.startswith("train") else "test") in parts]
    records = []
    for model in models:
        record: dict[str, Any] = {"fold": model.fold, "iterations": model.iterations, "draws": draws or model.draws}
        for part in parts:
            evaluation = model.evaluate(dataset, part, record["draws"])
            prefix = "train_" if part == "train" else ""
            record |= {f"{prefix}mae": evaluation.mae, f"{prefix}rmse": evaluation.rmse}
        records.append(record)
        report(run, model.fold)
    return {
        "run": str(run),
        "variant": models[0].variant,
        "units": "kcal/mol",
        "folds": records,
        **summary(records, metrics),
    }
