"""`qm7 eval`: the errors of trained runs, again or otherwise."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from qm7cli.cli.options import (
    Draws,
    Output,
    OutputFormat,
    Quiet,
    RunData,
    Runs,
    TrainedFolds,
    find_run_directories,
    usable_runs,
)
from qm7cli.cli.output import format_records, write_output
from qm7cli.cli.tables import Column, make_table, metric_columns, show_mean

if TYPE_CHECKING:
    from qm7cli.data.splits import Part


def evaluate(
    runs: Runs = None,
    fold: TrainedFolds = None,
    draws: Draws = None,
    part: Annotated[
        Literal["test", "train", "both"], typer.Option(help="Molecules held out, trained on, or both.")
    ] = "test",
    format_: OutputFormat = "table",
    output: Output = None,
    data: RunData = None,
    quiet: Quiet = False,
) -> None:
    """Evaluate the trained folds of runs, from their models and the data sets alone.

    With the run's own number of draws, which is the default, these are the digits of its results.yaml. A baseline
    makes no draws but of random matrices. The table fits 80 columns. YAML has a document for each run, JSON a line.

    Example: qm7 eval runs/qm7-corrected-seed0 --part both --format csv
    """
    from qm7cli.cli.progress import show_evaluation
    from qm7cli.core.files import refuse_output
    from qm7cli.model.metrics import METRICS, describe_units
    from qm7cli.runs.collect import read_runs
    from qm7cli.runs.datasets import RunDatasets
    from qm7cli.runs.models import evaluate_models, load_models

    parts: tuple[Part, ...] = ("test", "train") if part == "both" else (part,)
    directories = find_run_directories(runs, output)
    datasets = RunDatasets(data)

    def evaluate_run(run: Path) -> dict[str, Any]:
        models = load_models(run, fold)
        return evaluate_models(run, models, datasets.of(run, models), draws=draws, parts=parts, report=report)

    with show_evaluation(quiet=quiet) as report:
        read = read_runs(directories, evaluate_run)
    results, status = usable_runs(*read)
    refuse_output(output, datasets.paths)
    metrics = [key for key, metric in METRICS.items() if metric.part in parts]
    columns = [
        Column("run", "run", left=True),
        Column("fold", "fold", left=True),
        Column("iterations", "iterations"),
        Column("draws", "draws"),
        *metric_columns(metrics),
    ]
    records = [{"run": each["run"], "variant": each["variant"], **fold} for each in results for fold in each["folds"]]
    rows = _with_means(results, metrics)
    table = make_table(rows, columns, describe_units())
    text = format_records(format_, records, table, results, documents={"json", "yaml"})
    write_output(table.fit(("draws", "iterations")), text, output)
    raise typer.Exit(status)


def _with_means(results: list[dict[str, Any]], metrics: list[str]) -> list[dict[str, Any]]:
    """Return a row for each fold of the runs and, where a run has several, one for their mean."""
    rows: list[dict[str, Any]] = []
    for result in results:
        rows += [{"run": result["run"], **record} for record in result["folds"]]
        if len(result["folds"]) > 1:
            means = {key: show_mean(result[key]) for key in metrics}
            rows.append({"run": result["run"], "fold": "mean", **means})
    return rows
