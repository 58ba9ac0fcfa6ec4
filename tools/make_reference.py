"""Write docs/commands.md and docs/settings.md from the code, so that they cannot say anything else.

python tools/make_reference.py

A command's section comes from its docstring and its options. A setting has its type, default and range from its field,
and its meaning and unit from the docstring of its section.
"""

import json
import re
import textwrap
import types
import typing
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import annotated_types
import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from qm7cli.cli.main import COMMANDS, app
from qm7cli.cli.options import complete_variants
from qm7cli.runs.experiment import RECORDED_SETTINGS, Experiment

DOCS = Path(__file__).parents[1] / "docs"
UNITS = ("hartree^2", "hartree", "kcal/mol", "GB")
TYPES = {int: "whole number", float: "number", str: "text", bool: "true or false"}
RANGE = r",? (-?[\d.,e-]+ to [\d.,e]+(?: each)?|\d+ or more|above \d+|\d+ and up)(?=[,;]|$)"
KEPT = "\b\n"  # before a paragraph whose lines stay as they are (click)
COMMANDS_HEAD = """\
# Commands

Every command with its arguments, options, columns and examples, as `qm7 COMMAND --help` prints them.

"""
SETTINGS_HEAD = """\
# Settings

Every setting of an experiment file and of `--set KEY=VALUE`, with its type, default, range and unit.

The defaults are those of the paper. An option overrides `--set`, and `--set` overrides the file.
[`paper.yaml`](../experiments/paper.yaml) is an experiment file with all settings; `qm7 experiments paper` prints it.
Numbers are decimal: `010` is ten, `1e6` a million. `null` means "not set".

"""


def cell(text: str) -> str:
    """Return a text as a cell of a Markdown table, or as a paragraph: signs that Markdown would take are escaped."""
    return re.sub(r"([*_<|])", r"\\\1", " ".join(text.split()))


def code(*parts: str) -> str:
    """Return parts as code, with an "or" between them: a bar would end a cell."""
    return " or ".join(f"`{part}`" for part in parts)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def number(value: float) -> str:
    """Return a limit as people write it: 100,000 and 1e9."""
    if value == 0 or 1e-3 <= abs(value) <= 1e6:
        return f"{value:,.10g}"
    return re.sub(r"e([+-])0*", lambda sign: f"e{sign[1].strip('+')}", f"{value:e}".replace(".000000", ""))


def interval(low: float | None, high: float | None, above: float | None = None) -> str:
    """Say in words which numbers are allowed."""
    if above is not None:
        return f"above {number(above)}"
    if low is None:
        return ""
    return f"{number(low)} or more" if high is None else f"{number(low)} to {number(high)}"


def commands() -> str:
    """Return the page of the commands."""
    group: Any = typer.main.get_command(app)
    shown = "".join(f"- [`qm7 {name}`](#qm7-{name}): {cell(_summary(group.commands[name]))}\n" for name in COMMANDS)
    options = table(("option", "meaning", "value", "default"), [_row(each) for each in group.params])
    told = "Options of `qm7` itself stand before the command; `--debug` may also stand after it:"
    return f"{COMMANDS_HEAD}{shown}\n{told}\n\n{options}" + "".join(
        _command(name, group.commands[name]) for name in COMMANDS
    )


def _summary(command: Any) -> str:
    return str(command.help).partition("\n\n")[0]


def _command(name: str, command: Any) -> str:
    summary, *paragraphs = str(command.help).strip().split("\n\n")
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    options = [each for each in command.params if each.param_type_name == "option" and not each.hidden]
    usage = " ".join(["qm7", name, *(_argument(each) for each in arguments), "[OPTIONS]"])
    text = f"\n## qm7 {name}\n\n{cell(summary)}\n\n```text\n{usage}\n```\n\n" + "".join(map(_paragraph, paragraphs))
    return text + table(("option", "meaning", "value", "default"), [_row(each) for each in (*arguments, *options)])


def _paragraph(text: str) -> str:
    """Return a paragraph of a help text: examples as a block, other lines under a heading as a table."""
    if not text.startswith(KEPT):
        return re.sub(r"docs/(\w+\.md)", r"[\1](\1)", f"{cell(text)}\n\n")
    heading, lines = text.removeprefix(KEPT).split(":\n", 1)
    if heading == "Examples":
        return f"Examples:\n\n```sh\n{textwrap.dedent(lines)}\n```\n\n"
    entries = re.sub(r"\n {3,}", " ", lines).splitlines()  # with the lines that continue one
    rows = [
        (code(first), cell(meaning))
        for first, meaning in (re.split(" {2,}", each.strip(), maxsplit=1) for each in entries)
    ]
    return table((heading.lower(), "meaning"), rows) + "\n"


def _argument(parameter: Any) -> str:
    name = parameter.metavar.removesuffix("...")
    name = f"{name}..." if parameter.nargs == -1 else name
    return name if parameter.required else f"[{name}]"


def _row(parameter: Any) -> tuple[str, str, str, str]:
    """Return the row of an option or an argument."""
    meaning, _, default = parameter.help.partition(" [default: ")
    if parameter.required:
        default = "required"
    elif parameter.default not in {None, False, ()} and not default:
        default = code(str(parameter.default))
    is_option = parameter.param_type_name == "option"
    name = code(*parameter.opts, *parameter.secondary_opts) if is_option else code(_argument(parameter))
    return name, cell(meaning.replace(": RULES", "")), _values(parameter), cell(default.removesuffix("]"))


