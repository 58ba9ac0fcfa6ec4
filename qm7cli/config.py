"""The experiment: every setting of a run, typed, with the reference's constants as defaults.

An experiment comes from a YAML file, from ``--set KEY=VALUE`` and from flags, the later before the earlier::

    experiment = resolve(Path("experiments/quick.yaml"), ["encoding.noise=0.5"], {"variant": "corrected"})
    experiment.training.iterations  # 20000
"""

import copy
from collections.abc import Iterable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator

from qm7cli.errors import QM7Error
from qm7cli.files import parse_yaml, read_text
from qm7cli.mistakes import flatten, mistake, suggestion
from qm7cli.variants import Variant


def _number(value: Any) -> Any:
    """Make ``1e6``, which YAML leaves a string, a number, and refuse ``yes``, which it makes a truth value."""
    if isinstance(value, bool):
        raise ValueError("a number is needed here")  # noqa: TRY004 - pydantic reports ValueError
    if isinstance(value, str):
        for number in (int, float):
            try:
                return number(value)
            except ValueError:
                continue
    return value


Whole = Annotated[int, BeforeValidator(_number)]
Real = Annotated[float, BeforeValidator(_number), Field(allow_inf_nan=False)]
SCHEMES: Final = ("published", "stratified", "random")
DRAWN: Final = SCHEMES[1:]  # those that have a count and a seed
SPLIT_FILE: Final = (".yaml", ".yml")
HYPERPARAMETERS: Final[dict[str | None, tuple[str, ...]]] = {  # of each baseline; None is the network
    None: (),
    "mean": (),
    "knn": ("neighbours",),
    "linear": ("ridge",),
    "krr": ("scale", "ridge"),
}


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Split(_Section):
    """How the molecules are dealt to folds, and which folds are held out in turn.

    `scheme` is one of `SCHEMES`, or a file that `qm7 split` has written, whose SHA-256 is then `sha256`.
    """

    scheme: str = "published"
    sha256: str | None = None
    folds: list[Annotated[Whole, Field(ge=0)]] | None = None
    count: Annotated[Whole, Field(ge=2)] = 5
    seed: Annotated[Whole, Field(ge=0)] = 0
    train_size: Annotated[Whole, Field(ge=2)] | None = None

    @field_validator("scheme")
    @classmethod
    def _known(cls, scheme: str) -> str:
        if scheme not in SCHEMES and (not scheme.endswith(SPLIT_FILE) or "\0" in scheme):
            known = f"{', '.join(SCHEMES)} or a .yaml file that qm7 split has written"
            raise ValueError(f"it should be {known}{suggestion(scheme, SCHEMES)}")
        return scheme

    @field_validator("folds")
    @classmethod
    def _distinct(cls, folds: list[int] | None) -> list[int] | None:
        if folds is not None and (not folds or len(set(folds)) < len(folds)):
            raise ValueError("folds are a list of different numbers, at least one")
        return folds


class Encoding(_Section):
    """The random-sorted Coulomb matrix and its tanh expansion."""

    noise: Annotated[Real, Field(ge=0, le=1e6)] = 1.0
    step: Annotated[Real, Field(ge=1e-3, le=1e3)] = 1.0


class Architecture(_Section):
    """The hidden layers' sizes."""

    hidden: list[Annotated[Whole, Field(ge=1, le=100_000)]] = [400, 100]


class Training(_Section):
    """Stochastic gradient descent and the average of the parameters."""

    iterations: Annotated[Whole, Field(ge=1)] = 1_000_000
    batch_size: Annotated[Whole, Field(ge=1)] = 25
    schedule: list[tuple[Whole, Annotated[Real, Field(gt=0)]]] = [
        (1, 0.001),
        (501, 0.0025),
        (2_501, 0.005),
        (12_501, 0.01),
    ]
    history: Annotated[Real, Field(ge=1e-6, le=1)] = 0.1
    checkpoint_every: Annotated[Whole, Field(ge=1)] = 10_000

    @field_validator("schedule")
    @classmethod
    def _increasing(cls, schedule: list[tuple[int, float]]) -> list[tuple[int, float]]:
        starts = [start for start, _ in schedule]
        if starts[:1] != [1] or any(later <= start for start, later in pairwise(starts)):
            raise ValueError("a schedule is a list of [iteration, rate] that starts at iteration 1 and goes up")
        return schedule


