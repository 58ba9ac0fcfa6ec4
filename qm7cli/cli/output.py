"""What commands print and write: sentences, and records in every format, as a table that fits a terminal."""

import html
import json
import re
import sys
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from qm7cli.core.errors import QM7Error, printable

Format = Literal["table", "csv", "json", "markdown", "latex"]
Records = Sequence[Mapping[str, Any]]
ENDINGS: Final[dict[str, Format]] = {".csv": "csv", ".json": "json", ".md": "markdown", ".tex": "latex"}
SHOW_TRACEBACKS: Final[ContextVar[bool]] = ContextVar("SHOW_TRACEBACKS", default=False)  # as --debug asks
WIDTH: Final = 80  # columns of a terminal that tables and sentences under them fit
RUN: Final = "run"  # the column whose cells are paths of runs


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
    if output is None:
        return
    places = {output.resolve(), *output.resolve().parents}
    for path in inputs:
        if path and path.resolve() in places:
            where = f"lies in the run {path}" if path.is_dir() else "is also read here"
            raise QM7Error(f"{output} {where}; choose another output")


def show_value(value: Any) -> str:
    """Return a text as it is, other values as JSON; a dash for None."""
    return "-" if value is None else value if isinstance(value, str) else json.dumps(value)


def show_number(value: float | None, digits: int = 2) -> str:
    """Return a number with so many decimals; a dash for None."""
    return "-" if value is None else f"{value:.{digits}f}"


def show_half_width(width: float | None) -> str:
    """Return the half-width of an interval; a dash for None."""
    return "-" if width is None else f"+-{width:.2f}"


def show_mean(summary: Mapping[str, float | None]) -> str:
    """Return mean +- population standard deviation, or the mean alone."""
    spread = "" if summary["std"] is None else f" +- {summary['std']:.2f}"
    return show_number(summary["mean"]) + spread


class Column(NamedTuple):
    """A column of a table of records: the field that it shows, what stands over it, and how values become text.

    Words are set to the left; the unit is for the titles in Markdown and LaTeX.
    """

    key: str
    title: str
    show: Callable[[Any], str] = show_value
    left: bool = False
    unit: str = ""


def metric_columns(*parts: str) -> list[Column]:
    """Return a column for each metric of the test or training molecules, or of both."""
    from qm7cli.model.metrics import METRICS

    metrics = [metric for metric in METRICS.values() if metric.part in parts]
    return [Column(metric.key, metric.label, show_number, unit=metric.unit) for metric in metrics]


def result_columns() -> list[Column]:
    """Return the columns of folds' results."""
    return [
        Column("fold", "fold", left=True),
        Column("status", "status"),
        Column("iterations", "iterations", lambda count: str(count or "-")),
        *metric_columns("test", "train"),
        Column("seconds", "minutes", lambda seconds: show_number(seconds and seconds / 60, 1)),
    ]


def _paragraph(text: str, indent: str = "") -> str:
    """Return a text in lines of at most `WIDTH` columns; words, as paths, are not broken."""
    lines = textwrap.fill(text, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    return f"{printable(lines, keep=chr(10))}\n" if text else ""


@dataclass
class Table:
    """A table for people: the cells of each column by its title, what stands under it, and a title of the whole.

    `notes` make one paragraph, `sentences` one each, and `below` follows as it is. Rows that share one of the
    `headings` stand under it. To fit a terminal, `optional` columns may be left out, the least needed first, and the
    `details` all together; the `keys` are columns that may tell the rows apart without the runs.
    """

    columns: dict[str, list[str]]
    left_columns: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)
    sentences: list[str] = field(default_factory=list)
    below: str = ""
    headings: list[str] = field(default_factory=list)
    units: dict[str, str] = field(default_factory=dict)
    optional: Sequence[str] = ()
    details: Sequence[str] = ()
    keys: Sequence[str] = ()
    title: str = ""

    @property
    def rows(self) -> list[tuple[str, ...]]:
        """The rows, without headings."""
        return list(zip(*self.columns.values(), strict=True))

    @property
    def lines(self) -> list[Sequence[str]]:
        """The titles of the columns, as ``test MAE, kcal/mol``, and the rows."""
        titles = [f"{title}, {self.units[title]}" if title in self.units else title for title in self.columns]
        return [titles, *self.rows]

    def text(self, *, rule: bool = False) -> str:
        """Return aligned columns, with a line under their titles if a `rule` is wanted, and what stands below."""
        widths = self._widths()
        text = f"{printable(self.title)}\n" if self.title else ""
        for k, line in enumerate((self.columns, *self.rows)):
            if self.headings and k > 0 and (k == 1 or self.headings[k - 1] != self.headings[k - 2]):
                text += f"{printable(self.headings[k - 1])}\n"
            cells = [
                printable(cell).ljust(width) if title in self.left_columns else printable(cell).rjust(width)
                for title, cell, width in zip(self.columns, line, widths, strict=True)
            ]
            text += "  ".join(cells).rstrip() + "\n"
            if rule and k == 0:
                text += "─" * (sum(widths) + 2 * len(widths) - 2) + "\n"
        sentences = "".join(_paragraph(sentence, indent="  ") for sentence in self.sentences)
        return text + _paragraph("; ".join(self.notes)) + sentences + printable(self.below, keep="\n")

    def fit(self) -> "Table":
        """Return the table as it fits `WIDTH`, as far as that is possible.

        Step by step while it is too wide: the column `RUN` is left out if the `keys` tell the rows apart, and else the
        runs become headings; `optional` columns that say one thing everywhere are said below, others left out.
        """
        fitted = self._fit(())
        return self._fit(self.details) if fitted.is_too_wide else fitted

    @property
    def is_too_wide(self) -> bool:
        """Whether the columns take more than `WIDTH`."""
        return sum(self._widths()) + 2 * (len(self.columns) - 1) > WIDTH

    def _widths(self) -> list[int]:
        return [max(len(printable(cell)) for cell in (title, *cells)) for title, cells in self.columns.items()]

    def _fit(self, details: Sequence[str]) -> "Table":
        columns = {title: cells for title, cells in self.columns.items() if title not in details}
        told = {title: {*cells} - {""} for title, cells in columns.items()}  # a mean has empty cells
        for title in {*self.optional, *self.details} & {*columns}:
            if not told[title] - {"-"}:
                del columns[title]
        fitted = replace(self, columns=columns, notes=[*self.notes])
        if RUN in columns and fitted.is_too_wide:
            runs = columns.pop(RUN)
            rows = set(zip(*(columns[key] for key in self.keys if key in columns), strict=True))
            if len(told[RUN]) == 1:
                fitted.notes.append(f"{RUN}: {runs[0]}")
            elif len(rows) < len(runs):
                fitted.headings = runs
        for title in self.optional:
            if title in columns and len(told[title]) == 1 and fitted.is_too_wide:
                fitted.notes.append(f"{title}: {columns.pop(title)[0]}")
        left_out = [title for title in self.optional if title in columns and fitted.is_too_wide and columns.pop(title)]
        return replace(fitted, notes=[*fitted.notes, f"not shown: {', '.join(left_out)}"]) if left_out else fitted


