"""The models of a run: reading them, and evaluating them again (see `qm7cli.runs.evaluation` too)."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from qm7cli.core.errors import QM7Error
from qm7cli.data.dataset import Dataset
from qm7cli.data.splits import Part
from qm7cli.model.baseline_model import load_fold_model
from qm7cli.model.conformal import Interval
from qm7cli.model.fold_model import FoldModel
from qm7cli.model.model import Model
from qm7cli.runs.directory import fold_directory, refuse_links_out, trained_folds
from qm7cli.runs.evaluation import describe_evaluation, evaluate_folds
from qm7cli.runs.experiment import Experiment, read_experiment
from qm7cli.runs.predictions import read_interval
from qm7cli.runs.results import RunResults, known_results


def load_models(run: Path, folds: Sequence[int] | None = None, dataset: Dataset | None = None) -> list[FoldModel]:
    """Read the models of the given folds of a run, or of all that are trained, in order.

    Raises QM7Error if there is no such run or fold, or a model is damaged, not of this run or not of `dataset`.
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
    experiment = None
    with suppress(QM7Error):  # without a configuration, the model is enough
        experiment = read_experiment(run / "config.yaml")
    results = known_results(run)
    models = [_own_model(run, fold, experiment, results) for fold in wanted]
    if dataset is not None:
        refuse_other_dataset(run, models, dataset)
    return models


def load_networks(run: Path, folds: Sequence[int] | None = None) -> list[Model]:
    """Read the models of folds of a run as `load_models` does; raises QM7Error too if it is a baseline."""
    models = load_models(run, folds)
    networks = [model for model in models if isinstance(model, Model)]
    if len(networks) < len(models):
        raise QM7Error(f"{run} is a run of {models[0].kind}, which has no layers")
    return networks


def _own_model(run: Path, fold: int, experiment: Experiment | None, results: RunResults | None) -> FoldModel:
    """Read the model of a fold; raises QM7Error if it is damaged, or is another fold's or another run's."""
    path = fold_directory(run, fold) / "model.npz"
    model = load_fold_model(path)
    baseline = experiment and experiment.baseline.model
    kind = experiment and (f"the baseline {baseline}" if baseline else f"the variant {experiment.variant}")
    for what, own, expected in (
        ("the model of fold", model.fold, fold),
        ("a model with the seed", model.seed, experiment and experiment.seed),
        ("a model of", model.kind, kind),
        ("a model of the data set with the SHA-256", model.sha256, results and results.dataset.sha256),
    ):
        if expected not in {None, own}:
            raise QM7Error(f"{path} is {what} {own}, and not {expected} as its run; --overwrite trains the fold again")
    return model if model.interval else replace(model, interval=_older_interval(run, fold, results))


def _older_interval(run: Path, fold: int, results: RunResults | None) -> Interval | None:
    """Return what the predictions of a fold teach, whose model an older version wrote, if they are sound."""
    for result in results.folds if results else ():
        if result.fold == fold:
            with suppress(QM7Error):
                return read_interval(run, result)
    return None


def _no_model(run: Path) -> str:
    if not (run / "results.yaml").exists():
        return f"{run} is not a run with a complete fold: there is no fold-*/model.npz in it"
    results = known_results(run)
    if results and results.baseline:
        kept = f"a baseline ({results.baseline}) of an older version, which kept no model"
        return f"{run} is {kept}; --overwrite fits it again"
    return f"{run} has no model: there is no fold-*/model.npz in it"


def refuse_other_dataset(run: Path, models: Iterable[FoldModel], dataset: Dataset) -> None:
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
    """Evaluate `folds` of a run, or all that are trained, from their models; see `describe_evaluation` for the result.

    Raises QM7Error if there is no such run or fold, a model is damaged, or it was trained on another data set.
    """
    models = load_models(run, folds, dataset)
    evaluated = evaluate_folds(run, models, dataset, draws=draws, parts=parts)
    return describe_evaluation(str(run), getattr(models[0], "variant", None), evaluated, parts)
