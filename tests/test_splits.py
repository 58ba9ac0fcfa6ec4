import numpy as np
import pytest

from qm7cli.config import Split
from qm7cli.errors import QM7Error
from qm7cli.splits import chosen_folds, make_folds


@pytest.mark.parametrize("scheme", ["published", "stratified", "random"])
def test_folds_are_a_partition(small, scheme):
    folds = make_folds(small, Split(scheme=scheme))
    assert len(folds) == 5
    assert np.array_equal(np.sort(np.concatenate(folds)), np.arange(60))


def test_the_published_folds_are_those_of_the_file(small):
    assert all(map(np.array_equal, make_folds(small, Split()), small.P))


@pytest.mark.parametrize("count", [5, 7])
def test_a_stratified_split_deals_neighbours_in_energy_to_different_folds(small, count):
    folds = make_folds(small, Split(scheme="stratified", count=count))
    fold_of = np.empty(60, dtype=int)
    for number, fold in enumerate(folds):
        fold_of[fold] = number
    by_energy = fold_of[np.argsort(small.T)]
    for start in range(0, 60, count):
        group = by_energy[start : start + count]
        assert len(set(group)) == len(group)


@pytest.mark.parametrize("scheme", ["stratified", "random"])
def test_the_split_has_a_seed_of_its_own(small, scheme):
    one, again, other = (make_folds(small, Split(scheme=scheme, seed=seed)) for seed in (0, 0, 1))
    assert all(map(np.array_equal, one, again))
    assert not all(map(np.array_equal, one, other))


def test_a_fold_is_trained_on_all_the_others(small):
    folds = chosen_folds(small, Split(folds=[3, 1]))
    assert [fold.number for fold in folds] == [1, 3]
    for fold in folds:
        assert np.array_equal(fold.test, small.P[fold.number])
        assert np.array_equal(np.sort(np.concatenate([fold.train, fold.test])), np.arange(60))


def test_without_a_choice_all_folds_are_trained(small):
    assert [fold.number for fold in chosen_folds(small, Split(scheme="random", count=7))] == list(range(7))


def test_a_fold_that_is_not_there_is_refused(small):
    with pytest.raises(QM7Error, match="there is no fold 5: this split has the folds 0 to 4"):
        chosen_folds(small, Split(folds=[0, 5]))
    with pytest.raises(QM7Error, match=r"split.count is 61, but there are only 60 molecules"):
        make_folds(small, Split(scheme="random", count=61))
