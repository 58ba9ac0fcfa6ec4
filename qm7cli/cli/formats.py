"""Records as text, for people and for programs."""

import html
import json
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Annotated, Any

import typer

from qm7cli.cli.common import Table


class TableFormat(StrEnum):
    """How a table is printed."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    YAML = "yaml"
    MARKDOWN = "markdown"
    LATEX = "latex"


TableFormatOption = Annotated[
    TableFormat, typer.Option("--format", help="Unrounded in csv, json and yaml; latex needs booktabs.")
]


def format_records(records: Sequence[dict[str, Any]], table: Table, format_: TableFormat, words: int) -> str | None:
    """Return records, or the table of them that people read, as text; None for a table."""
    from qm7cli.files import format_csv, format_yaml

    match format_:
        case TableFormat.CSV:
            return format_csv(list(records[0]), [list(map(_plain, record.values())) for record in records])
        case TableFormat.JSON:
            return json.dumps(records) + "\n"
        case TableFormat.YAML:
            return format_yaml(list(records))
        case TableFormat.MARKDOWN:
            return _markdown(*table, words)
        case TableFormat.LATEX:
            return _latex(*table, words)
    return None


def cell(value: Any) -> str:
    """Return a setting for a table."""
    return "-" if value is None else str(value) if isinstance(value, str) else json.dumps(value)


def _plain(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, list) else value


def _markdown(header: Sequence[str], rows: Iterable[Sequence[str]], words: int) -> str:
    rule = ["---" if k < words else "---:" for k in range(len(header))]
    lines = [[html.escape(text, quote=False).replace("|", "\\|") for text in line] for line in (header, rule, *rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _latex(header: Sequence[str], rows: Iterable[Sequence[str]], words: int) -> str:
    columns = "l" * words + "r" * (len(header) - words)
    top, *body = [" & ".join(map(_tex, line)) + " \\\\" for line in (header, *rows)]
    lines = [f"\\begin{{tabular}}{{{columns}}}", "\\toprule", top, "\\midrule", *body, "\\bottomrule", "\\end{tabular}"]
    return "\n".join(lines) + "\n"


def _tex(text: str) -> str:
    special = {sign: f"\\{sign}" for sign in "&%$#_{}"} | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}"}
    escaped = "".join(special.get(sign, sign) for sign in text)
    return escaped.replace("^", r"\textasciicircum{}").replace("+-", r"$\pm$")
