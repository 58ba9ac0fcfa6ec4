"""What commands print and write: sentences, and records in every format, as a table that fits a terminal."""

import json
import os
import sys
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from pathlib import Path
from shutil import get_terminal_size
from typing import Any, Final, Literal, NamedTuple

from qm7cli.core.errors import QM7Error, printable

Format = Literal["table", "csv", "json", "markdown", "latex"]
Records = Sequence[Mapping[str, Any]]
ENDINGS: Final[dict[str, Format]] = {".csv": "csv", ".json": "json", ".md": "markdown", ".tex": "latex"}
SHOW_TRACEBACKS: Final[ContextVar[bool]] = ContextVar("SHOW_TRACEBACKS", default=False)  # as --debug asks
WIDTH: Final = 80  # columns of files
ECHO: Final = 2  # columns that lines on standard error leave free, where a terminal shows ^C
RUN: Final = "run"  # the column whose cells are paths of runs


def say(line: str) -> None:
    """Print a line on standard output."""
    print(printable(line))


def note(message: str) -> None:
    """Print a message on standard error, in one line unless that is a terminal; if nobody listens, the work goes on."""
    text = printable(" ".join(message.split()))
    with suppress(OSError):
        if sys.stderr.isatty():
            text = _wrap(text, get_terminal_size().columns - ECHO, "  ")
        print(text, file=sys.stderr, flush=True)


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
    places = {output.resolve(), *output.resolve().parents} if output else {}
    for path in inputs:
        if path and path.resolve() in places:
            where = f"lies in the run {path}" if path.is_dir() else "is also read here"
            raise QM7Error(f"{output} {where}; choose another output")


def show_number(value: float | None, digits: int = 2) -> str:
    """Return a number with so many decimals; a dash for None."""
    return "-" if value is None else f"{value:.{digits}f}"


def show_mean(summary: Mapping[str, float | None]) -> str:
    """Return mean +- population standard deviation, or the mean alone."""
    spread = "" if summary["std"] is None else f" +- {summary['std']:.2f}"
    return show_number(summary["mean"]) + spread


class Column(NamedTuple):
    """A column of a table of records: the field that it shows, its title, and how values other than texts are shown."""

    key: str
    title: str
    show: Callable[[Any], str] = json.dumps
    left: bool = False  # as words are set
    unit: str = ""  # for the titles in Markdown and LaTeX


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
        Column("seconds", "minutes", lambda seconds: f"{seconds / 60:.1f}"),
    ]


