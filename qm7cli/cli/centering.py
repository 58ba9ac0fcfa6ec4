"""`qm7 centering`: how well the pre-bias of trained layers centres their inputs."""

from pathlib import Path
from typing import Annotated, Any

import typer

from qm7cli.cli.collect import Runs, found_directories, usable_runs
from qm7cli.cli.common import Debug, Output, RunData, Table, TrainedFolds, deliver
from qm7cli.cli.formats import TableFormat, TableFormatOption, fit, format_records


def centering(
    runs: Runs = None,
    fold: TrainedFolds = None,
    format_: TableFormatOption = TableFormat.TABLE,
    output: Output = None,
    picture: Annotated[
        Path | None,
        typer.Option(metavar="FILE.png|FILE.svg|FILE.pdf", help="Also draw the distances against the iterations."),
    ] = None,
    data: RunData = None,
    debug: Debug = False,
) -> None:
    """Print how well the pre-bias A of each layer centres its inputs, on the molecules that the model was trained on.

    m is the number of inputs, spread their standard deviation, mean the size of the mean input and to A its distance
    from A, all as root mean square over the inputs. At 0, at A and at mean are the condition numbers of the inputs'
    second moments about 0, about A, which is what the layer works with, and about the mean; a dash for the first layer
    and where the matrix is singular. The table fits 80 columns; the other formats have all. The picture is for runs
    of several lengths; it needs matplotlib: pip install 'qm7cli[plots]'

    Example: qm7 centering runs/variants/qm7-original-seed0
    """
    from qm7cli import centering as measured
    from qm7cli.collect import read_runs
    from qm7cli.files import refuse_output
    from qm7cli.models import load_models
    from qm7cli.plots import image_format, save
    from qm7cli.run_datasets import RunDatasets

    if picture is not None:
        image_format(picture)
    directories = found_directories(runs, output, picture)
    datasets = RunDatasets(data)

    def measure(run: Path) -> list[dict[str, Any]]:
        models = load_models(run, fold)
        return measured.model_records(run, models, datasets.of(run, models))

    of_runs, status = usable_runs(*read_runs(directories, measure))
    records = [record for own in of_runs for record in own]
    for file in (output, picture):
        refuse_output(file, datasets.paths)
    if picture is not None:
        save(measured.picture(records), picture)
    table, words = _table(records)
    optional = ("iterations", "m", "mean", "fold", "spread", "variant")
    said = "at 0, at A, at mean: condition numbers"
    fitted = fit(table, words, said, optional, ("variant", "iterations", "fold", "layer"))
    deliver(fitted.table, format_records(records, table, format_, words), output, fitted.words, fitted.after)
    raise typer.Exit(status)


def _table(records: list[dict[str, Any]]) -> tuple[Table, int]:
    """Return header and rows, and how many columns are of words."""
    header = ["run", "variant", "iterations", "fold", "layer", "m", "spread", "mean", "to A"]
    header += ["at 0", "at A", "at mean"]
    return (header, [[_short(value) for value in record.values()] for record in records]), 2


def _short(value: Any) -> str:
    """Return a value for a table, numbers that are no counts with three significant digits."""
    if isinstance(value, float):
        return f"{value:.3g}"
    return "-" if value is None else str(value)
