"""Records and tables as text in formats for programs and other pages: CSV, Markdown, LaTeX."""

import html
import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from qm7cli.core.errors import printable
from qm7cli.core.files import format_csv

if TYPE_CHECKING:
    from qm7cli.cli.output import Records, Table


def csv_text(records: "Records") -> str:
    """Return records as CSV: plain data, nothing escaped but by quoting."""

    def cell(value: Any) -> Any:
        if isinstance(value, list) and all(isinstance(each, str) for each in value):
            return "; ".join(value)
        return json.dumps(value) if isinstance(value, list | bool) else value

    header = list(records[0]) if records else []
    return format_csv(header, [[cell(row[key]) for key in header] for row in records])


def markdown_text(table: "Table") -> str:
    """Return a table, its units and its sentences as Markdown."""
    top, *rows = table.lines
    rule = ["---" if title in table.left_columns else "---:" for title in table.columns]
    lines = [
        [html.escape(printable(text), quote=False).replace("|", "\\|") for text in line] for line in (top, rule, *rows)
    ]
    said = "".join(f"- {printable(sentence)}\n" for sentence in table.sentences)
    title = f"**{printable(table.title)}**\n\n" if table.title else ""
    return title + "".join(f"| {' | '.join(line)} |\n" for line in lines) + (f"\n{said}" if said else "")


def latex_text(table: "Table") -> str:
    """Return a table, without its details, for LaTeX with the package booktabs."""
    shown = {title: cells for title, cells in table.columns.items() if title not in table.details}
    table = replace(table, columns=shown)
    columns = "".join("l" if title in table.left_columns else "r" for title in table.columns)
    top, *body = [" & ".join(map(_escape_latex, line)) + " \\\\" for line in table.lines]
    if table.title:
        top = f"\\multicolumn{{{len(columns)}}}{{l}}{{{_escape_latex(table.title)}}} \\\\\n{top}"
    lines = [f"\\begin{{tabular}}{{{columns}}}", "\\toprule", top, "\\midrule", *body, "\\bottomrule", "\\end{tabular}"]
    return "\n".join(lines) + "\n"


def _escape_latex(text: str) -> str:
    special = {sign: f"\\{sign}" for sign in "&%$#_{}"} | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}"}
    escaped = "".join(special.get(sign, sign) for sign in printable(text))
    escaped = escaped.replace("^", r"\textasciicircum{}").replace("+-", r"$\pm$").replace("<", "$<$")
    return re.sub(r"(?<![\w.])-(?=\d)", "$-$", escaped)
