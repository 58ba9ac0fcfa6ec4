"""What the models of a run predict: its ``predictions.csv``, and its models, read and evaluated again."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qm7cli.core.errors import QM7Error, damaged
from qm7cli.core.files import LARGEST_FILE, format_csv, read_text, write_text
from qm7cli.data.dataset import Dataset
from qm7cli.data.splits import Part
from qm7cli.model.baseline_model import load_fold_model
from qm7cli.model.conformal import rank_correlation
from qm7cli.model.fold_model import FoldModel
from qm7cli.model.metrics import METRICS, Evaluation
from qm7cli.model.model import Model
from qm7cli.runs.access import fold_directory, trained_folds
from qm7cli.runs.results import summary

TRUST: Final = ("interval", "coverage", "rank_correlation", "run_rank_correlation")  # of `trust`


class Predictions(NamedTuple):
    """A fold's test molecules, as rows of the data set, and their energies in kcal/mol; (molecules,) each."""

    molecules: NDArray[np.intp]
    targets: NDArray[np.float64]
    predictions: NDArray[np.float64]

    @property
    def errors(self) -> NDArray[np.float64]:
        """Predicted minus true energies, kcal/mol, (molecules,)."""
        return self.predictions - self.targets


def write_predictions(run: Path, fold: int, test: Evaluation, spreads: Iterable[float | None] | None) -> None:
    """Write a fold's ``predictions.csv``: target, prediction and spread, empty where there is none, in kcal/mol."""
    known = [None] * len(test.molecules) if spreads is None else spreads
    rows = zip(test.molecules, test.targets, test.predictions.mean(axis=0), known, strict=True)
    text = format_csv(("molecule", "target", "prediction", "spread"), rows)
    write_text(fold_directory(run, fold) / "predictions.csv", text)


def read_predictions(run: Path, fold: int) -> Predictions:
    """Return what `write_predictions` has written, without the spread; raises QM7Error if it is missing or damaged."""
    path = fold_directory(run, fold) / "predictions.csv"
    if not path.exists():
        raise QM7Error(f"{path} is missing")
    lines = read_text(path, LARGEST_FILE).splitlines()[1:]
    try:
        molecules, targets, predictions = np.loadtxt(lines, delimiter=",", ndmin=2, usecols=(0, 1, 2)).T
    except (ValueError, IndexError) as error:
        raise damaged(path) from error
    return Predictions(molecules.astype(np.intp), targets, predictions)


class FoldEvaluation(NamedTuple):
    """What the models of one fold, of one run or of several, predict of its molecules."""

    fold: int
    iterations: int | None  # None where the runs' differ
    draws: int | None  # likewise
    members: list[dict[Part, Evaluation]]  # of each run

    def mean(self, part: Part) -> Evaluation:
        """Return the evaluation of the predictions averaged over the runs, that of a single run as it is."""
        own = [member[part] for member in self.members]
        if len(own) == 1:
            return own[0]
        averaged = np.mean([each.predictions.mean(axis=0) for each in own], axis=0)
        return Evaluation(own[0].molecules, averaged[None], own[0].targets)

    def spreads(self) -> NDArray[np.float64] | None:
        """Return the spreads of the test molecules over draws, averaged over the runs that have some."""
        known = [member["test"].spreads for member in self.members if member["test"].spreads is not None]
        return np.asarray(np.mean(known, axis=0)) if known else None

    def half_widths(self, others: "FoldEvaluation") -> NDArray[np.float64] | None:
        """Return half widths of other test molecules' intervals as this fold's teach them, averaged over the runs."""
        widths = []
        for own, other in zip(self.members, others.members, strict=True):
            half_widths = own["test"].interval.half_widths(other["test"].spreads)
            if half_widths is None:
                return None
            widths.append(half_widths * np.ones(len(other["test"].molecules)))
        return np.asarray(np.mean(widths, axis=0))


def evaluate_folds(
    run: Path,
    models: Sequence[FoldModel],
    dataset: Dataset,
    *,
    draws: int | None = None,
    parts: Sequence[Part] = ("test",),
    report: Callable[[Path, int], None] = lambda _run, _fold: None,
) -> list[FoldEvaluation]:
    """Evaluate models of a run on its data set, over `draws` or its own number; `report` is called after each fold."""
    evaluated = []
    for model in models:
        count = model.draws_of(draws)
        members = [{part: model.evaluate(dataset, part, count) for part in parts}]
        evaluated.append(FoldEvaluation(model.fold, model.iterations, count, members))
        report(run, model.fold)
    return evaluated


