from itertools import combinations, pairwise

import numpy as np
import pytest
import yaml

import molecules
from qm7cli.core.errors import QM7Error
from qm7cli.core.yaml_text import format_yaml
from qm7cli.data.dataset import load
from qm7cli.data.splits import Split, folds_within, make_folds, select_folds, write_split


@pytest.mark.parametrize("count", [5, 7])
def test_a_stratified_split_deals_neighbors_in_energy_to_different_folds(small, count):
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
    folds = select_folds(small, Split(folds=[3, 1]))
    assert [fold.number for fold in folds] == [1, 3]
    for fold in folds:
        assert np.array_equal(fold.test, small.P[fold.number])
        assert np.array_equal(np.sort(np.concatenate([fold.train, fold.test])), np.arange(60))


def test_a_fold_that_is_not_there_is_refused(small):
    with pytest.raises(QM7Error, match="there is no fold 5: this split has the folds 0 to 4"):
        select_folds(small, Split(folds=[0, 5]))
    with pytest.raises(QM7Error, match=r"split.count is 61, but there are only 60 molecules"):
        make_folds(small, Split(scheme="random", count=61))


@pytest.fixture
def written(tmp_path, small):
    """A split file, and the folds that it was written with."""
    path = tmp_path / "folds.yaml"
    split = Split(scheme="random", count=4, seed=3)
    folds = make_folds(small, split)
    write_split(path, small, split.scheme, split.seed, folds)
    return path, folds


def test_a_split_file_gives_its_folds_again(small, written):
    path, folds = written
    assert all(map(np.array_equal, make_folds(small, Split(scheme=str(path))), folds))
    content = yaml.safe_load(path.read_text())
    assert list(content) == ["format", "scheme", "seed", "dataset_sha256", "folds"]
    assert (content["format"], content["scheme"], content["seed"]) == (1, "random", 3)
    assert content["dataset_sha256"] == small.sha256


@pytest.mark.parametrize(("change", "message"), [
    ({"format": 2}, "is not a split file: format: Input should be 1"),
    ({"folds": [[0, 1], ["2"]]}, "is not a split file: folds.1.0: Input should be a valid integer"),
    ({"dataset_sha256": "0" * 64}, "splits another data set: SHA-256 000000000000... there, "),
    ({"folds": [[0, 1, 2], []]}, "a split has two folds or more, each with molecules"),
    ({"folds": [[0, 1], [1, 2]]}, "a molecule is there twice, or is not one of the data set's 0 to 59"),
])  # fmt: skip
def test_a_split_file_that_cannot_be_is_refused_with_the_reason(small, written, change, message):
    path, _ = written
    path.write_text(format_yaml({**yaml.safe_load(path.read_text()), **change}))
    with pytest.raises(QM7Error) as error:
        make_folds(small, Split(scheme=str(path)))
    assert message in str(error.value)


def test_molecules_in_no_fold_of_a_file_are_left_out(small, written):
    path, _ = written
    path.write_text(format_yaml({**yaml.safe_load(path.read_text()), "folds": [[5, 6], [8, 7]]}))
    fold = select_folds(small, Split(scheme=str(path), folds=[1]))[0]
    assert (fold.train.tolist(), fold.test.tolist()) == ([5, 6], [8, 7])


@pytest.mark.realdata
def test_training_subsets_are_nested_and_spread_over_the_energies(qm7):
    sizes = [100, 500, 1000, 2500, 5000, 5732]
    subsets = [select_folds(qm7, Split(folds=[1], train_size=size))[0].train for size in sizes]
    whole = select_folds(qm7, Split(folds=[1]))[0].train
    assert [len(set(subset)) for subset in subsets] == sizes
    for smaller, larger in pairwise([*subsets, whole]):
        assert set(smaller) <= set(larger)
    assert np.array_equal(subsets[-1], whole)  # in the same order, so with the same bits
    edges = np.quantile(qm7.T[whole], np.linspace(0, 1, 21)[1:-1])
    for subset in subsets:
        counts = np.bincount(np.searchsorted(edges, qm7.T[subset]), minlength=20)
        assert np.abs(counts - len(subset) / 20).max() <= 4  # at random, they would be off by up to 30


def test_a_training_subset_has_the_split_s_seed(small):
    one, again, other = (select_folds(small, Split(folds=[0], train_size=20, seed=seed))[0].train for seed in (0, 0, 1))
    assert np.array_equal(one, again)
    assert set(one) != set(other)
    with pytest.raises(QM7Error, match=r"split.train_size is 49, but fold 0 leaves 48 to train on"):
        select_folds(small, Split(folds=[0], train_size=49))


def test_copies_of_a_molecule_are_in_one_fold(tmp_path):
    own = molecules.variables(molecules=30)
    twice = {name: np.concatenate([own[name]] * 2, axis=int(name == "T")) for name in ("X", "T", "Z", "R")}
    dataset = load(molecules.write(tmp_path / "x.mat", {**twice, "P": np.arange(60).reshape(5, 12)}))
    for scheme in ("stratified", "random"):
        folds = make_folds(dataset, Split(scheme=scheme))
        assert np.array_equal(np.sort(np.concatenate(folds)), np.arange(60))
        assert all(np.array_equal(fold[: len(fold) // 2] + 30, fold[len(fold) // 2 :]) for fold in folds)
        inner = folds_within(dataset, Split(scheme=scheme), fold=0, count=3, seed=0)
        assert not any(np.isin(one % 30, other % 30).any() for one, other in combinations(inner, 2))
    with pytest.raises(QM7Error, match=r"split.count is 31, but there are only 30 molecules"):
        make_folds(dataset, Split(scheme="random", count=31))
