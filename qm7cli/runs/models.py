"""The models of a run: reading them, and evaluating them again (see `qm7cli.runs.evaluation` too)."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from qm7cli.core.errors import QM7Error
from qm7cli.data.dataset import Dataset
from qm7cli.data.splits import Part
from qm7cli.model.baseline_model import load_fold_model
from qm7cli.model.fold_model import FoldModel
from qm7cli.model.model import Model
from qm7cli.runs.directory import fold_directory, trained_folds
from qm7cli.runs.evaluation import describe_evaluation, evaluate_folds


def load_models(run: Path, folds: Sequence[int] | None = None, dataset: Dataset | None = None) -> list[FoldModel]:
    """Read the models of the given folds of a run, or of all that are trained, in order.

    Raises QM7Error if there is no such run or fold, or a model is damaged or not of `dataset`.
    """
    trained = trained_folds(run)
    missing = sorted(set(folds or []) - set(trained))
    if not trained:
        what = "has no model" if (run / "results.yaml").exists() else "is not a run with a complete fold"
        raise QM7Error(f"{run} {what}: there is no fold-*/model.npz in it")
    if missing:
        raise QM7Error(f"{run} has no complete fold {missing[0]}; it has {', '.join(map(str, trained))}")
    models = [load_fold_model(fold_directory(run, fold) / "model.npz") for fold in sorted(set(folds or trained))]
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


def refuse_other_dataset(run: Path, models: Iterable[FoldModel], dataset: Dataset) -> None:
    """Raise QM7Error if a model of a run was trained on another data set."""
    for model in models:
        if model.sha256 != dataset.sha256:
            raise QM7Error(
                f"fold {model.fold} of {run} was trained on another data set: "
                f"SHA-256 {model.sha256[:12]}... there, {dataset.sha256[:12]}... now"
            )


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
