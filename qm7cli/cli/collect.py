"""`qm7 collect`: the folds of many runs as one table."""

from typing import Any, Final

import typer

from qm7cli.cli.options import Output, OutputFormat, Runs, each_run
from qm7cli.cli.output import Column, make_table, result_columns, write_output

OPTIONAL: Final = ("minutes", "train RMSE", "train MAE", "test RMSE")  # columns that may be left out


def collect(runs: Runs = None, format_: OutputFormat = None, output: Output = None) -> None:
    """Print one row per fold of the runs, with the settings in which the runs differ.

    The table leaves out columns that do not fit. csv and json have all, and why a fold diverged.

    Examples:
      qm7 collect
      qm7 collect runs/variants --format csv --output folds.csv
    """
    from qm7cli.analysis.groups import short_keys
    from qm7cli.model.metrics import describe_units
    from qm7cli.runs.collect import collect_folds, differing_settings, read_run
    from qm7cli.runs.experiment import NOT_IDENTITY

    usable, status = each_run(runs, read_run, output)
    records = collect_folds(usable)
    titles = short_keys([key for key in differing_settings(usable) if key in records[0] and key not in NOT_IDENTITY])
    settings = [Column(key, title, left=True) for key, title in titles.items()]
    table = make_table(
        [_shown(record) for record in records],
        [Column("run", "run", left=True), *settings, *result_columns()],
        describe_units(),
        shared=("status", "iterations"),
        optional=OPTIONAL if any(record["reason"] for record in records) else OPTIONAL[:-1],
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
