"""The experiment: every setting of a run, typed, with the reference's constants as defaults.

An experiment comes from a YAML file, from ``--set KEY=VALUE`` and from flags, the later before the earlier::

    experiment = resolve(Path("experiments/quick.yaml"), ["encoding.noise=0.5"], {"variant": "corrected"})
    experiment.training.iterations  # 20000
"""

import copy
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import InitErrorDetails

from qm7cli.errors import QM7Error, UsageError
from qm7cli.files import read_text
from qm7cli.mistakes import flatten, mistake, refusal, suggestion
from qm7cli.variants import Variant
from qm7cli.yaml_text import parse_yaml


def _number(value: Any) -> Any:
    """Make a number of ``"1e6"``, and refuse ``yes``, which YAML makes a truth value."""
    if isinstance(value, bool):
        raise refusal("a number is needed here")
    if isinstance(value, str):
        for number in (int, float):
            try:
                return number(value)
            except ValueError:
                continue
    return value


Whole = Annotated[int, BeforeValidator(_number)]
Real = Annotated[float, BeforeValidator(_number), Field(allow_inf_nan=False)]
MOST_DRAWS: Final = 1_000_000
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
SWEEP_KEYS: Final = frozenset({"base", "grid", "points"})  # of a sweep file, none of which an experiment has
PART: Final = "part"  # the context in which settings are validated that others will be laid over
RECORDED: Final = "recorded"  # that of a run's settings, whose version may have ignored what is refused now


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy with other values, which are validated as those of a new section are."""
        return self.model_validate(dict(super().model_copy(update=update, deep=deep)))


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
            raise refusal(f"it should be {known}{suggestion(scheme, SCHEMES)}")
        return scheme

    @field_validator("folds")
    @classmethod
    def _distinct(cls, folds: list[int] | None) -> list[int] | None:
        if folds is not None and (not folds or len(set(folds)) < len(folds)):
            raise refusal("folds are a list of different numbers, at least one")
        return folds

    @model_validator(mode="after")
    def _count_is_of_use(self, info: ValidationInfo) -> Self:
        """Refuse a count where no folds are made; the default says nothing, and stands in every run."""
        default = type(self).model_fields["count"].default
        if info.context not in {PART, RECORDED} and self.scheme not in DRAWN and self.count != default:
            reason = refusal(f"it is for {' and '.join(DRAWN)}: the folds of {self.scheme} are what they are")
            refused = InitErrorDetails(type=reason, loc=("count",), input=self.count)
            raise ValidationError.from_exception_data("Split", [refused])
        return self


class Encoding(_Section):
    """The random-sorted Coulomb matrix and its tanh expansion."""

    noise: Annotated[Real, Field(ge=0, le=1e6)] = 1.0
    step: Annotated[Real, Field(ge=1e-3, le=1e3)] = 1.0


class Architecture(_Section):
    """The hidden layers' sizes."""

    hidden: list[Annotated[Whole, Field(ge=1, le=100_000)]] = [400, 100]


class Training(_Section):
    """Stochastic gradient descent and the average of the parameters."""

    iterations: Annotated[Whole, Field(ge=1, le=10**12)] = 1_000_000
    batch_size: Annotated[Whole, Field(ge=1, le=100_000)] = 25
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
            raise refusal("a schedule is a list of [iteration, rate] that starts at iteration 1 and goes up")
        return schedule


class Evaluation(_Section):
    """How predictions are averaged, and how often a training network is looked at."""

    draws: Annotated[Whole, Field(ge=1, le=MOST_DRAWS)] = 10
    every: Annotated[Whole, Field(ge=1)] = 25_000


