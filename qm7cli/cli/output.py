"""What commands print and write: sentences, and records in every format."""

import html
import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Final, Literal

from qm7cli.cli.tables import Table
from qm7cli.core.errors import QM7Error, printable

Format = Literal["table", "csv", "json", "markdown", "latex"]
Records = Sequence[Mapping[str, Any]]
ENDINGS: Final[dict[str, Format]] = {".csv": "csv", ".json": "json", ".md": "markdown", ".tex": "latex"}
SHOW_TRACEBACKS: Final[ContextVar[bool]] = ContextVar("SHOW_TRACEBACKS", default=False)  # as --debug asks


def say(line: str) -> None:
    """Print a line on standard output."""
    print(printable(line))


def note(message: str) -> None:
    """Print a message in one line on standard error; if nobody listens, the work goes on."""
    with suppress(OSError):
        print(printable(" ".join(message.split())), file=sys.stderr, flush=True)


def print_error(message: str, error: object = None) -> None:
    """Print what is wrong in one line on standard error, and the notes of an error, its traceback, with --debug."""
    note(f"qm7: {message}")
    if SHOW_TRACEBACKS.get() and (notes := getattr(error, "__notes__", ())):
        print_traceback("".join(notes))


def print_traceback(text: str) -> None:
    """Print a traceback on standard error."""
    with suppress(OSError):
        print(printable(text.rstrip(), keep="\n"), file=sys.stderr, flush=True)


def refuse_inputs(output: Path | None, inputs: Iterable[Path | None]) -> None:
    """Raise QM7Error if a file to be written is one of those that are read, or lies in a directory that is."""
    place = output and output.resolve()
    for path in inputs:
        if place is not None and path is not None and path.resolve() in {place, *place.parents}:
            where = f"lies in the run {path}" if path.is_dir() else "is also read here"
            raise QM7Error(f"{output} {where}; choose another output")


def write_output(
    table: Table, records: Records | None = None, format_: Format | None = None, output: Path | None = None
) -> Format:
    """Write records to a file, or print them, and return the format: that of the file's ending unless one is given.

    CSV and JSON have the records, Markdown and LaTeX the whole table with units. The table for a terminal, the format
    of any other ending, fits it. A pipe gets the text as it is, a terminal without what would steer it.
    """
    format_ = format_ or ENDINGS.get(output.suffix.lower() if output else "", "table")
    if format_ == "table" and output is None:
        _print_table(table.fit())
        return format_
    render: dict[Format, Callable[[], str]] = {
        "table": lambda: _plain(table.fit()),
        "csv": lambda: _csv(records or ()),
        "json": lambda: json.dumps(list(records or ())) + "\n",
        "markdown": lambda: _markdown(table),
        "latex": lambda: _latex(table),
    }
    text = render[format_]()
    if output is None:
        print(printable(text, keep="\n") if sys.stdout.isatty() else text, end="")
    else:
        from qm7cli.core.files import write_text

        write_text(output, text)
    return format_


def _plain(table: Table) -> str:
    return table.plain_text() + printable(table.after, keep="\n")


def _print_table(table: Table) -> None:
    """Print a table: with a line under its header on a terminal that is wide enough, plain elsewhere."""
    if not sys.stdout.isatty() or table.headings:
        print(_plain(table), end="")
        return
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    drawn = RichTable(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    for title in table.columns:
        justify: Literal["left", "right"] = "left" if title in table.left_columns else "right"
        drawn.add_column(Text(printable(title)), justify=justify, no_wrap=True)
    for row in table.rows:
        style = "bold" if "mean" in row[: len(table.left_columns)] else None
        drawn.add_row(*(Text(printable(cell)) for cell in row), style=style)
    console = Console(highlight=False)
    if console.measure(drawn, options=console.options.update(width=10_000)).maximum <= console.width:
        console.print(drawn)
        print(printable(table.after, keep="\n"), end="")
    else:
        print(_plain(table), end="")


def _csv(records: Records) -> str:
    from qm7cli.core.files import format_csv

    def cell(value: Any) -> Any:
        if isinstance(value, list):
            return "; ".join(value) if all(isinstance(each, str) for each in value) else json.dumps(value)
        return value

    header = list(records[0]) if records else []
    return format_csv(header, [[cell(row[key]) for key in header] for row in records])


def _markdown(table: Table) -> str:
    rule = ["---" if title in table.left_columns else "---:" for title in table.columns]
    lines = [
        [html.escape(printable(text), quote=False).replace("|", "\\|") for text in line]
        for line in (table.header_with_units, rule, *table.rows)
    ]
    said = "".join(f"- {printable(sentence)}\n" for sentence in table.sentences)
    return "".join(f"| {' | '.join(line)} |\n" for line in lines) + (f"\n{said}" if said else "")


def _latex(table: Table) -> str:
    columns = "".join("l" if title in table.left_columns else "r" for title in table.columns)
    top, *body = [" & ".join(map(_escape_latex, line)) + " \\\\" for line in (table.header_with_units, *table.rows)]
    lines = [f"\\begin{{tabular}}{{{columns}}}", "\\toprule", top, "\\midrule", *body, "\\bottomrule", "\\end{tabular}"]
    return "\n".join(lines) + "\n"


def _escape_latex(text: str) -> str:
    special = {sign: f"\\{sign}" for sign in "&%$#_{}"} | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}"}
    escaped = "".join(special.get(sign, sign) for sign in printable(text))
    escaped = escaped.replace("^", r"\textasciicircum{}").replace("+-", r"$\pm$")
    return re.sub(r"(?<![\w.])-(?=\d)", "$-$", escaped)
