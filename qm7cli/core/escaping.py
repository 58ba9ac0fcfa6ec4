"""Texts of a user's files and names, made harmless for those who read them: a terminal and a spreadsheet."""

from typing import Any, Final

FORMULA: Final = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")  # how a formula begins (OWASP), in full width too


def printable(text: str, keep: str = "") -> str:
    """Escape what would control a terminal, turn its direction of writing or break a line; not what is in `keep`."""
    return "".join(sign if sign.isprintable() or sign in keep else ascii(sign)[1:-1] for sign in text)


def spreadsheet_cell(value: Any) -> Any:
    """Put an apostrophe before a text that a spreadsheet would take for a formula; numbers stay as they are.

    A text that begins with an apostrophe gets another, so that taking one away gives every text back.
    """
    return f"'{value}" if isinstance(value, str) and value.startswith(("'", *FORMULA)) else value
