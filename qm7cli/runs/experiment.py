"""The experiment: every setting of a run, typed, with the reference's constants as defaults.

An experiment comes from a YAML file, from ``--set KEY=VALUE`` and from flags, the later before the earlier::

    experiment = resolve(Path("experiments/quick.yaml"), ["encoding.noise=0.5"], {"variant": "corrected"})
    experiment.training.iterations  # 20000
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple

from pydantic import Field, ValidationError, field_validator
from pydantic_core import PydanticKnownError

from qm7cli.core.errors import QM7Error, UsageError
from qm7cli.core.files import STANDARD_INPUT, read_text
from qm7cli.core.validation import Section, Whole, flatten, mistake, refusal, unflatten
from qm7cli.core.yaml_text import parse_yaml
from qm7cli.data.splits import Split
from qm7cli.model.baseline_names import HYPERPARAMETERS
from qm7cli.model.variants import RULES, Variant
from qm7cli.runs.settings import Architecture, Baseline, Encoding, Evaluation, TargetSettings, Training

ENDING: Final = ".yaml"
SWEEP_KEYS: Final = frozenset({"base", "grid", "points"})  # of a sweep file, none of which an experiment has
_PACKAGE: Final = Path(__file__).parents[1]


def experiment_files() -> dict[str, Path]:
    """Return the files that come with the program, by name: ``quick`` is ``quick.yaml``."""
    installed = _PACKAGE / "experiments"
    directory = installed if installed.is_dir() else _PACKAGE.parent / "experiments"  # in a checkout
    return {path.stem: path for path in sorted(directory.glob(f"*{ENDING}"))}


def find_experiment(file: Path) -> Path:
    """Return the file of an experiment or a sweep: one that is there or ``-``, or that comes with the program."""
    named = experiment_files() if file.parent == Path() and not file.is_file() else {}
    found = named.get(file.name.removesuffix(ENDING), file)
    if found != STANDARD_INPUT and not found.exists():
        missing = "No such file or directory; qm7 experiments lists those that come with the program"
        raise QM7Error(f"cannot read {file}: {missing}")
    return found


def is_sweep(file: Path) -> bool:
    """Say whether a file that comes with the program has the keys of a sweep."""
    return bool(parse_yaml(read_text(file), file).keys() & SWEEP_KEYS)


def purpose(file: Path) -> str:
    """Return the first sentence of the comment at the top of an experiment file."""
    lines = takewhile(lambda line: line.startswith("# "), read_text(file).splitlines())
    return re.split(r"(?<=[.?]) (?=[A-Z])", " ".join(line.removeprefix("# ") for line in lines))[0]


class Experiment(Section):
    """All settings of a run.

    Attributes
    ----------
    variant : str
        Update rule of A and B: ``original`` (as published), ``corrected`` (the true gradient), ``no-prebias``, the
        control ``uncompensated``, or a rule of your own; default ``original``.
    seed : int
        Seed of the weights, the encoder, the minibatches and the draws of a fold, 0 or more; default 0.
    data : str, optional
        File of the data set, or ``gfn7``, which is built in; default null, $QM7_DATA, then data/qm7.mat.
    imported : str, optional
        Name of the program whose predictions ``qm7 import`` made into the run; default null.
    split, target, encoding, network, training, evaluation, baseline
        The sections above, and `qm7cli.data.splits.Split`.
    """

    variant: Variant = "original"
    seed: Annotated[Whole, Field(ge=0)] = 0
    data: str | None = None
    imported: str | None = None
    split: Split = Split()
    target: TargetSettings = TargetSettings()
    encoding: Encoding = Encoding()
    network: Architecture = Architecture()
    training: Training = Training()
    evaluation: Evaluation = Evaluation()
    baseline: Baseline = Baseline()

    @field_validator("variant", mode="before")
    @classmethod
    def _one_of_the_rules(cls, variant: Any) -> Any:
        if variant not in [*RULES]:  # a dict is in no dict
            raise PydanticKnownError("literal_error", {"expected": ", ".join(RULES)})
        return variant

    @field_validator("imported")
    @classmethod
    def _named(cls, name: str | None) -> str | None:
        if name is not None and not re.fullmatch(r"\w[\w.+ ()-]{0,59}", name):
            raise refusal("a name has up to 60 letters, digits, spaces and signs of .+-_() and begins with no sign")
        if name in {*RULES, *HYPERPARAMETERS, "network"} - {None}:
            raise refusal("models of this program are called so; choose another name")
        return name

    @property
    def iterations(self) -> int:
        """Iterations of a finished fold; a baseline and an imported run have none."""
        return 0 if self.baseline.model or self.imported else self.training.iterations


DEFAULTS: Final = dict(flatten(Experiment().model_dump(mode="json")))  # by dotted key
RECORDED_SETTINGS: Final = frozenset({"split.sha256"})  # runs record them; a user does not choose them
# Settings that may differ when a run is resumed: where the data lies, how much is trained, and what is only looked at.
RESUMABLE_SETTINGS: Final = frozenset(
    {"data", "split.folds", "training.iterations", "training.checkpoint_every", "evaluation.every", "baseline.memory"}
)
NOT_IDENTITY: Final = RESUMABLE_SETTINGS - {"data"}  # those that do not make another run


def identity(experiment: Experiment) -> dict[str, Any]:
    """Return what makes two runs the same configuration: the settings that count, by dotted key, as JSON has them.

    A split file counts by its content, where that is recorded, as it may move.
    """
    ignored = RESUMABLE_SETTINGS | unused_keys(experiment)
    ignored |= {"split.scheme"} if experiment.split.file and experiment.split.sha256 else RECORDED_SETTINGS
    return {key: value for key, value in flatten(experiment.model_dump(mode="json")) if key not in ignored}


def unused_keys(experiment: Experiment) -> set[str]:
    """Return the dotted keys of settings that make no difference: a baseline's to the network, and the reverse."""
    if experiment.imported:
        return {key for key, _ in flatten(experiment.model_dump(exclude={"imported", "seed", "data", "split"}))}
    baseline = experiment.baseline
    given = baseline.model_dump(exclude_none=True)
    keys = {f"baseline.{key}" for key in Baseline.model_fields.keys() - given - {*HYPERPARAMETERS[baseline.model]}}
    if baseline.model is None:
        return keys - {"baseline.model"}
    sections = experiment.model_dump(include={"variant", "encoding", "network", "training", "evaluation"})
    used = {"encoding.noise", "evaluation.draws"} if baseline.representation == "random" else set()
    return keys | {key for key, _ in flatten(sections)} - used


