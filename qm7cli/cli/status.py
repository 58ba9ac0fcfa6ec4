"""`qm7 status`: what has become of runs."""

from collections import Counter
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

import typer

from qm7cli.cli.options import Output, OutputFormat, Runs, each_run
from qm7cli.cli.output import Column, Table, make_table, show_mean, show_number, write_output

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qm7cli.training.fold_state import FoldState


def _duration(seconds: float) -> str:
    """Return a time in short words: 35 s, 4 min, 2 h 5 min."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


COLUMNS: Final = (
    Column("run", "run", left=True),
    Column("fold", "fold", left=True),
    Column("status", "status", left=True),
    Column("iterations", "iterations"),
    Column("mae", "test MAE", show_number, unit="kcal/mol"),
    Column("seconds_left", "left", _duration),
)


def status(runs: Runs = None, format_: OutputFormat = None, output: Output = None) -> None:
    """Show which folds are complete, running, interrupted, diverged or new.

    A fold is running while a process holds it. It is new if it was requested but not started.

    Columns:
      iterations  at the last record or checkpoint
      test MAE    at the last evaluation, kcal/mol
      left        time left at the speed so far

    Examples:
      qm7 status
      qm7 status runs/variants --format csv

    The table joins similar folds in one row. csv and json have one record per fold.
    """
    from qm7cli.training.fold_state import fold_states

    found, ended = each_run(runs, fold_states, output)
    states = [state for of_run in found for state in of_run]
    write_output(_table(states), [state._asdict() for state in states], format_, output)
    raise typer.Exit(ended)


def _table(states: "Sequence[FoldState]") -> Table:
    """Return a row for neighboring folds of a run that have ended alike, and one for each other."""
    from qm7cli.runs.results import summary

    def shared(state: "FoldState") -> tuple[Any, ...]:
        own = {"complete": state.iterations, "diverged": None, "new": None}
        return state.run, state.status, state.iterations_asked, own.get(state.status, state.fold)

    rows = []
    for _, group in groupby(enumerate(states), lambda place: (*shared(place[1]), place[1].fold - place[0])):
        folds = [state for _, state in group]
        first = folds[0]
        done = _range([fold.iterations for fold in folds])
        asked = "" if first.iterations == first.iterations_asked else f" of {first.iterations_asked}"
        own = {
            "fold": _range([fold.fold for fold in folds]),
            "iterations": f"{done}{asked}" if first.iterations_asked else "-",
            "mae": show_mean(summary(fold.mae for fold in folds)),
        }
        rows.append(first._asdict() | own)
    each = ", ".join(f"{number} {name}" for name, number in Counter(state.status for state in states).most_common())
    counts = f"{len(states)} fold{'' if len(states) == 1 else 's'}: {each}"
    return make_table(rows, COLUMNS, counts, "test MAE in kcal/mol", optional=["left"], keys=["fold"])


def _range(numbers: "Sequence[int]") -> str:
    """Return the smallest of some numbers and the largest, if that is another."""
    low, high = min(numbers), max(numbers)
    return str(low) if low == high else f"{low}-{high}"