def _values(parameter: Any) -> str:
    is_variant = parameter.name == "variant"
    choices = complete_variants() if is_variant else _choices(parameter.type_descriptor.annotation)
    if choices:
        return code(*choices)
    if parameter.type_descriptor.annotation is bool:
        return ""
    limits = interval(parameter.min, parameter.max)
    value = code(parameter.metavar or parameter.name.upper())
    return f"{value}, {limits}" if limits else value


def _choices(annotation: Any) -> list[str]:
    if typing.get_origin(annotation) is Literal:
        return [str(each) for each in typing.get_args(annotation)]
    return [choice for each in typing.get_args(annotation) for choice in _choices(each)]


def settings() -> str:
    """Return the page of the settings."""
    text, header = SETTINGS_HEAD, ("setting", "meaning", "type", "default", "range", "unit")
    for name, section, doc in _sections():
        fields = [(key, field) for key, field in section.model_fields.items() if not _is_section(field)]
        rows = [_setting(f"{name}.{key}" if name else key, field, doc[key]) for key, field in fields]
        title = f"`{name}`" if name else "The whole run"
        paragraphs = (section.__doc__ or "").partition("Attributes\n")[0].strip().split("\n\n") if name else []
        text += f"## {title}\n\n" + "".join(f"{_prose(each)}\n\n" for each in paragraphs)
        text += table(header, rows) + "\n"
    return text.rstrip("\n") + "\n"


def _prose(paragraph: str) -> str:
    """Return a paragraph of a docstring, without the references to other parts of the code."""
    return _text(" ".join(re.sub(r" [(]`qm7cli.*?`[)]", "", paragraph).split()))


def _is_section(field: FieldInfo) -> bool:
    return isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)


def _sections() -> Iterator[tuple[str, type[BaseModel], dict[str, str]]]:
    yield "", Experiment, _attributes(Experiment)
    for name, field in Experiment.model_fields.items():
        if _is_section(field):
            yield name, field.annotation, _attributes(field.annotation)  # type: ignore[arg-type,misc]


def _attributes(section: type[BaseModel]) -> dict[str, str]:
    """Return what the docstring of a section says of each of its settings."""
    told = (section.__doc__ or "").partition("----------\n")[2]
    found = re.findall(r"^ {4}(\w+) : .*\n((?: {8}.*\n?)+)", told, re.MULTILINE)
    return {key: " ".join(text.replace("``", "`").split()) for key, text in found}


def _setting(key: str, field: FieldInfo, told: str) -> tuple[str, ...]:
    """Return the row of a setting; its meaning is what the docstring says but for the range and the default."""
    meaning, _, default = told.removesuffix(".").partition("; default ")
    meaning = re.sub(RANGE, "", meaning)
    unit = next((each for each in UNITS if re.search(rf"{re.escape(each)}(?!\w)", meaning)), "")
    meaning = re.sub(rf", {re.escape(unit)}(?=;|$)", "", meaning) if unit else meaning
    value = json.dumps(field.get_default(call_default_factory=True))
    null, _, what = default.partition(", ")
    if value != "null":
        default = f"`{value}`"
    elif null == "null":
        default = f"`null`{f': {what}' if what else ''}"
    default = "" if key in RECORDED_SETTINGS else default
    return f"`{key}`", f"{_text(meaning)}.", _type(field.annotation), _text(default), _range(field), unit


def _text(told: str) -> str:
    return re.sub(r"([*_|])", r"\\\1", told.replace("...", "and so on"))


def _type(annotation: Any) -> str:
    """Return a type in words."""
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _type(args[0])
    if origin in {types.UnionType, typing.Union}:
        return " or ".join("null" if each is types.NoneType else _type(each) for each in args)
    if origin is Literal:
        return "one of " + ", ".join(f"`{each}`" for each in args)
    if origin is list:
        of = _type(args[0])
        return f"list of {of if of.endswith(']') else f'{of}s'}"
    if origin is tuple:
        return f"[{', '.join(_type(each) for each in args)}]"
    return TYPES[annotation]


def _range(field: FieldInfo) -> str:
    return "; ".join(dict.fromkeys(filter(None, (_limits(each) for each in _constraints(field)))))


def _constraints(field: FieldInfo) -> Iterator[list[Any]]:
    """Give the constraints of a field, and of what its type holds."""
    yield list(field.metadata)
    waiting = [field.annotation]
    while waiting:
        each = waiting.pop(0)
        waiting += typing.get_args(each)
        if typing.get_origin(each) is typing.Annotated:
            yield list(each.__metadata__)


def _limits(metadata: Sequence[Any]) -> str:
    flat = [part for each in metadata for part in (each.metadata if isinstance(each, FieldInfo) else [each])]
    found: dict[str, Any] = {}
    for each in flat:
        for kind, name in ((annotated_types.Ge, "ge"), (annotated_types.Gt, "gt"), (annotated_types.Le, "le")):
            if isinstance(each, kind):
                found[name] = getattr(each, name)
    return interval(found.get("ge"), found.get("le"), found.get("gt"))


PAGES = {"commands.md": commands, "settings.md": settings}

if __name__ == "__main__":
    for page, make in PAGES.items():
        (DOCS / page).write_text(make())
        print(DOCS / page)