class Evaluation(_Section):
    """How predictions are averaged, and how often a training network is looked at."""

    draws: Annotated[Whole, Field(ge=1)] = 10
    every: Annotated[Whole, Field(ge=1)] = 25_000


class Baseline(_Section):
    """A simpler model in the network's place (`qm7cli.baselines`).

    What it does not take is None, and all is for the network. A hyperparameter that it takes, `neighbours`, `scale` or
    `ridge`, is found by inner cross-validation where it is None.
    """

    model: Literal["mean", "knn", "linear", "krr"] | None = None
    representation: Literal["eigenspectrum", "sorted", "random"] | None = None
    kernel: Literal["gaussian", "laplacian"] | None = None
    draws: Annotated[Whole, Field(ge=1)] | None = None
    neighbours: Annotated[Whole, Field(ge=1)] | None = None
    scale: Annotated[Real, Field(ge=1e-6, le=1e9)] | None = None
    ridge: Annotated[Real, Field(ge=0, le=1e9)] | None = None
    memory: Annotated[Real, Field(gt=0)] = 8.0


class Experiment(_Section):
    """All settings of a run."""

    variant: Variant = "original"
    seed: Annotated[Whole, Field(ge=0)] = 0
    data: str | None = None
    split: Split = Split()
    encoding: Encoding = Encoding()
    network: Architecture = Architecture()
    training: Training = Training()
    evaluation: Evaluation = Evaluation()
    baseline: Baseline = Baseline()

    @property
    def iterations(self) -> int:
        """Iterations of a finished fold; a baseline has none."""
        return 0 if self.baseline.model else self.training.iterations


# What may change between two visits to a run: where the data lies, how much is trained, and what is only looked at.
FREE: Final = frozenset(
    {"data", "split.folds", "training.iterations", "training.checkpoint_every", "evaluation.every", "baseline.memory"}
)


def settings(experiment: Experiment) -> dict[str, Any]:
    """Return the settings that make two runs the same configuration, by dotted key."""
    pinned = experiment.split.scheme not in SCHEMES and experiment.split.sha256
    free = FREE | idle(experiment) | ({"split.scheme"} if pinned else set())  # a file may move, its content counts
    return {key: value for key, value in flatten(experiment.model_dump(mode="json")) if key not in free}


def idle(experiment: Experiment) -> set[str]:
    """Return the dotted keys of the settings that make no difference: a baseline's to the network, and the reverse."""
    baseline = experiment.baseline
    given = baseline.model_dump(exclude_none=True)
    keys = {f"baseline.{key}" for key in Baseline.model_fields.keys() - given - {*HYPERPARAMETERS[baseline.model]}}
    if baseline.model is None:
        return keys - {"baseline.model"}
    sections = experiment.model_dump(include={"variant", "encoding", "network", "training", "evaluation"})
    used = {"encoding.noise", "evaluation.draws"} if baseline.representation == "random" else set()
    return keys | {key for key, _ in flatten(sections)} - used


def differing_keys(one: Experiment, other: Experiment) -> list[str]:
    """Return the dotted keys in which two experiments are not the same configuration."""
    ours, theirs = settings(one), settings(other)
    return [key for key in {**ours, **theirs} if ours.get(key) != theirs.get(key)]


