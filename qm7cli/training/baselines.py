"""Baselines: simpler models of the same molecules and folds, for comparison."""

import time

import numpy as np
from scipy.linalg import LinAlgError

from qm7cli.core.errors import QM7Error, StoppedError
from qm7cli.core.seeds import Purpose, stream
from qm7cli.data.dataset import Dataset
from qm7cli.data.splits import Fold
from qm7cli.model.baseline_model import BaselineModel, save_baseline
from qm7cli.model.encoder import CHUNK
from qm7cli.model.regressors import BLOCK, DISTANCE_MODELS, THREADS, fit_model, model_rows
from qm7cli.model.representations import Representation
from qm7cli.model.target import NOTHING_SUBTRACTED
from qm7cli.runs.experiment import Experiment
from qm7cli.runs.results import FoldResult
from qm7cli.training.claim_fold import FoldWork, fit_target
from qm7cli.training.hyperparameter_search import INNER_FOLDS, find_hyperparameters, searched_keys, searched_molecules


def fit_baseline(work: FoldWork) -> FoldResult:
    """Fit the baseline of an experiment to a fold and write its files; progress is counted in trials.

    If stopped, the next call begins anew. Raises QM7Error if the fit is refused (`refuse`), or a matrix is singular.
    """
    refuse(work.experiment, work.dataset, work.fold)
    result = work.begin(work.result("partial", 0, 0.0))
    begun = time.perf_counter()
    found = _fit(work)
    if found is None:
        return result
    model, trials = found
    try:
        evaluation = model.evaluate(work.dataset, "test", model.draws, work.stopped)
    except StoppedError:
        return result
    work.write_model(save_baseline, model, evaluation)
    values = {**evaluation.errors("test"), "hyperparameters": model.regressor.hyperparameters or None}
    result = work.write(work.result("complete", 0, time.perf_counter() - begun, **values))
    work.report_progress(trials, trials, evaluation.mae, "trial")
    return result


def needed_memory(experiment: Experiment, dataset: Dataset, fold: Fold) -> float:
    """Return the memory, GB, that a fit takes at most beside the data set."""
    settings = experiment.baseline
    n, N, tests = len(fold.train), (settings.draws or 1) * len(fold.train), len(fold.test)
    search = bool(searched_keys(settings))
    numbers: float = 4 * dataset.Z.shape[1] ** 2 * (N + tests)  # representations, as they are made
    # In the search, distances of all pairs, and those of inner folds.
    found = 2 * ((settings.draws or 1) * searched_molecules(settings, n)) ** 2 if search else 0
    at_once = max(CHUNK, BLOCK * THREADS)  # molecules whose distances are computed
    if settings.model == "krr":  # distances of all pairs
        numbers += max(N * (N + at_once), found)
    elif settings.model == "knn":  # distances and their order
        numbers += max(2 * N * at_once, found)
    return numbers * 8e-9


def refuse(experiment: Experiment, dataset: Dataset, fold: Fold) -> None:
    """Raise QM7Error if a fit would take more than ``baseline.memory``, or the fold's molecules are none for it."""
    settings, n = experiment.baseline, len(fold.train)
    needed = needed_memory(experiment, dataset, fold)
    if needed > settings.memory:
        allowed = f"more than baseline.memory allows ({settings.memory:g})"
        raise QM7Error(f"fold {fold.number} would take {needed:.3g} GB, {allowed}")
    neighbours = settings.neighbours or 0
    if neighbours > n:
        raise QM7Error(f"fold {fold.number} has {n} training molecules, fewer than the {neighbours} neighbors")
    searched = searched_keys(settings)
    if searched and n < 2 * INNER_FOLDS:
        raise QM7Error(f"fold {fold.number} has too few training molecules ({n}) to find {searched[0]}; give it")
    fit_representation(experiment, dataset, fold)


def _fit(work: FoldWork) -> tuple[BaselineModel, int] | None:
    """Return the fitted model and the number of trials of hyperparameters; None if stopped."""
    experiment, dataset, fold = work.experiment, work.dataset, work.fold
    settings = experiment.baseline
    target = NOTHING_SUBTRACTED  # a regressor subtracts the mean by itself
    if experiment.target.subtract == "composition":
        target = fit_target(experiment, dataset, fold)._replace(std=1.0)
    y = target.left(dataset.T[fold.train], dataset.Z[fold.train]).astype(np.float64)
    representation = fit_representation(experiment, dataset, fold)
    rng = stream(experiment.seed, fold.number, Purpose.BASELINE)
    X = [representation.draw(dataset, dataset.Z[fold.train], fold.train, rng) for _ in range(settings.draws or 1)]
    found = find_hyperparameters(work, X, y)
    if found is None or work.stopped():
        return None
    best, trials = found
    points = np.concatenate(X)  # (draws molecules, d)
    try:
        # The neighbours of `knn` need no distances of training molecules from each other.
        rows = model_rows(settings, points, points if settings.model == "krr" else points[:1])
        regressor = fit_model(settings, best, rows, np.tile(y, len(X)))
    except LinAlgError as error:
        raise QM7Error(f"fold {fold.number}: the matrix is singular; a larger ridge helps") from error
    model = BaselineModel(
        seed=experiment.seed,
        fold=fold.number,
        iterations=0,
        draws=experiment.evaluation.draws if settings.representation == "random" else 1,
        sha256=dataset.sha256,
        train=fold.train,
        test=fold.test,
        target=target,
        representation=representation,
        regressor=regressor,
        points=points if settings.model in DISTANCE_MODELS else points[:1],
        atoms=dataset.X.shape[1],
    )
    return model, trials


def fit_representation(experiment: Experiment, dataset: Dataset, fold: Fold) -> Representation:
    """Return the representation of a fold's molecules.

    Bags hold what the training molecules have and, for models that look at distances alone, the test molecules as well:
    zeros that all training molecules have change no distance between these. Where the composition is subtracted, there
    are no bags of elements, which say the same. Raises QM7Error if a test molecule has more than is learned of.
    """
    settings, Z = experiment.baseline, dataset.Z
    known = np.concatenate([fold.train, fold.test]) if settings.model in DISTANCE_MODELS else fold.train
    representation = Representation.fit(
        settings.representation,
        experiment.encoding.noise,
        Z[known],
        settings.exponent or 1.0,
        elements=experiment.target.subtract == "mean",
    )
    for molecule in fold.test:
        if reason := representation.why_too_large(Z[molecule]):
            raise QM7Error(f"fold {fold.number}: its test molecule {molecule} cannot be represented: {reason}")
    return representation
