"""Typed sections of settings, their dotted keys, and a mistake in them as a sentence that names its place."""

import difflib
import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from numbers import Integral
from typing import TYPE_CHECKING, Annotated, Any, Final, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from qm7cli.core.errors import QM7Error
from qm7cli.core.yaml_text import find_line

if TYPE_CHECKING:
    from pydantic._internal._model_construction import ModelMetaclass
else:
    ModelMetaclass = type(BaseModel)

LARGEST: Final = 1e9  # of any number in a data set, a model or a record
OTHER_NAMES: Final = {"lr": "schedule", "learning_rate": "schedule"}  # that settings have in other programs
_WANTED: Final = {  # by pydantic's name for an error, or its first word, in place of a sentence that names a type
    "int": "a whole number, as 20",
    "float": "a number, as 0.5",
    "bool": "true or false",
    "string": "a text, in quotes if it looks like a number",
    "list": "a list, as [1, 2]",
    "tuple": "a list, as [1, 0.5]",
    **dict.fromkeys(("dict", "model"), "keys and values, as {key: value}"),
    "missing": "one item more",
    "too_long": "fewer items",
}


def refusal(reason: str) -> PydanticCustomError:
    """Return what a validator raises; of a ValueError pydantic says "Value error, ..."."""
    return PydanticCustomError("refusal", reason)


def _number(value: Any) -> Any:
    """Make a number of ``"1e6"`` and of numpy's, and refuse ``yes``, which YAML makes a truth value."""
    if isinstance(value, bool):
        raise refusal("a number is needed here")
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, str):
        for number in (int, float):
            with suppress(ValueError):
                return number(value)
    return value


Whole = Annotated[int, BeforeValidator(_number)]
Real = Annotated[float, BeforeValidator(_number), Field(allow_inf_nan=False)]


class SettingsError(QM7Error, ValueError):
    """A section is made in Python of what is not a setting, or out of its range."""


class _SectionType(ModelMetaclass):
    """The type of sections: what is made by a call is refused in a sentence; `model_validate` does not come here."""

    def __call__(cls, *arguments: Any, **values: Any) -> Any:  # noqa: N805 - of a class of classes
        try:
            return super().__call__(*arguments, **values)
        except ValidationError as error:
            raise SettingsError(mistake(error, cls)) from error  # type: ignore[arg-type] # all are of models


class Section(BaseModel, metaclass=_SectionType):
    """Settings that belong together; ``Training(iterations=0)`` raises SettingsError, `model_validate` pydantic's."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def __repr_args__(self) -> list[tuple[str | None, Any]]:
        fields = type(self).model_fields
        return [(key, value) for key, value in self if value != fields[key].get_default(call_default_factory=True)]

    __str__ = BaseModel.__repr__

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy with other values, which are validated as those of a new section are."""
        return type(self)(**dict(super().model_copy(update=update, deep=deep)))


def mistake(
    error: ValidationError, model: type[BaseModel], origin: str = "", text: str = "", place: tuple[str, ...] = ()
) -> str:
    """Say what is wrong first in what should be a `model`, all of whose fields have defaults.

    It begins with `origin`, where ``{line}`` becomes that of the mistake in the YAML `text`, below the keys of `place`.
    """
    errors = error.errors(include_url=False)
    setting = errors[0]["loc"][:2]
    # Of a setting that is a number or a list, each has an error: that of the list tells which item.
    first = max((each for each in errors if each["loc"][:2] == setting), key=lambda each: len(each["loc"]))
    location = tuple(part for part in first["loc"] if not str(part).startswith(("function-", "list[")))
    return origin.replace("{line}", str(find_line(text, (*place, *location)))) + _sentence(first, location, model)


def _sentence(error: Any, location: tuple[str | int, ...], model: type[BaseModel]) -> str:
    key = ".".join(str(part) for part in location)[:200]
    is_collection = isinstance(error["input"], dict | list | tuple | set)
    value = repr(error["input"]) if is_collection else json.dumps(error["input"], default=str)
    value = value if len(value) <= 80 else f"{value[:77]}..."
    if error["type"] == "extra_forbidden":
        word, known_here = str(location[-1]), model().model_dump()
        for part in location[:-1]:
            known_here = known_here[str(part)]
        elsewhere = _keys_by_name(model).get(OTHER_NAMES.get(word, word))
        close = suggestion(word, known_here, [elsewhere] if elsewhere else [])
        return f"unknown key {key}{close or '; there are ' + ', '.join(known_here)}"
    if error["type"] == "literal_error":
        choices = error["ctx"]["expected"].replace("'", "").replace(" or ", ", ").split(", ")
        return f"{key} is {value}, not one of {', '.join(choices)}{suggestion(value.strip(chr(34)), choices)}"
    reason = error["msg"].removeprefix("Input ")
    if wanted := _WANTED.get(error["type"].partition("_")[0] if "valid " in reason else error["type"]):
        if error["type"] == "list_type" and isinstance(error["input"], str | int | float):
            wanted = f"[{error['input']}]"
        return f"{key} is {value}: write {wanted}"
    return f"{key} is {value}, but {reason[0].lower()}{reason[1:]}"


def suggestion(word: str, choices: Iterable[str], better: Iterable[str] = ()) -> str:
    """Ask whether the user meant what is closest to a word, if anything is."""
    close = [*better, *difflib.get_close_matches(word[:100], list(choices), n=1)]
    return f'; did you mean "{close[0]}"?' if close else ""


def option_suggestion(option: str, options: Sequence[str], model: type[BaseModel]) -> str:
    """Ask whether the user meant the option closest to an unknown one or, beside --set, a setting of `model`."""
    word, *names = (each.lstrip("-").replace("-", "_") for each in (option, *options))  # --lr is not close to --fold
    meant = dict(zip(names, options, strict=True))
    if "set" in meant:
        word = OTHER_NAMES.get(word, word)
        meant = {name: f"--set {key}=..." for name, key in _keys_by_name(model).items()} | meant
    return suggestion(word, (), [meant[name] for name in difflib.get_close_matches(word, meant, n=1)])


def _keys_by_name(model: type[BaseModel]) -> dict[str, str]:
    """Return the dotted keys of a model's settings by their last part, the first of those that share it."""
    keys = [key for key, _ in flatten(model().model_dump())]
    return {key.rpartition(".")[2]: key for key in reversed(keys)}


def flatten(tree: Mapping[Any, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    """Give the leaves of nested mappings, which may be empty mappings, with their dotted keys."""
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def unflatten(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the nested mappings that `flatten` takes apart; where keys contradict each other, the later holds."""
    tree: dict[str, Any] = {}
    for key, value in settings.items():
        *sections, name = key.split(".")
        node = tree
        for section in sections:
            node[section] = node = node[section] if isinstance(node.get(section), dict) else {}
        if value != {} or not isinstance(node.get(name), dict):
            node[name] = {} if value == {} else value
    return tree
