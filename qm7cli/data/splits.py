"""Folds: their settings, which molecules are held out for the test, and which are trained on.

A split file, written by ``qm7 split``, holds folds of one data set::

    {format: 1, scheme: stratified, seed: 0, dataset_sha256: fd6c..., folds: [[molecule, ...], ...]}
"""

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field, ValidationError, ValidationInfo, field_validator

from qm7cli.core.errors import QM7Error
from qm7cli.core.files import read_text, write_text
from qm7cli.core.validation import Section, Whole, refusal, suggestion
from qm7cli.core.yaml_text import format_yaml, parse_yaml
from qm7cli.data.dataset import Dataset

Molecules = NDArray[np.intp]
Part = Literal["test", "train"]  # of a fold's molecules
SCHEMES: Final = ("published", "stratified", "random")
DRAWN: Final = SCHEMES[1:]  # those that have a count and a seed
SPLIT_FILE: Final = (".yaml", ".yml")


class Split(Section):
    """How the molecules are split into folds, and which folds are held out.

    Attributes
    ----------
    scheme : str
        ``published``, ``stratified``, ``random``, or a .yaml file that ``qm7 split`` wrote; default ``published``.
    sha256 : str, optional
        SHA-256 of that file, which a run records; default null.
    folds : list of int, optional
        Folds to hold out, counted from 0; default null, all.
    count : int
        Number of folds for ``stratified`` and ``random``, 2 or more; default 5.
    seed : int
        Seed of these folds and of training subsets, 0 or more; default 0.
    train_size : int, optional
        Number of training molecules per fold, 2 or more; default null, all.
    """

    scheme: str = "published"
    sha256: str | None = None
    folds: list[Annotated[Whole, Field(ge=0)]] | None = None
    count: Annotated[Whole, Field(ge=2)] = 5
    seed: Annotated[Whole, Field(ge=0)] = 0
    train_size: Annotated[Whole, Field(ge=2)] | None = None

    @property
    def file(self) -> Path | None:
        """The split file, if `scheme` names one."""
        return None if self.scheme in SCHEMES else Path(self.scheme).expanduser()

    @field_validator("scheme")
    @classmethod
    def _known(cls, scheme: str) -> str:
        if scheme not in SCHEMES and not scheme.endswith(SPLIT_FILE):
            known = f"{', '.join(SCHEMES)} or a .yaml file that qm7 split has written"
            raise refusal(f"it should be {known}{suggestion(scheme, SCHEMES)}")
        return scheme

    @field_validator("folds")
    @classmethod
    def _distinct(cls, folds: list[int] | None) -> list[int] | None:
        if folds is not None and (not folds or len(set(folds)) < len(folds)):
            raise refusal("folds are a list of different numbers, at least one")
        return folds

    @field_validator("count")
    @classmethod
    def _of_use(cls, count: int, info: ValidationInfo) -> int:
        """Refuse a count where no folds are made; the default says nothing, and stands in every run."""
        scheme = info.data.get("scheme", DRAWN[0])  # which is left out if it is refused itself
        if scheme not in DRAWN and count != cls.model_fields["count"].default:
            raise refusal(f"it is for {' and '.join(DRAWN)}: the folds of {scheme} are fixed")
        return count


class Fold(NamedTuple):
    """The molecules of a fold, as rows of the data set."""

    number: int
    train: Molecules
    test: Molecules


class SplitFile(BaseModel, strict=True, extra="forbid", frozen=True):
    """The content of a split file; molecules that are in no fold are left out."""

    format: Literal[1] = 1
    scheme: str
    seed: int | None
    dataset_sha256: str
    folds: list[list[Annotated[int, Field(ge=0, lt=2**31)]]]


def make_folds(dataset: Dataset, split: Split) -> list[Molecules]:
    """Split the molecules into disjoint folds, which have them all but for those of a split file.

    ``published`` takes the folds that the data set carries; ``random`` shuffles and cuts; ``stratified`` sorts by
    energy and puts each `split.count` neighbors into different folds, as the published split was made; both keep
    copies of a molecule in one fold. Raises QM7Error if there are too few molecules, or a split file cannot be used.
    """
    if split.file:
        return _folds_of_file(split.file, dataset, split.sha256)
    if split.scheme == "published":
        return list(dataset.P)
    rows, count = np.unique(dataset.first_copies), split.count
    if len(rows) < count:
        raise QM7Error(f"split.count is {count}, but there are only {len(rows)} molecules")
    rng = np.random.default_rng(split.seed)
    if split.scheme == "random":
        folds = [rows[fold] for fold in np.array_split(rng.permutation(len(rows)), count)]
        return [np.flatnonzero(np.isin(dataset.first_copies, fold)) for fold in folds]
    return stratified(dataset.T, count, rng, dataset.first_copies)


def folds_within(dataset: Dataset, split: Split, fold: int, count: int, seed: int) -> list[Molecules]:
    """Split the training molecules of a fold into `count` folds, stratified by energy; its test is in none."""
    train = select_folds(dataset, split.model_copy(update={"folds": [fold]}))[0].train
    firsts = dataset.first_copies[train]
    if (different := len(np.unique(firsts))) < count:
        raise QM7Error(f"the count is {count}, but fold {fold} has only {different} training molecules")
    folds = stratified(dataset.T[train], count, np.random.default_rng(seed), firsts)
    return [np.sort(train[inner]) for inner in folds]