def make_table(records: Records, columns: Sequence[Column], *notes: str, **fitting: Any) -> Table:
    """Return a table of records, a row each; a field that a record lacks is an empty cell."""
    cells: dict[str, list[str]] = {}
    for column in columns:
        values = [record.get(column.key, "") for record in records]
        cells[column.title] = [value if isinstance(value, str) else column.show(value) for value in values]
    left_columns = {column.title for column in columns if column.left}
    units = {column.title: column.unit for column in columns if column.unit}
    return Table(cells, left_columns, list(notes), units=units, **fitting)


def write_output(
    shown: Table | Sequence[Table], records: Records = (), format_: Format | None = None, output: Path | None = None
) -> Format:
    """Write records, shown as a table or several, to a file, or print them, and return the format.

    It is that of the file's ending unless one is given.

    CSV and JSON have the records, Markdown and LaTeX the whole table with units; what is printed as a table fits a
    terminal. A pipe gets the text as it is, a terminal without what would steer it.
    """
    terminal = output is None and sys.stdout.isatty()
    format_ = format_ or ENDINGS.get(output.suffix.lower() if output else "", "table")
    tables = [shown] if isinstance(shown, Table) else shown
    render: dict[Format, Callable[[], str]] = {
        "table": lambda: "\n".join(table.fit().text(rule=terminal) for table in tables),
        "csv": lambda: _csv(records),
        "json": lambda: json.dumps(list(records)) + "\n",
        "markdown": lambda: "\n".join(map(_markdown, tables)),
        "latex": lambda: "\n".join(map(_latex, tables)),
    }
    text = render[format_]()
    if output is None:
        print(printable(text, keep="\n") if terminal else text, end="")
    else:
        from qm7cli.core.files import write_text

        write_text(output, text)
    return format_


def _csv(records: Records) -> str:
    from qm7cli.core.files import format_csv

    def cell(value: Any) -> Any:
        if isinstance(value, list) and all(isinstance(each, str) for each in value):
            return "; ".join(value)
        return json.dumps(value) if isinstance(value, list | bool) else value

    header = list(records[0]) if records else []
    return format_csv(header, [[cell(row[key]) for key in header] for row in records])


def _markdown(table: Table) -> str:
    top, *rows = table.lines
    rule = ["---" if title in table.left_columns else "---:" for title in table.columns]
    lines = [
        [html.escape(printable(text), quote=False).replace("|", "\\|") for text in line] for line in (top, rule, *rows)
    ]
    said = "".join(f"- {printable(sentence)}\n" for sentence in table.sentences)
    title = f"**{printable(table.title)}**\n\n" if table.title else ""
    return title + "".join(f"| {' | '.join(line)} |\n" for line in lines) + (f"\n{said}" if said else "")


def _latex(table: Table) -> str:
    columns = "".join("l" if title in table.left_columns else "r" for title in table.columns)
    top, *body = [" & ".join(map(_escape_latex, line)) + " \\\\" for line in table.lines]
    if table.title:
        top = f"\\multicolumn{{{len(columns)}}}{{l}}{{{_escape_latex(table.title)}}} \\\\\n{top}"
    lines = [f"\\begin{{tabular}}{{{columns}}}", "\\toprule", top, "\\midrule", *body, "\\bottomrule", "\\end{tabular}"]
    return "\n".join(lines) + "\n"


def _escape_latex(text: str) -> str:
    special = {sign: f"\\{sign}" for sign in "&%$#_{}"} | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}"}
    escaped = "".join(special.get(sign, sign) for sign in printable(text))
    escaped = escaped.replace("^", r"\textasciicircum{}").replace("+-", r"$\pm$")
    return re.sub(r"(?<![\w.])-(?=\d)", "$-$", escaped)