class Baseline(_Section):
    """A simpler model in the network's place (`qm7cli.baselines`).

    What it does not take is None, and all is for the network. What it takes has a default, but for a hyperparameter,
    `neighbours`, `scale` or `ridge`, which is found by inner cross-validation where it is None.
    """

    model: Literal["mean", "knn", "linear", "krr"] | None = None
    representation: Literal["eigenspectrum", "sorted", "random"] | None = None
    kernel: Literal["gaussian", "laplacian"] | None = None
    draws: Annotated[Whole, Field(ge=1, le=MOST_DRAWS)] | None = None
    neighbours: Annotated[Whole, Field(ge=1)] | None = None
    scale: Annotated[Real, Field(ge=1e-6, le=1e9)] | None = None
    ridge: Annotated[Real, Field(ge=0, le=1e9)] | None = None
    memory: Annotated[Real, Field(gt=0)] = 8.0

    @model_validator(mode="after")
    def _completed(self, info: ValidationInfo) -> Self:
        """Fill in the defaults of what the model takes, and refuse what it does not."""
        if info.context == PART:
            return self
        takes: dict[str, Any] = dict.fromkeys(HYPERPARAMETERS[self.model])
        if self.model not in {None, "mean"}:
            takes["representation"] = "sorted"
        if self.model == "krr":
            takes["kernel"] = "gaussian"
        if self.representation == "random":
            takes["draws"] = 4
        given = self.model_dump(exclude={"model", "memory"}, exclude_none=True)
        reason = refusal(f"{self.model or 'the network'} takes none{', only ' if takes else ''}{', '.join(takes)}")
        refused = [
            InitErrorDetails(type=reason, loc=(key,), input=value) for key, value in given.items() if key not in takes
        ]
        if refused:
            raise ValidationError.from_exception_data("Baseline", refused)
        for key in takes.keys() - given:
            object.__setattr__(self, key, takes[key])  # frozen for all others
        return self


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
        For an unknown key, a wrong type, a value out of range or one that others leave no use for, with the place it
        stands in; UsageError if that is an assignment or a flag.
    """
    given = {key: value for key, value in flags.items() if value is not None}
    sources = [
        _read(base) if isinstance(base, Path) else _Source(base or {}),
        *map(_assigned, assignments),
        _Source(overlay({}, given), error=UsageError),
    ]
    return _laid_over(sources)


def _laid_over(sources: Sequence["_Source"], context: str | None = None) -> Experiment:
    """Lay settings over those before them, and over the defaults; an error is that of the last that gives its place."""
    merged: dict[str, Any] = {}
    for source in sources:
        _override(merged, copy.deepcopy(source.tree))
    try:
        return Experiment.model_validate(merged, context=context)
    except ValidationError as error:
        location = error.errors()[0]["loc"]
        last = next((source for source in reversed(sources) if _gives(source.tree, location)), sources[0])
        raise last.error(mistake(error, Experiment, last.origin, last.text)) from error


class _Source(NamedTuple):
    """Settings as an experiment file would hold them, and how an error in them begins; see `validate_part`."""

    tree: dict[str, Any]
    origin: str = ""
    text: str = ""
    error: type[QM7Error] = QM7Error


def _gives(tree: Any, location: Sequence[str | int]) -> bool:
    """Say whether a tree has the value at a location, or one that it would be in."""
    for part in location:
        if not isinstance(tree, dict):
            return True
        if part not in tree:
            return False
        tree = tree[part]
    return True


def overlay(tree: dict[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an experiment file would hold with `values`, by dotted key, put over it."""
    merged = copy.deepcopy(tree)
    for key, value in values.items():
        _override(merged, _nested(key, value))
    return merged


def assigned(assignment: str) -> dict[str, Any]:
    """Return what a ``KEY=VALUE`` assigns, as an experiment file would hold it; raises QM7Error like `resolve`."""
    return _assigned(assignment).tree


def _assigned(assignment: str) -> _Source:
    key, equals, text = assignment.partition("=")
    if not equals or not key.strip():
        raise UsageError(f'--set "{assignment}": write KEY=VALUE, as in --set training.iterations=20000')
    try:
        value = parse_yaml(text, f"--set {key}")
    except QM7Error as error:
        raise UsageError(str(error)) from error
    source = _Source(_nested(key.strip(), value), f"--set {key}: ", error=UsageError)
    validate_part(*source)
    return source


def read_experiment(file: Path) -> Experiment:
    """Read the settings of a run, or an experiment file; raises QM7Error like `resolve`."""
    return _laid_over([_read(file)], RECORDED)


def read_tree(file: Path) -> dict[str, Any]:
    """Return what an experiment file holds; raises QM7Error like `resolve`."""
    return _read(file).tree


def _read(file: Path) -> _Source:
    text = read_text(file)
    tree = parse_yaml(text, file)
    if tree is None:
        tree = {}
    if not isinstance(tree, dict):
        raise QM7Error(f"{file}: an experiment file holds keys and values, not a {type(tree).__name__}")
    if tree.keys() & SWEEP_KEYS:
        raise QM7Error(f"{file} is a sweep file, not an experiment: qm7 sweep {file} takes it")
    source = _Source(tree, f"{file}, line {{line}}: ", text)
    validate_part(*source)
    return source


def validate(tree: Any, origin: str = "") -> Experiment:
    """Make an Experiment of all settings of a run; raises QM7Error with a sentence that begins with `origin`."""
    try:
        return Experiment.model_validate(tree, context=RECORDED)
    except ValidationError as error:
        raise QM7Error(mistake(error, Experiment, origin)) from error


def validate_part(
    tree: Any, origin: str = "", text: str = "", error: type[QM7Error] = QM7Error, place: tuple[str, ...] = ()
) -> None:
    """Check settings that others will be laid over, so that what one asks of another is not looked at yet.

    Parameters
    ----------
    tree : dict
        What an experiment file would hold.
    origin : str
        How an error begins; ``{line}`` in it is the line of `text` that has the mistake.
    text : str
        The YAML.
    error : type
        What is raised.
    place : tuple of str
        Where `tree` stands in `text`.
    """
    try:
        Experiment.model_validate(tree, context=PART)
    except ValidationError as wrong:
        raise error(mistake(wrong, Experiment, origin, text, place)) from wrong


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
