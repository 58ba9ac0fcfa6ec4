"""YAML of plain types, and records: YAML documents with a checksum of what they hold."""

import hashlib
import math
import re
from collections.abc import Callable
from typing import Any, ClassVar, Final

import yaml

from qm7cli.core.errors import QM7Error, brief
from qm7cli.core.escaping import printable


def format_yaml(value: Any) -> str:
    """Return a YAML document: keys in their order, innermost collections on one line, what is unprintable escaped."""
    layout: dict[str, Any] = {"sort_keys": False, "default_flow_style": None, "width": 1000}
    text: str = yaml.dump(value, Dumper=_Dumper, allow_unicode=True, **layout)
    if text == printable(text, keep="\n"):
        return text
    escaped: str = yaml.dump(value, Dumper=_Dumper, allow_unicode=False, **layout)
    return escaped


# PyYAML's numbers are those of YAML 1.1, where 010 is 8, 1:30 is 90, and 1e6 is a word. Ours are Python's decimal ones.
_DIGITS: Final = "[0-9](_?[0-9])*"
_INT: Final = re.compile(rf"[-+]?{_DIGITS}\Z")
_FLOAT: Final = re.compile(
    rf"[-+]?(?=\.?[0-9])({_DIGITS})?(\.({_DIGITS})?)?([eE][-+]?{_DIGITS})?\Z"
    r"|[-+]?\.(inf|Inf|INF)\Z|\.(nan|NaN|NAN)\Z"
)
_NUMBERS: Final = {"tag:yaml.org,2002:int": _INT, "tag:yaml.org,2002:float": _FLOAT}
_YAML_1_1: Final = yaml.SafeLoader.yaml_implicit_resolvers  # what a word without quotes is, by its first sign
_DEEPEST: Final = 100  # collections in collections; libyaml's parser crashes at some ten thousands
_MOST: Final = 1_000_000  # values in a text, with those that an alias stands for counted as often as it is used
_SHORT: Final = 100_000  # signs of a text that PyYAML's own, slow parser parses in a second or two


def _resolvers(*, only_ours: bool) -> dict[str, list[tuple[str, re.Pattern[str]]]]:
    """Return what a word without quotes is taken for, with our numbers in place of YAML 1.1's, or before them."""
    theirs = {
        first: [pair for pair in pairs if not (only_ours and pair[0] in _NUMBERS)] for first, pairs in _YAML_1_1.items()
    }
    return theirs | {first: [*_NUMBERS.items(), *theirs[first]] for first in "+-.0123456789"}


class _Rules:
    """Plain types only, a key at most once in a mapping, and the same for both parsers."""

    depth = values = 0
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
        return super().construct_mapping(node, deep)  # type: ignore[misc] # a loader's

    def construct_document(self, node: yaml.Node) -> Any:
        """Make plain values of a document, if they are not too many for whoever follows each alias."""
        values, deepest = _measure(node, {})
        if values == math.inf:
            problem = "an alias stands in what it is the alias of"
        elif values > _MOST:
            problem = f"it has {values} values, more than {_MOST}, when each alias is followed"
        elif deepest > _DEEPEST:
            problem = f"more than {_DEEPEST} collections are in one another when each alias is followed"
        else:
            return super().construct_document(node)  # type: ignore[misc] # likewise
        raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)

    def descend_resolver(self, parent: yaml.Node | None, _: Any) -> None:
        """Refuse a node that is too deep, or one too many, while the text is parsed."""
        self.depth += 1
        self.values += 1
        if self.depth > _DEEPEST:
            problem = f"more than {_DEEPEST} collections are in one another"
        elif self.values > _MOST:
            problem = f"it has more than {_MOST} values"
        else:
            return
        raise yaml.composer.ComposerError(None, None, problem, parent.start_mark if parent else None)

    def ascend_resolver(self) -> None:
        self.depth -= 1


def _measure(node: yaml.Node, measured: dict[int, tuple[float, float]]) -> tuple[float, float]:
    """Return how many values a node has, itself included, and how deep they are, when each alias is followed.

    Both are infinite if that never ends. `measured` has what is known of nodes, by identity.
    """
    if id(node) not in measured:
        measured[id(node)] = math.inf, math.inf  # until it is known: an alias in it is of itself
        parts = node.value if isinstance(node, yaml.CollectionNode) else []
        if isinstance(node, yaml.MappingNode):
            parts = [part for pair in parts for part in pair]
        known = [_measure(part, measured) for part in parts]
        measured[id(node)] = 1 + sum(values for values, _ in known), 1 + max((deep for _, deep in known), default=0)
    return measured[id(node)]


class _Loader(_Rules, yaml.SafeLoader):
    pass


_LIBYAML: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # where it is; ten times as fast


class _FastLoader(_Rules, _LIBYAML):  # type: ignore[misc] # of any type
    pass


class _Dumper(yaml.SafeDumper):
    """Quotes a text that a reader, YAML 1.1's or ours, would take for a number."""

    yaml_implicit_resolvers = _resolvers(only_ours=False)


def parse_yaml(text: str, origin: object) -> Any:
    """Read YAML's plain types; raises QM7Error, which names the text by its `origin`, and the line, if it cannot."""
    try:
        return _parsed(text, yaml.load)
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise QM7Error(f"{origin}{line}: this is not YAML: {brief(error.problem or error.context)}") from error
    except (
        yaml.YAMLError,
        ArithmeticError,
        AttributeError,
        LookupError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        raise QM7Error(f"{origin}: this is not YAML: {brief(error)}") from error


def compose_yaml(text: str) -> yaml.Node | None:
    """Return the nodes of a YAML text, which know their lines; raises yaml.YAMLError if it is not YAML."""
    node: yaml.Node | None = _parsed(text, yaml.compose)
    return node


def _parsed(text: str, parse: Callable[..., Any]) -> Any:
    try:
        return parse(text, Loader=_FastLoader)
    except (yaml.YAMLError, UnicodeEncodeError):
        if len(text) > _SHORT:
            raise
        return parse(text, Loader=_Loader)  # PyYAML's own parser says better what is wrong, and where


def checksum(values: Any) -> str:
    """Return 16 hexadecimal digits (of SHA-256) that tell plain values, as YAML reads them back, from others."""
    return hashlib.sha256(ascii(values).encode()).hexdigest()[:16]


def format_record(record: dict[str, Any]) -> str:
    """Return a YAML document with a checksum of what it holds."""
    return format_yaml(record | {"checksum": checksum(record)})


def parse_record(text: str, origin: object, remedy: str) -> Any:
    """Read what `format_record` has made, or a YAML document without a checksum, as older versions have made.

    Raises QM7Error if the text is not YAML or its checksum is wrong; the sentence ends in the `remedy`, what to do.
    """
    record = parse_yaml(text, origin)
    if isinstance(record, dict) and "checksum" in record:
        stored, found = record.pop("checksum"), checksum(record)
        if stored != found:
            raise QM7Error(f"{origin} is damaged or was changed: its checksum is {found}, not {stored!r:.40}; {remedy}")
    return record
