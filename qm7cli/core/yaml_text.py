"""YAML of plain types, as this program writes and reads it: a key at most once in a mapping, and decimal numbers."""

import re
from collections.abc import Sequence
from typing import Any, ClassVar, Final

import yaml

from qm7cli.core.errors import QM7Error, brief

# PyYAML's numbers are those of YAML 1.1, where 010 is 8, 1:30 is 90, and 1e6 is a word. Ours are Python's decimal ones.
_DIGITS: Final = "[0-9](_?[0-9])*"
_INT: Final = re.compile(rf"[-+]?{_DIGITS}\Z")
_FLOAT: Final = re.compile(
    rf"[-+]?(?=\.?[0-9])({_DIGITS})?(\.({_DIGITS})?)?([eE][-+]?{_DIGITS})?\Z"
    r"|[-+]?\.(inf|Inf|INF)\Z|\.(nan|NaN|NAN)\Z"
)
_NUMBERS: Final = {"tag:yaml.org,2002:int": _INT, "tag:yaml.org,2002:float": _FLOAT}
_YAML_1_1: Final = yaml.SafeLoader.yaml_implicit_resolvers  # what a word without quotes is, by its first sign
_CLoader: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # where libyaml is; ten times as fast


def _resolvers(*, only_ours: bool) -> dict[str, list[tuple[str, re.Pattern[str]]]]:
    """Return what a word without quotes is taken for, with our numbers in place of YAML 1.1's, or before them."""
    theirs = {
        first: [pair for pair in pairs if not (only_ours and pair[0] in _NUMBERS)] for first, pairs in _YAML_1_1.items()
    }
    return theirs | {first: [*_NUMBERS.items(), *theirs[first]] for first in "+-.0123456789"}


class _Loader(_CLoader):  # type: ignore[misc] # of any type
    yaml_implicit_resolvers = _resolvers(only_ours=True)
    yaml_constructors: ClassVar[dict[str | None, Any]] = {
        **yaml.SafeLoader.yaml_constructors,
        "tag:yaml.org,2002:int": lambda _, node: int(node.value),
        "tag:yaml.org,2002:float": lambda _, node: float(re.sub(r"\.(?=[inIN])", "", node.value)),
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> Any:
        keys = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in keys:
                problem = f"the key {key.value} is there twice"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            keys.add(key.value)
        return super().construct_mapping(node, deep)


class _Dumper(yaml.SafeDumper):
    """Quotes a text that a reader, YAML 1.1's or ours, would take for a number."""

    yaml_implicit_resolvers = _resolvers(only_ours=False)


def format_yaml(value: Any) -> str:
    """Return a YAML document: keys in their order, innermost collections on one line."""
    text: str = yaml.dump(
        value, Dumper=_Dumper, allow_unicode=True, sort_keys=False, default_flow_style=None, width=1000
    )
    return text


def parse_yaml(text: str, origin: object, refusal: type[QM7Error] = QM7Error) -> Any:
    """Read YAML's plain types; raises a `refusal`, which names the text by its `origin`, and the line, if it cannot."""
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - it is a safe one
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise refusal(f"{origin}{line}: this is not YAML: {brief(error.problem or error.context)}") from error
    except (yaml.YAMLError, LookupError, RecursionError, TypeError, ValueError) as error:  # as for a date that is none
        raise refusal(f"{origin}: this is not YAML: {brief(error)}") from error


def find_line(text: str, location: Sequence[str | int]) -> int:
    """Return the line, from 1, of the innermost part of `location`, keys and places in lists, in a YAML text."""
    node, line = yaml.compose(text, Loader=_Loader), 1
    for part in location:
        found: list[Any] = []
        if isinstance(node, yaml.MappingNode):
            found = [pair for pair in node.value if pair[0].value == str(part)]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            found = [(item, item) for item in node.value[part:]]
        if not found:
            break
        key, node = found[0]
        line = int(key.start_mark.line) + 1
    return line
