"""Tables in HTML, of the report and of notebooks."""

import json
import re
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any


def html_table(header: Sequence[str], rows: Iterable[Iterable[Any]]) -> str:
    """Return a table in HTML, escaped; columns of numbers to the right."""
    texts = [[html_text(cell) for cell in row] for row in rows]
    columns = list(zip(*texts, strict=True)) or [()] * len(header)
    classes = [' class="number"' * all(re.match(r"[-+\d]", text) for text in column) for column in columns]
    head = "".join(f'<th scope="col"{own}>{escape(title)}</th>' for title, own in zip(header, classes, strict=True))
    body = "".join(
        f'<tr><th scope="row">{escape(first)}</th>'
        + "".join(f"<td{own}>{escape(text)}</td>" for text, own in zip(others, classes[1:], strict=True))
        + "</tr>\n"
        for first, *others in texts
    )
    return f'<div class="wide"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody></table></div>'


def html_text(value: Any) -> str:
    """Return a value as a cell has it."""
    return json.dumps(value) if isinstance(value, list | bool | None) else str(value)
