"""Tables of text, whose columns go by name, and which can be made to fit a terminal."""

import json
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple

from qm7cli.core.errors import printable

WIDTH: Final = 80  # columns of a terminal that tables and sentences under them fit
RUN: Final = "run"  # the column whose cells are paths of runs


def show_value(value: Any) -> str:
    """Return a text as it is, other values as JSON; a dash for None."""
    return "-" if value is None else value if isinstance(value, str) else json.dumps(value)


def show_number(value: float | None, digits: int = 2) -> str:
    """Return a number with so many decimals; a dash for None."""
    return "-" if value is None else f"{value:.{digits}f}"


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


def metric_columns(keys: Iterable[str]) -> list[Column]:
    """Return the columns of the metrics with these keys."""
    from qm7cli.model.metrics import METRICS

    return [Column(key, METRICS[key].label, show_number, unit=METRICS[key].unit) for key in keys]


def result_columns() -> list[Column]:
    """Return the columns of folds' results."""
    from qm7cli.model.metrics import METRICS

    return [
        Column("fold", "fold", left=True),
        Column("status", "status"),
        Column("iterations", "iterations", lambda count: str(count or "-")),
        *metric_columns(METRICS),
        Column("seconds", "minutes", lambda seconds: show_number(seconds and seconds / 60, 1)),
    ]


def paragraph(text: str, indent: str = "") -> str:
    """Return a text in lines of at most `WIDTH` columns; words are not broken, as paths are words."""
    lines = textwrap.fill(text, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    return f"{lines}\n" if text else ""


@dataclass
class Table:
    """A table for people: the cells of each column by its title, and what stands under it.

    `left_columns` are set to the left, `units` are those of columns. `notes` make one paragraph under the table, the
    units first, `sentences` one each, and `below` follows as it is. Rows that share one of the `headings` stand under
    it. To fit a terminal, `optional` columns may be left out, the least needed first, and the `details` all together;
    the `keys` are columns that may tell the rows apart without the runs.
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

    @property
    def header_with_units(self) -> list[str]:
        """The titles of the columns, as ``test MAE, kcal/mol``."""
        return [f"{title}, {self.units[title]}" if title in self.units else title for title in self.columns]

    @property
    def rows(self) -> list[tuple[str, ...]]:
        """The rows, without headings."""
        return list(zip(*self.columns.values(), strict=True))

    @property
    def after(self) -> str:
        """What stands under the table."""
        sentences = "".join(paragraph(sentence, indent="  ") for sentence in self.sentences)
        return paragraph("; ".join(self.notes)) + sentences + self.below

    def plain_text(self) -> str:
        """Return the table as lines of aligned columns, without what stands under it."""
        widths, text = self._widths(), ""
        for k, line in enumerate((self.columns, *self.rows)):
            if self.headings and k > 0 and (k == 1 or self.headings[k - 1] != self.headings[k - 2]):
                text += f"{printable(self.headings[k - 1])}\n"
            cells = [
                printable(cell).ljust(width) if title in self.left_columns else printable(cell).rjust(width)
                for title, cell, width in zip(self.columns, line, widths, strict=True)
            ]
            text += "  ".join(cells).rstrip() + "\n"
        return text

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
                fitted.notes.append(f"{RUN}: {printable(runs[0])}")
            elif len(rows) < len(runs):
                fitted.headings = runs
        for title in self.optional:
            if title in columns and len(told[title]) == 1 and fitted.is_too_wide:
                fitted.notes.append(f"{title}: {columns.pop(title)[0]}")
        left_out = [title for title in self.optional if title in columns and fitted.is_too_wide and columns.pop(title)]
        return replace(fitted, notes=[*fitted.notes, f"not shown: {', '.join(left_out)}"]) if left_out else fitted


def make_table(records: Sequence[Mapping[str, Any]], columns: Sequence[Column], *notes: str, **fitting: Any) -> Table:
    """Return a table of records, a row each; a field that a record lacks is an empty cell.

    `fitting` is what a `Table` takes to fit a terminal.
    """
    cells = {column.title: [_cell(record.get(column.key, ""), column) for record in records] for column in columns}
    left_columns = {column.title for column in columns if column.left}
    units = {each.title: each.unit for each in columns if each.unit}
    return Table(cells, left_columns, list(notes), units=units, **fitting)


def _cell(value: Any, column: Column) -> str:
    return value if isinstance(value, str) else column.show(value)
