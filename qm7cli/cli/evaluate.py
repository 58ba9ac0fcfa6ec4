"""`qm7 eval`: the errors of trained runs, again or otherwise."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from qm7cli.cli.collect import Runs, found_directories, usable_runs
from qm7cli.cli.common import (
    Debug,
    Draws,
    Format,
    Output,
    Quiet,
    RunData,
    TrainedFolds,
    deliver,
    mean_and_std,
    number,
)
from qm7cli.cli.formats import Fitted, fit
from qm7cli.escaping import printable

if TYPE_CHECKING:
    from qm7cli.splits import Part


def evaluate(
    runs: Runs = None,
    fold: TrainedFolds = None,
    draws: Draws = None,
    part: Annotated[
        Literal["test", "train", "both"], typer.Option(help="Molecules held out, trained on, or both.")
    ] = "test",
    format_: Annotated[
        Format, typer.Option("--format", help="One document a run in yaml, one line a run in json.")
    ] = Format.TABLE,
    output: Output = None,
    data: RunData = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Evaluate the trained folds of runs, from their models and the data sets alone.

    With the run's own number of draws, which is the default, these are the digits of its results.yaml. Baselines keep
    no models and are left out. The table fits 80 columns.

    Example: qm7 eval runs/qm7-corrected-seed0 --part both --format csv
    """
    from qm7cli.collect import read_runs
    from qm7cli.files import refuse_output
    from qm7cli.results import evaluate_models, load_models
    from qm7cli.run_datasets import RunDatasets

    parts: tuple[Part, ...] = ("test", "train") if part == "both" else (part,)
    directories = found_directories(runs, output)
    datasets = RunDatasets(data)

    def evaluated(run: Path) -> dict[str, Any]:
        models = load_models(run, fold)
        return evaluate_models(run, models, datasets.of(run, models), draws=draws, parts=parts, report=report)

    with _spinner(quiet=quiet) as report:
        read = read_runs(directories, evaluated)
    results, status = usable_runs(*read)
    refuse_output(output, datasets.paths)
    fitted = _fitted(results)
    deliver(fitted.table, _formatted(results, format_), output, fitted.words, fitted.after)
    raise typer.Exit(status)


@contextmanager
def _spinner(*, quiet: bool) -> Iterator[Callable[[Path, int], None]]:
    """Show on a terminal which fold was evaluated last."""
    if quiet or not sys.stderr.isatty():
        yield lambda _, __: None
        return
    from rich.console import Console
    from rich.text import Text

    with Console(stderr=True, highlight=False).status("evaluating") as status:
        yield lambda run, fold: status.update(Text(printable(f"evaluated fold {fold} of {run}")))


def _formatted(results: list[dict[str, Any]], format_: Format) -> str | None:
    """Return the results as text; None for a table."""
    from qm7cli.files import format_csv
    from qm7cli.yaml_text import format_yaml

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


def _fitted(results: list[dict[str, Any]]) -> Fitted:
    """Return the table to look at: the folds of each run and, where there are several, their mean."""
    metrics = [key for key in results[0]["folds"][0] if key not in ("fold", "iterations", "draws")]
    names = [f"{'train' if key.startswith('train') else 'test'} {key[-4:].strip('_').upper()}" for key in metrics]
    rows = []
    for result in results:
        for record in result["folds"]:
            place = [result["run"], str(record["fold"]), str(record["iterations"]), str(record["draws"])]
            rows.append([*place, *(number(record[key]) for key in metrics)])
        if len(result["folds"]) > 1:
            rows.append([result["run"], "mean", "", "", *(mean_and_std(result[key]) for key in metrics)])
    header = ["run", "fold", "iterations", "draws", *names]
    return fit((header, rows), 2, "MAE and RMSE in kcal/mol", ("draws", "iterations"))
