"""Folds: which molecules are held out for the test, and which are trained on."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from qm7cli.config import Split
from qm7cli.dataset import Dataset
from qm7cli.errors import QM7Error

Molecules = NDArray[np.intp]


class Fold(NamedTuple):
    """The molecules of a fold, as rows of the data set."""

    number: int
    train: Molecules
    test: Molecules


def make_folds(dataset: Dataset, split: Split) -> list[Molecules]:
    """Deal the molecules to folds.

    ``published`` takes the folds that the data set carries; ``random`` shuffles and cuts; ``stratified`` sorts by
    energy and deals every `split.count` neighbours to different folds, as the published split was made.

    Returns
    -------
    list of (molecules of the fold,) intp, a partition of all molecules

    Raises
    ------
    QM7Error
        If there are fewer molecules than folds.
    """
    if split.scheme == "published":
        return list(dataset.P)
    molecules, count = len(dataset), split.count
    if molecules < count:
        raise QM7Error(f"split.count is {count}, but there are only {molecules} molecules")
    rng = np.random.default_rng(split.seed)
    if split.scheme == "random":
        return [np.sort(fold) for fold in np.array_split(rng.permutation(molecules), count)]
    places = np.concatenate([rng.permutation(count) for _ in range(-(-molecules // count))])[:molecules]
    by_energy = np.argsort(dataset.T, kind="stable")
    return [np.sort(by_energy[places == fold]) for fold in range(count)]


def chosen_folds(dataset: Dataset, split: Split) -> list[Fold]:
    """Return the folds to train, those of `split.folds` or all, each with the others as its training molecules.

    Raises
    ------
    QM7Error
        If there is no such fold, or there are fewer molecules than folds.
    """
    folds = make_folds(dataset, split)
    chosen = range(len(folds)) if split.folds is None else sorted(split.folds)
    if chosen[-1] >= len(folds):
        raise QM7Error(f"there is no fold {chosen[-1]}: this split has the folds 0 to {len(folds) - 1}")
    return [
        Fold(number, np.concatenate([fold for k, fold in enumerate(folds) if k != number]), folds[number])
        for number in chosen
    ]
