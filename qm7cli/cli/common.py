"""What the commands share: options, the data set, numbers and tables."""

import sys
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from qm7cli.escaping import printable
from qm7cli.signals import StopRequest, stop_on_signals

if TYPE_CHECKING:
    from qm7cli.dataset import Dataset


def whole_number(text: str) -> int:
    """Read a whole number as an experiment file has it, 1e6 too; raises BadParameter if it is none."""
    with suppress(ValueError):
        return int(text)
    with suppress(ValueError):
        if (number := float(text)).is_integer():
            return int(number)
    raise typer.BadParameter(f"{text} is not a whole number")


Data = Annotated[
    str | None,
    typer.Option(metavar="FILE|gfn7", help="Data set; gfn7 is built in. Without: $QM7_DATA, then data/qm7.mat."),
]
RunData = Annotated[
    str | None,
    typer.Option(metavar="FILE|gfn7", help="Data set. Without: that of each run, which its SHA-256 tells."),
]
Split = Annotated[
    str | None,
    typer.Option(metavar="published|stratified|random|FILE.yaml", help="How molecules are dealt to folds."),
]
MoleculeFiles = Annotated[
    list[Path],
    typer.Argument(
        metavar="FILE...",
        help="Molecules: XYZ, extended XYZ, SDF, MOL (V2000), PDB, ASE trajectories; also .gz, .bz2, .xz; angstrom.",
    ),
]
TrainedFolds = Annotated[
    list[int] | None,
    typer.Option(metavar="N", min=0, help="Fold; may be given again. Without: all that are trained."),
]
Draws = Annotated[
    int | None,
    typer.Option(
        metavar="N", min=1, max=10**6, help="Draws that predictions are averaged over. Without: the run's own."
    ),
]
Output = Annotated[Path | None, typer.Option(metavar="FILE", help="Write there instead of to standard output.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print results and errors only.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
Table = tuple[Sequence[str], Sequence[Sequence[str]]]  # header and rows; a row of one cell is a heading of those below
WIDTH: Final = 80  # columns of a terminal that tables and sentences under them fit


class Format(StrEnum):
    """How results are printed."""

    TABLE = "table"
    YAML = "yaml"
    JSON = "json"
    CSV = "csv"


def say(line: str) -> None:
    """Print a line on standard output."""
    print(printable(line))


def note(message: str) -> None:
    """Print a message in one line on standard error; if nobody listens, the work goes on."""
    with suppress(OSError):
        print(printable(" ".join(message.split())), file=sys.stderr, flush=True)


def show_traceback(text: str) -> None:
    """Print a traceback on standard error."""
    with suppress(OSError):
        print(printable(text.rstrip(), keep="\n"), file=sys.stderr, flush=True)


def complain(message: str) -> None:
    """Print an error in one line on standard error."""
    note(f"qm7: {message}")


@contextmanager
def stoppable() -> Iterator[StopRequest]:
    """Give what a command asks whether a signal wants it to stop; what this does is printed."""
    with stop_on_signals(note) as stop:
        yield stop


def load_dataset(data: str | None) -> "Dataset":
    """Find, read and check the data set."""
    from qm7cli import dataset

    return dataset.load(dataset.locate(data))


def number(value: float | None, digits: int = 2) -> str:
    """Return a number for a table; a dash where there is none."""
    return "-" if value is None else f"{value:.{digits}f}"


def mean_and_std(summary: dict[str, float | None]) -> str:
    """Return mean +- population standard deviation over folds, or what there is of it."""
    spread = "" if summary["std"] is None else f" +- {summary['std']:.2f}"
    return number(summary["mean"]) + spread


def paragraph(text: str) -> str:
    """Return a text in lines of at most `WIDTH` columns; words are not broken, as paths are words."""
    return textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False) + "\n" if text else ""


def plain_table(header: Sequence[str], rows: Sequence[Sequence[str]], words: int = 1) -> str:
    """Return a table as lines of aligned columns, the first `words` to the left and the others to the right."""
    lines = [[printable(cell) for cell in line] for line in (header, *rows)]
    widths = [max(len(line[k]) for line in lines if len(line) == len(header)) for k in range(len(header))]
    text = ""
    for line in lines:
        cells = [
            cell.ljust(width) if k < words else cell.rjust(width)
            for k, (cell, width) in enumerate(zip(line, widths, strict=False))  # a heading is one cell
        ]
        text += "  ".join(cells).rstrip() + "\n"
    return text


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]], words: int = 1) -> None:
    """Print a table, with a line under its header on a terminal that is wide enough, as `plain_table` elsewhere."""
    if not sys.stdout.isatty() or any(len(row) < len(header) for row in rows):
        print(plain_table(header, rows, words), end="")
        return
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    table = RichTable(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    for k, name in enumerate(header):
        table.add_column(Text(printable(name)), justify="left" if k < words else "right", no_wrap=True)
    for row in rows:
        cells = [Text(printable(cell)) for cell in row]
        table.add_row(*cells, style="bold" if "mean" in row[:words] else None)
    console = Console(highlight=False)
    needed = console.measure(table, options=console.options.update(width=10_000)).maximum
    if needed <= console.width:
        console.print(table)
    else:
        print(plain_table(header, rows, words), end="")


def deliver(table: Table, text: str | None, output: Path | None, words: int = 1, after: str = "") -> None:
    """Write a result to `output`, or print it: as `text`, or as a table with a text `after` it where there is none.

    A text is for programs, which get it as it is; a terminal does not.
    """
    after = printable(after, keep="\n")
    if output is not None:
        from qm7cli.files import write_output_text

        write_output_text(output, plain_table(*table, words) + after if text is None else text)
    elif text is None:
        print_table(*table, words)
        print(after, end="")
    else:
        print(printable(text, keep="\n") if sys.stdout.isatty() else text, end="")
