"""`qm7 eval`: the errors of trained runs, again or otherwise."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from qm7cli.cli.common import (
    Data,
    Debug,
    Draws,
    Format,
    Output,
    Quiet,
    Table,
    TrainedFolds,
    deliver,
    load_dataset,
    mean_and_std,
    number,
)

if TYPE_CHECKING:
    from qm7cli.splits import Part


def evaluate(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run directories.")],
    fold: TrainedFolds = None,
    draws: Draws = None,
    part: Annotated[
        Literal["test", "train", "both"], typer.Option(help="Molecules held out, trained on, or both.")
    ] = "test",
    format_: Annotated[
        Format, typer.Option("--format", help="One document a run in yaml, one line a run in json.")
    ] = Format.TABLE,
    output: Output = None,
    data: Data = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Evaluate the trained folds of runs, from their models and the data set alone.

    With the run's own number of draws, which is the default, these are the digits of its results.yaml.

    Example: qm7 eval runs/qm7-corrected-seed0 --part both --format csv
    """
    from qm7cli.results import evaluate_run

    parts: tuple[Part, ...] = ("test", "train") if part == "both" else (part,)
    dataset = load_dataset(data)
    with _spinner(quiet=quiet) as report:
        results = [evaluate_run(run, dataset, folds=fold, draws=draws, parts=parts, report=report) for run in runs]
    deliver(_table(results), _formatted(results, format_), output)


@contextmanager
def _spinner(*, quiet: bool) -> Iterator[Callable[[Path, int], None]]:
    """Show on a terminal which fold was evaluated last."""
    if quiet or not sys.stderr.isatty():
        yield lambda _, __: None
        return
    from rich.console import Console
    from rich.markup import escape

    with Console(stderr=True, highlight=False).status("evaluating") as status:
        yield lambda run, fold: status.update(escape(f"evaluated fold {fold} of {run}"))


def _formatted(results: list[dict[str, Any]], format_: Format) -> str | None:
    """Return the results as text; None for a table."""
    from qm7cli.files import format_csv, format_yaml

    if format_ is Format.YAML:
        return "---\n".join(format_yaml(result) for result in results)
    if format_ is Format.JSON:
        return "".join(json.dumps(result) + "\n" for result in results)
    if format_ is Format.CSV:
        columns = list(results[0]["folds"][0])
        rows = [
            [result["run"], result["variant"], *record.values()] for result in results for record in result["folds"]
        ]
        return format_csv(["run", "variant", *columns], rows)
    return None


def _table(results: list[dict[str, Any]]) -> Table:
    """Return header and rows: the folds of each run and, where there are several, their mean."""
    metrics = [key for key in results[0]["folds"][0] if key not in ("fold", "iterations", "draws")]
    names = [f"{'train' if key.startswith('train') else 'test'} {key[-4:].strip('_').upper()}" for key in metrics]
    rows = []
    for result in results:
        for record in result["folds"]:
            place = [result["run"], str(record["fold"]), str(record["iterations"]), str(record["draws"])]
            rows.append([*place, *(number(record[key]) for key in metrics)])
        if len(result["folds"]) > 1:
            rows.append([f"mean of {result['run']}", "", "", "", *(mean_and_std(result[key]) for key in metrics)])
    return ["kcal/mol", "fold", "iterations", "draws", *names], rows
