"""Tables of text, whose columns go by name, and which can be made to fit a terminal."""

import json
import re
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any, Final, NamedTuple

from qm7cli.core.escaping import printable

WIDTH: Final = 80  # columns of a terminal that tables and sentences under them fit
RUN: Final = "run"  # the column whose cells are paths of runs, which may be cut down


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
    """A column of a table of records.

    Attributes
    ----------
    key : str
        The field of the records that it shows.
    title : str
        What stands over it.
    show : callable
        Turns a value into text; texts are shown as they are.
    left : bool
        Whether it is set to the left, as words are; else to the right.
    unit : str
        Of its values, for the titles in Markdown and LaTeX.
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
    """A table for people.

    Attributes
    ----------
    columns : dict
        The cells of each column, by its title.
    left_columns : set of str
        Titles of the columns that are set to the left.
    notes : list of str
        What is said under the table in one paragraph, first the units.
    below : str
        What follows the notes, as it is.
    headings : list of str
        Of each row, a line above the rows that share it; or none.
    units : dict
        Of the values of columns, by title.
    """

    columns: dict[str, list[str]]
    left_columns: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)
    below: str = ""
    headings: list[str] = field(default_factory=list)
    units: dict[str, str] = field(default_factory=dict)

    @property
    def header(self) -> list[str]:
        """The titles of the columns."""
        return list(self.columns)

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
        return paragraph("; ".join(self.notes)) + self.below

    @property
    def is_too_wide(self) -> bool:
        """Whether a line of the table is wider than `WIDTH`."""
        return max(map(len, self.plain_text().splitlines())) > WIDTH

    def plain_text(self) -> str:
        """Return the table as lines of aligned columns, without what stands under it."""
        lines = [[printable(cell) for cell in line] for line in (self.header, *self.rows)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        text = ""
        for k, line in enumerate(lines):
            if self.headings and k > 0 and (k == 1 or self.headings[k - 1] != self.headings[k - 2]):
                text += f"{printable(self.headings[k - 1])}\n"
            cells = [
                cell.ljust(width) if title in self.left_columns else cell.rjust(width)
                for title, cell, width in zip(self.columns, line, widths, strict=True)
            ]
            text += "  ".join(cells).rstrip() + "\n"
        return text

    def fit(self, optional: Sequence[str] = (), keys: Sequence[str] = ()) -> "Table":
        """Make the table fit `WIDTH`, as far as that is possible, say under it what is left out, and return it.

        Step by step while it is too wide: the column `RUN` is left out if the columns `keys` tell the rows apart, or
        else its names are cut down to what differs; `optional` columns that say one thing everywhere are said under the
        table; the runs become headings; other `optional` columns are left out.

        Parameters
        ----------
        optional : sequence of str
            Titles of columns that may be left out, the least needed first; one without a value always is.
        keys : sequence of str
            Titles of columns that may tell the rows apart without the runs.
        """
        for title in optional:
            if not self._values(title) - {"-"}:
                self.columns.pop(title, None)
        if RUN in self.columns and self.is_too_wide:
            self._cut_down_runs(keys)
        for title in optional:
            values = self._values(title)
            if len(values) == 1 and self.is_too_wide:
                self.notes.append(f"{title}: {values.pop()}")
                del self.columns[title]
        if RUN in self.columns and self.is_too_wide:
            self.headings = self.columns.pop(RUN)
        left_out = []
        for title in optional:
            if title in self.columns and self.is_too_wide:
                left_out.append(title)
                del self.columns[title]
        if left_out:
            self.notes.append(f"not shown: {', '.join(left_out)}")
        return self

    def _cut_down_runs(self, keys: Iterable[str]) -> None:
        names = list(dict.fromkeys(self.columns[RUN]))
        rows = set(zip(*(self.columns[key] for key in keys if key in self.columns), strict=True))
        if len(names) == 1:
            self.notes.append(f"{RUN}: {printable(names[0])}")
        if len(names) == 1 or len(rows) == len(self.columns[RUN]):
            del self.columns[RUN]
        else:
            short, pattern = shorten_names(names)
            self.columns[RUN] = [short[name] for name in self.columns[RUN]]
            self.notes.append(f"{RUN}: {printable(pattern)}")

    def _values(self, title: str) -> set[str]:
        """Return the different cells of a column, if there is one, without the empty ones of a mean."""
        return set(self.columns.get(title, ())) - {""}


def make_table(records: Sequence[Mapping[str, Any]], columns: Sequence[Column], *notes: str) -> Table:
    """Return a table of records, a row each; a field that a record lacks is an empty cell."""
    cells = {column.title: [_cell(record.get(column.key, ""), column) for record in records] for column in columns}
    left_columns = {column.title for column in columns if column.left}
    return Table(cells, left_columns, list(notes), units={each.title: each.unit for each in columns if each.unit})


def _cell(value: Any, column: Column) -> str:
    return value if isinstance(value, str) else column.show(value)


def shorten_names(names: Sequence[str]) -> tuple[dict[str, str], str]:
    """Return what tells each of several names from the others, and what they share, with ``*`` for the rest.

    ``runs/qm7-original-seed0`` and ``runs/qm7-no-prebias-seed0`` are ``original`` and ``no-prebias`` of
    ``runs/qm7-*-seed0``: names have parts, which end at ``/`` and before ``-`` and a letter.
    """
    parts = [re.split(r"(?<=/)|(?=-[^\W\d])", name) for name in names]
    own = min(map(len, parts)) - 1  # each keeps one part at least
    first = min(own, _count_shared(parts))
    last = min(own - first, _count_shared([each[::-1] for each in parts]))
    middles = ["".join(each[first : len(each) - last]) for each in parts]
    before, after = "".join(parts[0][:first]), "".join(parts[0][len(parts[0]) - last :])
    if all(middle.startswith("-") for middle in middles):
        before, middles = f"{before}-", [middle[1:] for middle in middles]
    return dict(zip(names, middles, strict=True)), f"{before}*{after}"


def _count_shared(lists: Iterable[Sequence[str]]) -> int:
    """Return how many items, from the first, all lists share."""
    return sum(1 for _ in takewhile(lambda items: len(set(items)) == 1, zip(*lists, strict=False)))