def average_runs(runs: Mapping[str, Sequence[FoldEvaluation]]) -> list[FoldEvaluation]:
    """Return the folds of an ensemble of runs, by their names; raises QM7Error if they do not share theirs."""
    (first, own), *others = runs.items()
    if not others:
        raise QM7Error(f"an ensemble takes two runs or more, and there is {first} alone")
    folds = [each.fold for each in own]
    for name, evaluated in others:
        theirs = [each.fold for each in evaluated]
        if theirs != folds:
            ours, theirs_listed = (", ".join(map(str, numbers)) for numbers in (folds, theirs))
            raise QM7Error(f"{first} has the folds {ours}, {name} {theirs_listed}; --fold chooses shared ones")
        for one, other in zip(own, evaluated, strict=True):
            for part, evaluation in one.members[0].items():
                same = other.members[0][part]
                columns = (evaluation.molecules, same.molecules), (evaluation.targets, same.targets)
                if not all(np.array_equal(*pair) for pair in columns):
                    raise QM7Error(f"fold {one.fold} of {first} and of {name} have different molecules")
    return [_average(same) for same in zip(*runs.values(), strict=True)]


def _average(folds: Sequence[FoldEvaluation]) -> FoldEvaluation:
    iterations, draws = ({getattr(fold, name) for fold in folds} for name in ("iterations", "draws"))
    return FoldEvaluation(
        folds[0].fold,
        iterations.pop() if len(iterations) == 1 else None,
        draws.pop() if len(draws) == 1 else None,
        [member for fold in folds for member in fold.members],
    )


def trust(evaluated: Sequence[FoldEvaluation], fold: FoldEvaluation) -> dict[str, float | None]:
    """Say what spreads and intervals tell of the errors of a fold's test molecules; None where that cannot be said.

    ``coverage`` is the fraction of them whose true energy is in the interval that another fold's molecules teach,
    averaged over the other folds of `evaluated`; correlations are Spearman's, of error and spread over draws or runs.
    """
    errors = fold.mean("test").residuals
    own = fold.half_widths(fold)
    others = [other.half_widths(fold) for other in evaluated if other is not fold]
    inside = [float((np.abs(errors) <= widths).mean()) for widths in others if widths is not None]
    over_runs = [member["test"].predictions.mean(axis=0) for member in fold.members]
    return {
        "interval": None if own is None else float(own.mean()),
        "coverage": float(np.mean(inside)) if inside else None,
        "rank_correlation": rank_correlation(errors, fold.spreads()),
        "run_rank_correlation": rank_correlation(errors, np.std(over_runs, axis=0, ddof=1) if over_runs[1:] else None),
    }


def describe_evaluation(
    name: str, variant: str | None, evaluated: Sequence[FoldEvaluation], parts: Sequence[Part] = ("test",)
) -> dict[str, Any]:
    """Return what was evaluated of a run: its folds, and the summary of each metric and of what `trust` says."""
    keys = [key for key, metric in METRICS.items() if metric.part in parts]
    records = []
    for fold in evaluated:
        record: dict[str, Any] = {"fold": fold.fold, "iterations": fold.iterations, "draws": fold.draws}
        for part in parts:
            record |= fold.mean(part).errors(part)
        records.append(record | (trust(evaluated, fold) if "test" in parts else {}))
    return {
        "run": name,
        "variant": variant,
        "units": "kcal/mol",
        "folds": records,
        **{key: summary(record[key] for record in records) for key in [*keys, *(TRUST if "test" in parts else ())]},
    }


def load_models(run: Path, folds: Sequence[int] | None = None, dataset: Dataset | None = None) -> list[FoldModel]:
    """Read the models of the given folds of a run, or of all that are trained, in order.

    Raises QM7Error if there is no such run or fold, or a model is damaged or not of `dataset`.
    """
    trained = trained_folds(run)
    missing = sorted(set(folds or []) - set(trained))
    if not run.exists():
        raise QM7Error(f"{run} is not a run: it does not exist")
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
        raise QM7Error(f"{run} is a run of a baseline, which has no layers")
    return networks


def refuse_other_dataset(run: Path, models: Iterable[FoldModel], dataset: Dataset) -> None:
    """Raise QM7Error if a model of a run was trained on another data set."""
    for model in models:
        if model.sha256 != dataset.sha256:
            raise QM7Error(
                f"fold {model.fold} of {run} was trained on another data set: "
                f"SHA-256 {model.sha256[:12]}... there, {dataset.sha256[:12]}... now"
            )