class Source(NamedTuple):
    """Settings by dotted key, and how an error in them begins: ``{line}`` there is a line of `text`, below `place`."""

    settings: dict[str, Any]
    origin: str = ""
    text: str = ""
    place: tuple[str, ...] = ()
    error: type[QM7Error] = QM7Error

    def gives(self, location: Sequence[str | int]) -> bool:
        """Say whether the source has the setting at a location, one below it or one that it is in."""
        wanted = ".".join(map(str, location)) + "."
        return any(wanted.startswith(f"{key}.") or f"{key}.".startswith(wanted) for key in self.settings)


def merge(sources: Sequence[Source]) -> Experiment:
    """Lay settings over those before them and over the defaults; an error has the origin of the last that gives it."""
    merged: dict[str, Any] = {}
    for source in sources:
        replaced = source.settings.keys() | (RECORDED_SETTINGS if "split.scheme" in source.settings else set())
        merged = {key: value for key, value in merged.items() if key not in replaced} | source.settings
    try:
        return Experiment.model_validate(unflatten(merged))
    except ValidationError as error:
        location = error.errors()[0]["loc"]
        last = next((source for source in reversed(sources) if source.gives(location)), sources[0])
        raise last.error(mistake(error, Experiment, last.origin, last.text, last.place)) from error


def resolve(base: Path | dict[str, Any] | None, assignments: Iterable[str], flags: Mapping[str, Any]) -> Experiment:
    """Merge an experiment file, ``KEY=VALUE`` assignments and flags over the defaults.

    `base` is a YAML file, the name of one that comes with the program, or what it would hold. `flags` are values by
    dotted key; None is left out. Raises QM7Error for what is no setting, UsageError if it was assigned or a flag.
    """
    first = read_source(base, find_experiment(base)) if isinstance(base, Path) else Source(dict(flatten(base or {})))
    return merge([first, *given_settings(assignments, flags)])


def given_settings(assignments: Iterable[str], flags: Mapping[str, Any]) -> list[Source]:
    """Return what a command line gives, as `resolve` takes it; raises UsageError if it is not ``KEY=VALUE``."""
    chosen = {key: value for key, value in flags.items() if value is not None}
    return [*map(_parse_assignment, assignments), Source(chosen, error=UsageError)]


def _parse_assignment(assignment: str) -> Source:
    key, equals, text = assignment.partition("=")
    if not equals or not key.strip():
        raise UsageError(f'--set "{assignment}": write KEY=VALUE, as in --set training.iterations=20000')
    value = parse_yaml(text, f"--set {key}", UsageError)
    return Source(dict(flatten({key.strip(): value})), f"--set {key}: ", error=UsageError)


def read_source(file: Path, found: Path | None = None) -> Source:
    """Read the settings of an experiment file, or ``config.yaml``; `found` is where it lies, if not at its name."""
    text = read_text(found or file)
    tree = parse_yaml(text, file)
    tree = {} if tree is None else tree
    if not isinstance(tree, dict):
        raise QM7Error(f"{file}: an experiment file holds keys and values, not a {type(tree).__name__}")
    if tree.keys() & SWEEP_KEYS:
        raise QM7Error(f"{file} is a sweep file, not an experiment: qm7 sweep {file} takes it")
    settings = {key: value for key, value in tree.items() if key not in {"dataset", "fingerprint"}}
    return Source(dict(flatten(settings)), f"{file}, line {{line}}: ", text)
