"""What commands print and write: sentences, tables, and records in every format."""

import html
import json
import sys
from collections.abc import Container, Mapping, Sequence
from contextlib import suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Final, Literal

from qm7cli.cli.tables import Table
from qm7cli.core.escaping import printable

Format = Literal["table", "csv", "json", "yaml", "markdown", "latex"]
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


def write_output(table: Table, text: str | None = None, output: Path | None = None) -> None:
    """Write a text or, without one, a table and what stands under it to `output`, or to standard output.

    A file and a pipe get the text as it is, a terminal without what would steer it.
    """
    after = printable(table.after, keep="\n")
    if output is not None:
        from qm7cli.core.files import write_output_text

        write_output_text(output, table.plain_text() + after if text is None else text)
    elif text is None:
        _print_table(table)
        print(after, end="")
    else:
        print(printable(text, keep="\n") if sys.stdout.isatty() else text, end="")


def _print_table(table: Table) -> None:
    """Print a table: with a line under its header on a terminal that is wide enough, plain elsewhere."""
    if not sys.stdout.isatty() or table.headings:
        print(table.plain_text(), end="")
        return
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    drawn = RichTable(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    for title in table.columns:
        justify: Literal["left", "right"] = "left" if title in table.left_columns else "right"
        drawn.add_column(Text(printable(title)), justify=justify, no_wrap=True)
    left = [title in table.left_columns for title in table.columns]
    for row in table.rows:
        is_mean = any(cell == "mean" for cell, is_left in zip(row, left, strict=True) if is_left)
        drawn.add_row(*(Text(printable(cell)) for cell in row), style="bold" if is_mean else None)
    console = Console(highlight=False)
    needed = console.measure(drawn, options=console.options.update(width=10_000)).maximum
    if needed <= console.width:
        console.print(drawn)
    else:
        print(table.plain_text(), end="")


def format_records(
    format_: Format,
    records: Sequence[Mapping[str, Any]],
    table: Table,
    data: Any = None,
    documents: Container[Format] = (),
) -> str | None:
    """Return records as text; None for the format ``table``.

    Parameters
    ----------
    format_ : Format
        CSV has a line for each of the records, Markdown and LaTeX have the table with units, JSON and YAML the data.
    records : sequence of mapping
        All with the same fields.
    table : Table
        What people read of them.
    data : list or dict, optional
        Without it, the records.
    documents : container of Format
        Those of JSON and YAML in which each item of the data is a line, or a document, of its own.
    """
    from qm7cli.core.files import format_csv
    from qm7cli.core.yaml_text import format_yaml

    def cell(value: Any) -> Any:
        return json.dumps(value) if isinstance(value, list) else value

    data = list(records) if data is None else data
    items = data if format_ in documents else [data]
    match format_:
        case "csv":
            return format_csv(list(records[0]), [[cell(row[key]) for key in records[0]] for row in records])
        case "json":
            return "".join(json.dumps(item) + "\n" for item in items)
        case "yaml":
            return "---\n".join(format_yaml(item) for item in items)
        case "markdown":
            return _format_markdown(table)
        case "latex":
            return _format_latex(table)
        case "table":
            return None


def _format_markdown(table: Table) -> str:
    rule = ["---" if title in table.left_columns else "---:" for title in table.columns]
    lines = [
        [html.escape(printable(text), quote=False).replace("|", "\\|") for text in line]
        for line in (table.header_with_units, rule, *table.rows)
    ]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _format_latex(table: Table) -> str:
    columns = "".join("l" if title in table.left_columns else "r" for title in table.columns)
    top, *body = [" & ".join(map(_escape_latex, line)) + " \\\\" for line in (table.header_with_units, *table.rows)]
    lines = [f"\\begin{{tabular}}{{{columns}}}", "\\toprule", top, "\\midrule", *body, "\\bottomrule", "\\end{tabular}"]
    return "\n".join(lines) + "\n"


def _escape_latex(text: str) -> str:
    special = {sign: f"\\{sign}" for sign in "&%$#_{}"} | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}"}
    escaped = "".join(special.get(sign, sign) for sign in printable(text))
    return escaped.replace("^", r"\textasciicircum{}").replace("+-", r"$\pm$")
