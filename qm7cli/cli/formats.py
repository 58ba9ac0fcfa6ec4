"""Records as text, for people and for programs; tables that fit a terminal."""

import html
import json
import re
from collections.abc import Iterable, Sequence
from enum import StrEnum
from itertools import takewhile
from typing import Annotated, Any, NamedTuple

import typer

from qm7cli.cli.common import WIDTH, Table, paragraph, plain_table
from qm7cli.escaping import printable


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
    from qm7cli.files import format_csv
    from qm7cli.yaml_text import format_yaml

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
    lines = [[_md(text) for text in line] for line in (header, rule, *rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _md(text: str) -> str:
    return html.escape(printable(text), quote=False).replace("|", "\\|")


def _latex(header: Sequence[str], rows: Iterable[Sequence[str]], words: int) -> str:
    columns = "l" * words + "r" * (len(header) - words)
    top, *body = [" & ".join(map(_tex, line)) + " \\\\" for line in (header, *rows)]
    lines = [f"\\begin{{tabular}}{{{columns}}}", "\\toprule", top, "\\midrule", *body, "\\bottomrule", "\\end{tabular}"]
    return "\n".join(lines) + "\n"


def _tex(text: str) -> str:
    special = {sign: f"\\{sign}" for sign in "&%$#_{}"} | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}"}
    escaped = "".join(special.get(sign, sign) for sign in printable(text))
    return escaped.replace("^", r"\textasciicircum{}").replace("+-", r"$\pm$")


class Fitted(NamedTuple):
    """A table for people, how many of its columns are of words, and the text under it."""

    table: Table
    words: int
    after: str

    @property
    def fits(self) -> bool:
        """Whether no line of the table is wider than `WIDTH`."""
        return max(map(len, plain_table(*self.table, self.words).splitlines())) <= WIDTH


def fit(table: Table, words: int, text: str = "", optional: Sequence[str] = (), keys: Sequence[str] = ()) -> Fitted:
    """Make a table fit `WIDTH`, as far as that is possible, and say under it what is then not in it.

    Step by step while it is too wide: the runs are left out if the `keys` tell the rows apart, or else their names cut
    down to what differs; `optional` columns that say one thing everywhere are said under the table; the runs become
    headings; other `optional` columns are left out.

    Parameters
    ----------
    table : Table
        Header and rows; the runs' names, if there are any, are in its first column, ``run``.
    words : int
        How many columns, from the first, are of words.
    text : str
        What is said under the table first, as its units.
    optional : sequence of str
        Columns that may be left out, the least needed first; one that says nothing is.
    keys : sequence of str
        Columns that may tell the rows apart without the runs.
    """
    columns = _Columns(table, words, text)
    columns.leave_out_empty(optional)
    columns.cut_down_runs(keys)
    columns.say_constants(optional)
    columns.make_headings()
    columns.leave_out(optional)
    return columns.fitted()


class _Columns:
    """The columns of a table by name, fewer and fewer while it is too wide, and what is said in their place."""

    def __init__(self, table: Table, words: int, text: str) -> None:
        self.columns = dict(zip(table[0], map(list, zip(*table[1], strict=True)), strict=True))
        self.words = set(table[0][:words])
        self.headings: list[str] = []  # of each row
        self.said = [text] if text else []

    def fitted(self) -> Fitted:
        rows: list[Sequence[str]] = list(zip(*self.columns.values(), strict=True))
        for k in reversed(range(len(self.headings))):
            if k == 0 or self.headings[k] != self.headings[k - 1]:
                rows.insert(k, [self.headings[k]])
        words = len(self.words & self.columns.keys())
        return Fitted((list(self.columns), rows), words, paragraph("; ".join(self.said)))

    @property
    def too_wide(self) -> bool:
        return not self.fitted().fits

    def leave_out_empty(self, names: Iterable[str]) -> None:
        for name in names:
            if not self._values(name) - {"-"}:
                del self.columns[name]

    def cut_down_runs(self, keys: Iterable[str]) -> None:
        if "run" not in self.columns or not self.too_wide:
            return
        names = list(dict.fromkeys(self.columns["run"]))
        places = set(zip(*(self.columns[key] for key in keys if key in self.columns), strict=True))
        if len(names) == 1:
            self.said.append(f"run: {names[0]}")
        if len(names) == 1 or len(places) == len(self.columns["run"]):
            del self.columns["run"]
        else:
            short, pattern = shorten(names)
            self.columns["run"] = [short[name] for name in self.columns["run"]]
            self.said.append(f"run: {pattern}")

    def say_constants(self, names: Iterable[str]) -> None:
        for name in names:
            values = self._values(name)
            if len(values) == 1 and self.too_wide:
                self.said.append(f"{name}: {values.pop()}")
                del self.columns[name]

    def make_headings(self) -> None:
        if "run" in self.columns and self.too_wide:
            self.headings = self.columns.pop("run")

    def leave_out(self, names: Iterable[str]) -> None:
        absent = []
        for name in names:
            if name in self.columns and self.too_wide:
                absent.append(name)
                del self.columns[name]
        if absent:
            self.said.append(f"not shown: {', '.join(absent)}")

    def _values(self, name: str) -> set[str]:
        """Return what the cells of a column say, if there is one, without the empty ones of a mean."""
        return set(self.columns.get(name, ())) - {""}


def shorten(names: Sequence[str]) -> tuple[dict[str, str], str]:
    """Return what tells each of several names from the others, and what they share, with ``*`` for the rest.

    Names have parts, which end at ``/`` and before ``-`` and a letter: ``runs/qm7-original-seed0`` and
    ``runs/qm7-no-prebias-seed0`` are ``original`` and ``no-prebias`` of ``runs/qm7-*-seed0``.
    """
    parts = [re.split(r"(?<=/)|(?=-[^\W\d])", name) for name in names]
    own = min(map(len, parts)) - 1  # each keeps one part at least
    first = min(own, _shared(parts))
    last = min(own - first, _shared([each[::-1] for each in parts]))
    middles = ["".join(each[first : len(each) - last]) for each in parts]
    before, after = "".join(parts[0][:first]), "".join(parts[0][len(parts[0]) - last :])
    if all(middle.startswith("-") for middle in middles):
        before, middles = f"{before}-", [middle[1:] for middle in middles]
    return dict(zip(names, middles, strict=True)), f"{before}*{after}"


def _shared(lists: Iterable[Sequence[str]]) -> int:
    """Return in how many items, from the first, some lists agree."""
    return sum(1 for _ in takewhile(lambda items: len(set(items)) == 1, zip(*lists, strict=False)))
