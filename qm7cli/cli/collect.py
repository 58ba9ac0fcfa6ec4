"""`qm7 collect`: the folds of many runs as one table."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from qm7cli.cli.options import Output, OutputFormat, Runs, read_each_run
from qm7cli.cli.output import Column, make_table, result_columns, show_number, write_output

if TYPE_CHECKING:
    from qm7cli.runs.collect import Run

WORST: Final = (
    Column("run", "run", left=True),
    Column("molecule", "molecule", left=True),
    Column("fold", "fold"),
    *(Column(key, key, show_number, unit="kcal/mol") for key in ("energy", "prediction", "error")),
)
OPTIONAL: Final = ("minutes", "train RMSE", "train MAE", "iterations", "test RMSE")  # columns that may be left out


def collect(
    runs: Runs = None,
    worst: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Instead: the N test molecules of each run with the largest errors."),
    ] = None,
    format_: OutputFormat = None,
    output: Output = None,
) -> None:
    """Print a row for every fold of some runs, with the settings in which the runs differ as columns.

    The table fits 80 columns and leaves out what that takes; the other formats have all. For diverged folds, the
    status shows the iteration and the learning rate; in CSV and JSON the reason does.
    A molecule is called by its formula, if the data set is found, and its row there, from 0: CH4 (0).

    Example: qm7 collect runs --format csv --output folds.csv
    """
    from qm7cli.analysis.groups import short_keys
    from qm7cli.model.metrics import describe_units
    from qm7cli.runs.collect import collect_folds, differing_settings
    from qm7cli.runs.experiment import NOT_IDENTITY

    usable, status = read_each_run(runs, output)
    if worst:
        records = _worst(usable, worst)
        table = make_table(records, WORST, "energies in kcal/mol", keys=["molecule", "fold"])
        write_output(table, records, format_, output)
        raise typer.Exit(status)
    records = collect_folds(usable)
    keys = [key for key in differing_settings(usable) if key in records[0] and key not in NOT_IDENTITY]
    titles = short_keys(keys)
    settings = [Column(key, title, left=True) for key, title in titles.items()]
    table = make_table(
        [_shown(record) for record in records],
        [Column("run", "run", left=True), *settings, *result_columns()],
        describe_units(),
        optional=OPTIONAL if any(record["reason"] for record in records) else ("status", *OPTIONAL[:-1]),
        details=list(titles.values()),
        keys=[*titles.values(), "fold"],
    )
    write_output(table, records, format_, output)
    raise typer.Exit(status)


def _shown(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record as tables have it: a control is called one, and the status is with the reason, if it has one."""
    from qm7cli.model.variants import display_name

    variant = {"variant": display_name(record["variant"])} if record.get("variant") else {}
    reason = (record["reason"] or "").removeprefix(f"fold {record['fold']} ")
    return record | variant | {"status": reason or record["status"]}


def _worst(runs: "Sequence[Run]", count: int) -> list[dict[str, Any]]:
    """Return the molecules of each run with the largest errors; raises QM7Error if no fold is complete."""
    from qm7cli.core.errors import QM7Error
    from qm7cli.runs.datasets import RunDatasets
    from qm7cli.runs.models import read_predictions

    datasets, records = RunDatasets(), []
    for run in runs:
        dataset = datasets.known(run.path, run.results.dataset.sha256)
        found = []
        for fold in (each.fold for each in run.results.folds if each.status == "complete"):
            for row, energy, prediction in zip(*map(list, read_predictions(run.path, fold)), strict=True):
                formula = dataset.formula(row) if dataset and row < len(dataset) else None
                name = {"molecule": f"{formula} ({row})" if formula else str(row), "formula": formula, "row": int(row)}
                errors = {"energy": float(energy), "prediction": float(prediction), "error": float(prediction - energy)}
                found.append((abs(prediction - energy), {"run": str(run.path), **name, "fold": fold, **errors}))
        records += [record for _, record in sorted(found, key=lambda each: -each[0])[:count]]
    if not records:
        raise QM7Error("there is no error to name: no fold is complete")
    return records
