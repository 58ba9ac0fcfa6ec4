"""What the user may have meant by a word of the command line that is wrong."""

import re
from typing import TYPE_CHECKING, Any

from qm7cli.cli import completion
from qm7cli.cli.options import RENAMED

if TYPE_CHECKING:
    from collections.abc import Iterator

_COMMAND, _STRAY = re.compile(r"No such command '(.*)'\."), re.compile(r"Got unexpected extra argument\S* \((.*)\)")


def suggest(error: Exception) -> str:
    """Ask which command, option or value the user meant, if anything is close to what is wrong.

    An argument too many that one of the options takes is answered with that option.
    """
    from qm7cli.core.validation import suggestion

    context, message = getattr(error, "ctx", None), getattr(error, "message", "")
    if context is None:
        return ""
    if hasattr(error, "possibilities"):
        return _option(context, str(getattr(error, "option_name", "")))
    if command := _COMMAND.fullmatch(message):
        return suggestion(command[1].lower(), context.command.commands)
    if stray := _STRAY.fullmatch(message):
        word = stray[1].split(" ")[0]
        return suggestion("", (), list(_takers(context, word))[:1])
    value, *choices = re.findall(r"'([^']*)'", message if "is not one of" in message else "") or [""]
    return suggestion(value, choices)


def _option(context: Any, unknown: str) -> str:
    """Ask which option the user meant by an unknown one; those of Typer are close in their dashes."""
    from qm7cli.core.validation import option_suggestion, suggestion
    from qm7cli.runs.experiment import Experiment

    options = [option for parameter in context.command.params for option in parameter.opts if option.startswith("--")]
    if RENAMED.get(unknown) in options:
        return suggestion("", (), [RENAMED[unknown]])
    return option_suggestion(unknown, options, Experiment)


def _takers(context: Any, word: str) -> "Iterator[str]":
    """Give what takes a word that a command does not: its options of whose values the word is one, or a sweep."""
    name = word.removesuffix(".yaml")
    options = {parameter.opts[0]: parameter for parameter in context.command.params if parameter.opts[0][:2] == "--"}
    for option, parameter in options.items():
        values = {item.value.removesuffix(".yaml") for item in parameter.shell_complete(context, "")}
        if name in values or (word != name and option == "--config"):
            yield f"{option} {word}"
    if "--config" in options and name in completion.sweeps():
        yield f"qm7 sweep {word}"