def resolve(base: Path | dict[str, Any] | None, assignments: Iterable[str], flags: Mapping[str, Any]) -> Experiment:
    """Merge an experiment file, ``KEY=VALUE`` assignments and flags over the defaults.

    Parameters
    ----------
    base : Path or dict, optional
        A YAML file, or what it would hold; keys that it leaves out keep their defaults.
    assignments : iterable of str
        ``training.iterations=20000`` and the like; the value is read as YAML.
    flags : mapping
        Values by dotted key; those that are None are left out.

    Raises
    ------
    QM7Error
        For an unknown key, a wrong type or a value out of range, with the place it stands in.
    """
    merged = read_tree(base) if isinstance(base, Path) else copy.deepcopy(base or {})
    for assignment in assignments:
        _override(merged, assigned(assignment))
    return _completed(validate(overlay(merged, {key: value for key, value in flags.items() if value is not None})))


def _completed(experiment: Experiment) -> Experiment:
    """Fill in the defaults of what a baseline takes, and refuse what it does not."""
    baseline = experiment.baseline
    takes: dict[str, Any] = dict.fromkeys(HYPERPARAMETERS[baseline.model])
    if baseline.model not in {None, "mean"}:
        takes["representation"] = "sorted"
    if baseline.model == "krr":
        takes["kernel"] = "gaussian"
    if baseline.representation == "random":
        takes["draws"] = 4
    given = baseline.model_dump(exclude={"model", "memory"}, exclude_none=True)
    for key in given:
        if key not in takes:
            model = baseline.model or "the network"
            raise QM7Error(f"baseline.{key} is given, but {model} takes none: see experiments/paper.yaml")
    return experiment.model_copy(update={"baseline": baseline.model_copy(update=takes | given)})


def overlay(tree: dict[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an experiment file would hold with `values`, by dotted key, put over it."""
    merged = copy.deepcopy(tree)
    for key, value in values.items():
        _override(merged, _nested(key, value))
    return merged


def assigned(assignment: str) -> dict[str, Any]:
    """Return what a ``KEY=VALUE`` assigns, as an experiment file would hold it; raises QM7Error like `resolve`."""
    key, equals, text = assignment.partition("=")
    if not equals or not key.strip():
        raise QM7Error(f'--set "{assignment}": write KEY=VALUE, as in --set training.iterations=20000')
    tree = _nested(key.strip(), parse_yaml(text, f"--set {key}"))
    validate(tree, f"--set {key}: ")
    return tree


def read_experiment(file: Path) -> Experiment:
    """Read an experiment file; raises QM7Error like `resolve`."""
    return resolve(file, [], {})


def read_tree(file: Path) -> dict[str, Any]:
    """Return what an experiment file holds; raises QM7Error like `resolve`."""
    text = read_text(file)
    tree = parse_yaml(text, file)
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise QM7Error(f"{file}: an experiment file holds keys and values, not a {type(tree).__name__}")
    validate(tree, f"{file}, line {{line}}: ", text)
    return tree


def validate(tree: Any, origin: str = "", text: str = "", place: tuple[str, ...] = ()) -> Experiment:
    """Make an Experiment; an error begins with `origin`, where ``{line}`` is the line of `text` that has the mistake.

    `place` is where `tree` stands in the YAML `text`.
    """
    try:
        return Experiment.model_validate(tree)
    except ValidationError as error:
        raise QM7Error(mistake(error, Experiment, origin, text, place)) from error


def _nested(key: str, value: Any) -> dict[str, Any]:
    for part in reversed(key.split(".")):
        value = {part: value}
    return dict(value)


def _override(merged: dict[str, Any], tree: Mapping[str, Any]) -> None:
    """Merge settings that go before those merged so far; another split leaves the SHA-256 of the former behind."""
    ours, theirs = merged.get("split"), tree.get("split")
    if isinstance(ours, dict) and isinstance(theirs, dict) and "scheme" in theirs:
        ours.pop("sha256", None)
    _merge(merged, tree)


def _merge(into: dict[str, Any], tree: Mapping[str, Any]) -> None:
    for key, value in tree.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value
