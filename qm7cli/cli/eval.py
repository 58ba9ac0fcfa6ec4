"""`qm7 eval`: the errors of trained runs, again or otherwise."""

from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer

from qm7cli.cli import output as out
from qm7cli.cli.options import Draws, Output, OutputFormat, Quiet, RunData, Runs, TrainedFolds, each_run
from qm7cli.cli.output import Column, Records, make_table, metric_columns, show_mean, show_number

if TYPE_CHECKING:
    from qm7cli.data.splits import Part
    from qm7cli.runs.models import FoldEvaluation

    Evaluated = tuple[str, str | None, list[FoldEvaluation]]  # of a run: its name, its variant and its folds

COLUMNS: Final = (
    *(Column(key, key, left=True) for key in ("run", "fold")),
    *(Column(key, key) for key in ("iterations", "draws")),
)
TRUST_COLUMNS: Final = (  # of test molecules
    Column("interval", "interval", "+-{:.2f}".format, unit="kcal/mol"),
    Column("coverage", "coverage", "{:.1%}".format),
    Column("rank_correlation", "rank corr.", show_number),
)


def evaluate(
    runs: Runs = None,
    fold: TrainedFolds = None,
    draws: Draws = None,
    part: Annotated[
        Literal["test", "train", "both"], typer.Option(help="test molecules, train molecules, or both.")
    ] = "test",
    ensemble: Annotated[
        bool,
        typer.Option("--ensemble", help="Also average the predictions of the runs. They must have the same folds."),
    ] = False,
    format_: OutputFormat = None,
    output: Output = None,
    data: RunData = None,
    quiet: Quiet = False,
) -> None:
    """Recompute the errors of trained runs from their saved models.

    With the default --draws, the errors equal those of results.yaml to the last digit.

    Columns:
      MAE, RMSE   errors of the mean predictions over draws, kcal/mol
      interval    mean half-width of the 90% prediction intervals, kcal/mol
      coverage    % of test molecules in intervals calibrated on other folds
      rank corr.  Spearman correlation of |error| and spread over draws

    csv and json also have the correlation with the spread over the runs of an ensemble.

    Examples:
      qm7 eval runs/qm7-original-seed0 --part both
      qm7 eval runs/qm7-original-seed* --ensemble --output errors.csv
    """
    from qm7cli.cli.progress import show_count
    from qm7cli.model.metrics import describe_units
    from qm7cli.runs.datasets import RunDatasets
    from qm7cli.runs.models import average_runs, describe_evaluation, evaluate_folds, load_models

    parts: tuple[Part, ...] = ("test", "train") if part == "both" else (part,)
    datasets, done = RunDatasets(data), count(1)

    def evaluate_run(run: Path) -> "Evaluated":
        models, report = load_models(run, fold), lambda *_: show(next(done), 0)
        evaluated = evaluate_folds(run, models, datasets.of(run, models), draws=draws, parts=parts, report=report)
        return str(run), getattr(models[0], "variant", None), evaluated

    with show_count("evaluated folds", quiet=quiet) as show:
        evaluations, status = each_run(runs, evaluate_run, output)
    out.refuse_inputs(output, datasets.paths)
    if ensemble:
        averaged = average_runs({name: evaluated for name, _, evaluated in evaluations})
        (variant, *others) = {variant for _, variant, _ in evaluations}
        evaluations.append((f"ensemble of {len(evaluations)} runs", None if others else variant, averaged))
    results = [describe_evaluation(*each, parts) for each in evaluations]
    records = [{"run": each["run"], "variant": each["variant"], **fold} for each in results for fold in each["folds"]]
    metrics, trusted = metric_columns(*parts), TRUST_COLUMNS if "test" in parts else ()
    with_mean = any(len(each["folds"]) > 1 for each in results)
    units = [describe_units(with_mean=with_mean), *(["intervals in kcal/mol"] if trusted else [])]
    fitting = {"shared": ("draws", "iterations"), "optional": [column.title for column in reversed(trusted)]}
    rows = _with_means(results, metrics, trusted)
    table = make_table(rows, [*COLUMNS, *metrics, *trusted], *units, **fitting)
    out.write_output(table, records, format_, output)
    raise typer.Exit(status)


def _with_means(results: Records, metrics: Sequence[Column], trusted: Sequence[Column]) -> Records:
    """Return a row for each fold of the runs and, where a run has several, one for their mean."""
    rows: list[Mapping[str, Any]] = []
    for result in results:
        rows += [{"run": result["run"], **record} for record in result["folds"]]
        if len(result["folds"]) > 1:
            means = {column.key: show_mean(result[column.key]) for column in metrics}
            means |= {column.key: result[column.key]["mean"] for column in trusted}
            rows.append({"run": result["run"], "fold": "mean", **means})
    return rows