def stratified(
    T: NDArray[np.floating], count: int, rng: np.random.Generator, firsts: Molecules | None = None
) -> list[Molecules]:
    """Sort molecules by energy; put every `count` neighbors into different folds, and equal `firsts` into one."""
    groups = np.arange(len(T)) if firsts is None else firsts
    rows = np.sort(np.unique(groups, return_index=True)[1])  # the first of each group
    places = np.concatenate([rng.permutation(count) for _ in range(-(-len(rows) // count))])[: len(rows)]
    by_energy = rows[np.argsort(T[rows], kind="stable")]
    return [np.flatnonzero(np.isin(groups, groups[by_energy[places == fold]])) for fold in range(count)]


def select_folds(dataset: Dataset, split: Split) -> list[Fold]:
    """Return the folds to train, those of `split.folds` or all.

    Each trains on the molecules of the others, or `split.train_size` of them: a larger choice contains a smaller one,
    and each is spread evenly over the energies. Raises QM7Error if there is no such fold, or too few molecules.
    """
    folds = make_folds(dataset, split)
    numbers = range(len(folds)) if split.folds is None else sorted(split.folds)
    if numbers[-1] >= len(folds):
        raise QM7Error(f"there is no fold {numbers[-1]}: this split has the folds 0 to {len(folds) - 1}")
    return [Fold(number, _training(dataset, folds, number, split), folds[number]) for number in numbers]


def _training(dataset: Dataset, folds: Sequence[Molecules], number: int, split: Split) -> Molecules:
    train = np.concatenate([fold for k, fold in enumerate(folds) if k != number])
    if split.train_size is None:
        return train
    if split.train_size > len(train):
        raise QM7Error(f"split.train_size is {split.train_size}, but fold {number} leaves {len(train)} to train on")
    rng = np.random.default_rng(np.random.SeedSequence(split.seed, spawn_key=(number,)))
    order = _spread(np.argsort(dataset.T[train], kind="stable"), rng, split.train_size)
    return train[np.sort(order)]


def _spread(by_energy: Molecules, rng: np.random.Generator, size: int) -> Molecules:
    """Return `size` molecules of those given by energy: so ordered that each beginning is spread over the energies.

    Of each two neighbors one goes to the first half and one to the second, and so on in each half.
    """
    if len(by_energy) < 2 or size <= 0:
        return by_energy[: max(size, 0)]
    start = rng.integers(0, 1 + len(by_energy) % 2)  # an odd one is left over at either end
    first = np.arange(start, len(by_energy) - 1, 2)
    first += rng.integers(0, 2, len(first))
    parts = _spread(by_energy[first], rng, size), _spread(np.delete(by_energy, first), rng, size - len(first))
    return np.concatenate(parts)


def with_checksum(split: Split) -> Split:
    """Return the split with the SHA-256 of its file, so that a run keeps to that; raises QM7Error if it has changed."""
    sha256 = _read(split.file, split.sha256)[1] if split.file else None
    return split.model_copy(update={"sha256": sha256})


def write_split(path: Path, dataset: Dataset, scheme: str, seed: int | None, folds: Sequence[Molecules]) -> None:
    """Write folds to a file that `split.scheme` may name, and how they were made, in words and with the seed."""
    members = [fold.tolist() for fold in folds]
    file = SplitFile(scheme=scheme, seed=seed, dataset_sha256=dataset.sha256, folds=members)
    write_text(path, format_yaml(file.model_dump()))


def describe_folds(dataset: Dataset, folds: Sequence[Molecules]) -> list[tuple[int, float, float]]:
    """Return size, mean and population standard deviation of the energies (kcal/mol) of each fold."""
    energies = [dataset.T[fold].astype(np.float64) for fold in folds]
    return [(len(T), float(T.mean()), float(T.std())) for T in energies]


def _read(path: Path, sha256: str | None) -> tuple[str, str]:
    """Return a split file's text and its SHA-256, which must be `sha256` if that is given."""
    text = read_text(path)
    found = hashlib.sha256(text.encode()).hexdigest()
    if sha256 not in {None, found}:
        raise QM7Error(f"{path} has changed: its SHA-256 is {found}, and the experiment's split.sha256 {sha256}")
    return text, found


def _folds_of_file(path: Path, dataset: Dataset, sha256: str | None) -> list[Molecules]:
    file = _parsed(_read(path, sha256)[0], path)
    if file.dataset_sha256 != dataset.sha256:
        ours, theirs = (f"{each[:12]}..." for each in (dataset.sha256, file.dataset_sha256))
        raise QM7Error(f"{path} splits another data set: SHA-256 {theirs} there, {ours} here")
    chosen = np.concatenate(file.folds)
    if len(np.unique(chosen)) < len(chosen) or chosen.max() >= len(dataset):
        raise QM7Error(f"{path}: a molecule is there twice, or is not one of the data set's 0 to {len(dataset) - 1}")
    return [np.array(fold, dtype=np.intp) for fold in file.folds]


@lru_cache(maxsize=32)  # a sweep asks for the same few files again and again
def _parsed(text: str, path: Path) -> SplitFile:
    try:
        file = SplitFile.model_validate(parse_yaml(text, path))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        reason = f"{place}: {first['msg']}" if place else "it does not hold keys and values"
        raise QM7Error(f"{path} is not a split file: {reason}") from error
    if len(file.folds) < 2 or not all(file.folds):
        raise QM7Error(f"{path}: a split has two folds or more, each with molecules")
    return file