def _wrap(text: str, width: int, indent: str = "") -> str:
    """Return a text in lines of at most so many columns; words, as paths, are not broken."""
    width = max(width, 20)
    return textwrap.fill(text, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


@dataclass
class Table:
    """A table for people: the cells of each column by its title, what stands under it, and a title of the whole.

    `notes` make one paragraph, `sentences` one each, and `below` follows as it is. Rows that share one of the
    `headings` stand under it. The cells of the `wrapped` column take several lines.
    """

    columns: dict[str, list[str]]
    left_columns: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)
    sentences: list[str] = field(default_factory=list)
    below: str = ""
    headings: list[str] = field(default_factory=list)
    units: dict[str, str] = field(default_factory=dict)
    shared: Sequence[str] = ()
    optional: Sequence[str] = ()
    details: Sequence[str] = ()
    keys: Sequence[str] = ()
    title: str = ""
    wrapped: str = ""
    width: int = WIDTH

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
                _wrap(printable(cell), width).split("\n") if title == self.wrapped else [printable(cell)]
                for title, cell, width in zip(self.columns, line, widths, strict=True)
            ]
            for parts in zip_longest(*cells, fillvalue=""):
                aligned = [
                    part.ljust(width) if title in self.left_columns else part.rjust(width)
                    for title, part, width in zip(self.columns, parts, widths, strict=True)
                ]
                text += "  ".join(aligned).rstrip() + "\n"
            if rule and k == 0:
                text += "─" * (sum(widths) + 2 * len(widths) - 2) + "\n"
        text += _wrap(printable("; ".join(self.notes)), self.width) + "\n" * bool(self.notes)
        text += "".join(_wrap(printable(sentence), self.width, "  ") + "\n" for sentence in self.sentences)
        return text + printable(self.below, keep="\n")

    def fit(self) -> "Table":
        """Return the table as it fits its `width`, as far as that is possible.

        While it is too wide, the column `RUN` is left out if the `keys` tell the rows apart, and else becomes headings;
        `shared` and `optional` columns that say one thing everywhere are said below; other `optional` ones are left
        out, the least needed first. If that is not enough, it is done without the `details`.
        """
        fitted = self._fit(())
        return self._fit(self.details) if fitted.is_too_wide else fitted

    @property
    def is_too_wide(self) -> bool:
        """Whether the columns take more than the `width`, a wrapped one aside."""
        return sum(self._widths()) + 2 * (len(self.columns) - 1) > self.width

    def _widths(self) -> list[int]:
        widths = [max(len(printable(cell)) for cell in (title, *cells)) for title, cells in self.columns.items()]
        if self.wrapped in self.columns:
            k = list(self.columns).index(self.wrapped)
            others = sum(widths) - widths[k] + 2 * (len(widths) - 1)
            widths[k] = min(widths[k], max(20, self.width - others))
        return widths

    def _fit(self, details: Sequence[str]) -> "Table":
        columns = {title: cells for title, cells in self.columns.items() if title not in details}
        told = {title: {*cells} - {""} for title, cells in columns.items()}  # a mean has empty cells
        for title in {*self.shared, *self.optional, *self.details} & {*columns}:
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
        for title in (*self.shared, *self.optional):
            if title in columns and len(told[title]) == 1 and fitted.is_too_wide:
                fitted.notes.append(f"{title}: {columns.pop(title)[0]}")
        left_out = [title for title in self.optional if title in columns and fitted.is_too_wide and columns.pop(title)]
        return replace(fitted, notes=[*fitted.notes, f"not shown: {', '.join(left_out)}"]) if left_out else fitted


def make_table(records: Records, columns: Sequence[Column], *notes: str, **fitting: Any) -> Table:
    """Return a table of records, a row each; None is a dash, and a field that a record lacks an empty cell."""
    cells: dict[str, list[str]] = {}
    for column in columns:
        values = ["-" if (value := record.get(column.key, "")) is None else value for record in records]
        cells[column.title] = [value if isinstance(value, str) else column.show(value) for value in values]
    left_columns = {column.title for column in columns if column.left}
    units = {column.title: column.unit for column in columns if column.unit}
    return Table(cells, left_columns, list(notes), units=units, **fitting)


def write_output(
    shown: Table | Sequence[Table], records: Records = (), format_: Format | None = None, output: Path | None = None
) -> Format:
    """Write records, shown as a table or several, to a file, or print them; return the format, by default the ending's.

    A pipe gets the text as it is, a terminal without what would steer it.
    """
    from qm7cli.cli.formats import csv_text, latex_text, markdown_text

    terminal = output is None and sys.stdout.isatty()
    format_ = format_ or ENDINGS.get(output.suffix.lower() if output else "", "table")
    width = get_terminal_size().columns if output is None or "COLUMNS" in os.environ else WIDTH
    tables = [replace(table, width=width) for table in ([shown] if isinstance(shown, Table) else shown)]
    render: dict[Format, Callable[[], str]] = {
        "table": lambda: "\n".join(table.fit().text(rule=terminal) for table in tables),
        "csv": lambda: csv_text(records),
        "json": lambda: json.dumps(list(records)) + "\n",
        "markdown": lambda: "\n".join(map(markdown_text, tables)),
        "latex": lambda: "\n".join(map(latex_text, tables)),
    }
    text = render[format_]()
    if output is None:
        print(printable(text, keep="\n") if terminal else text, end="")
    else:
        from qm7cli.core.files import write_text

        write_text(output, text)
    return format_
