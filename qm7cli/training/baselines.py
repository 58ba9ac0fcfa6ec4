"""Baselines: simpler models of the same molecules and folds, for comparison.

X is the eigenspectrum of the Coulomb matrix, largest magnitude first (Rupp et al., PRL 108:058301, 2012), the upper
triangle of its sorted form, or of several random-sorted forms (Montavon et al., NIPS 2012, section 3), over which the
predictions are averaged. The models are in `regressors`, the search for what is not given in `hyperparameters`.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from scipy.linalg import LinAlgError

from qm7cli.core.errors import QM7Error
from qm7cli.core.seeds import Purpose, stream
from qm7cli.data.coulomb import random_sorted
from qm7cli.data.dataset import Dataset
from qm7cli.data.splits import Fold, Part
from qm7cli.model.model import Evaluation, score
from qm7cli.runs.experiment import Experiment
from qm7cli.runs.predictions import write_predictions
from qm7cli.runs.results import FoldResult
from qm7cli.training.held_fold import Progress, Report, hold_fold
from qm7cli.training.hyperparameter_search import INNER_FOLDS, find_hyperparameters, searched_keys, searched_molecules
from qm7cli.training.regressors import Array, Hyperparameters, fit_model, model_rows


def fit_fold(
    experiment: Experiment,
    dataset: Dataset,
    fold: Fold,
    run: Path,
    report: Report = lambda _: None,
    stopped: Callable[[], bool] = lambda: False,
) -> FoldResult:
    """Fit the baseline of an experiment to one fold of a run, or return its result if that has been done.

    Parameters are those of `qm7cli.training.train_fold.train_fold`; progress is counted in trials of hyperparameters.
    If stopped, the result is ``partial``, and the next call begins anew; a factorisation cannot be stopped half-way.

    Raises
    ------
    QM7Error
        If another process works on this fold, the fit is refused (`refuse`), or a matrix is singular.
    """
    with hold_fold(experiment, dataset, fold, run, stopped) as work:
        if work.finished is not None:
            return work.finished
        refuse(experiment, dataset, fold)
        result = work.begin(work.result("partial", 0, 0.0))
        begun = time.perf_counter()

        def report_trial(done: int, trials: int, mae: float | None = None) -> None:
            report(Progress(run, fold.number, done, trials, mae, "trial"))

        found = _evaluate(experiment, dataset, fold, report_trial, stopped)
        if found is None:
            return result
        best, trials, evaluation = found
        write_predictions(run, fold.number, evaluation, dataset)
        values = {**evaluation.errors("test"), "hyperparameters": best or None}
        result = work.write(work.result("complete", 0, time.perf_counter() - begun, **values))
        report_trial(trials, trials, evaluation.mae)
        return result


def needed_memory(experiment: Experiment, dataset: Dataset, fold: Fold) -> float:
    """Return the memory, GB, that a fit takes at most beside the data set."""
    settings = experiment.baseline
    n, N, tests = len(fold.train), (settings.draws or 1) * len(fold.train), len(fold.test)
    search = bool(searched_keys(settings))
    numbers: float = 4 * dataset.Z.shape[1] ** 2 * (N + tests)  # representations, as they are made
    # In the search, distances of all pairs, and those of inner folds.
    found = 2 * ((settings.draws or 1) * searched_molecules(settings, n)) ** 2 if search else 0
    if settings.model == "krr":  # distances of all pairs
        numbers += max(N * (N + 2 * tests), found)
    elif settings.model == "knn":  # distances and their order
        numbers += max(2 * N * tests, found)
    return numbers * 8e-9


def refuse(experiment: Experiment, dataset: Dataset, fold: Fold) -> None:
    """Raise QM7Error if a fit would take more than ``baseline.memory``, or there are too few molecules for it."""
    settings, n = experiment.baseline, len(fold.train)
    needed = needed_memory(experiment, dataset, fold)
    if needed > settings.memory:
        allowed = f"more than baseline.memory allows ({settings.memory:g})"
        raise QM7Error(f"fold {fold.number} would take {needed:.3g} GB, {allowed}")
    if (settings.neighbours or 0) > n:
        raise QM7Error(
            f"fold {fold.number} has {n} training molecules, fewer than the {settings.neighbours} neighbours"
        )
    searched = searched_keys(settings)
    if searched and n < 2 * INNER_FOLDS:
        raise QM7Error(f"fold {fold.number} has too few training molecules ({n}) to find {searched[0]}; give it")


def _evaluate(
    experiment: Experiment,
    dataset: Dataset,
    fold: Fold,
    report: Callable[[int, int], None],
    stopped: Callable[[], bool],
) -> tuple[Hyperparameters, int, Evaluation] | None:
    """Return the best hyperparameters, the number of trials and the test evaluation; None if stopped."""
    settings, T = experiment.baseline, dataset.T[fold.train]
    X = list(representations(experiment, dataset, fold, "train"))
    found = find_hyperparameters(experiment, fold.number, X, T, report, stopped)
    if found is None or stopped():
        return None
    best, trials = found
    points = np.concatenate(X)  # (draws molecules, d)
    try:
        rows = model_rows(settings, points, points) if settings.model == "krr" else points
        predict = fit_model(settings, best, rows, np.tile(T.astype(np.float64), len(X)))
    except LinAlgError as error:
        raise QM7Error(f"fold {fold.number}: the matrix is singular; a larger ridge helps") from error
    predictions = []
    for draw in representations(experiment, dataset, fold, "test"):
        if stopped():
            return None
        predictions.append(predict(model_rows(settings, draw, points)))
    return best, trials, score(dataset, fold.test, np.array(predictions))


def representations(experiment: Experiment, dataset: Dataset, fold: Fold, part: Part) -> Iterator[Array]:
    """Yield the representation (molecules, d) of a part's molecules, once for each draw."""
    settings, molecules = experiment.baseline, fold.train if part == "train" else fold.test
    if settings.representation is None:
        yield np.zeros((len(molecules), 1))
    elif settings.representation == "eigenspectrum":
        eigenvalues = np.linalg.eigvalsh(dataset.X[molecules].astype(np.float64))  # (molecules, n)
        yield np.take_along_axis(eigenvalues, np.argsort(-abs(eigenvalues), axis=1, kind="stable"), axis=1)
    else:
        drawn = settings.representation == "random"
        draws = (settings.draws if part == "train" else experiment.evaluation.draws) if drawn else 1
        noise = experiment.encoding.noise if drawn else 0.0
        rng = stream(experiment.seed, fold.number, Purpose.BASELINE if part == "train" else Purpose.TEST_EVALUATION)
        for _ in range(draws or 1):
            yield random_sorted(dataset.X, dataset.norms, molecules, noise, rng).astype(np.float64)
