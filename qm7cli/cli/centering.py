"""`qm7 centering`: how well the pre-bias of trained layers centres their inputs."""

from pathlib import Path
from typing import Annotated, Any

import typer

from qm7cli.cli.common import Data, Debug, Output, Table, TrainedFolds, deliver, load_dataset, refuse_within
from qm7cli.cli.formats import TableFormat, TableFormatOption, format_records


def centering(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run directories.")],
    fold: TrainedFolds = None,
    format_: TableFormatOption = TableFormat.TABLE,
    output: Output = None,
    picture: Annotated[
        Path | None,
        typer.Option(metavar="FILE.png|FILE.svg|FILE.pdf", help="Also draw the distances against the iterations."),
    ] = None,
    data: Data = None,
    debug: Debug = False,
) -> None:
    """Print how well the pre-bias A of each layer centres its inputs, on the molecules that the model was trained on.

    m is the number of inputs, spread their standard deviation, mean the size of the mean input and A to mean its
    distance from A, all as root mean square over the inputs. The condition numbers (cond.) are those of the inputs'
    second moments about 0, about A, which is what the layer works with, and about the mean; a dash for the first layer
    and where the matrix is singular. The picture is for runs of several lengths; it needs matplotlib:
    pip install 'qm7cli[plots]'

    Example: qm7 centering runs/variants/qm7-original-seed0
    """
    from qm7cli import centering as measured
    from qm7cli.files import refuse_same
    from qm7cli.plots import ending, save

    if picture is not None:
        ending(picture)
    dataset = load_dataset(data)
    for file in (output, picture):
        refuse_within(file, runs)
        if file and dataset.path:
            refuse_same(file, dataset.path)
    records = [record for run in runs for record in measured.centering(run, dataset, fold)]
    if picture is not None:
        save(measured.picture(records), picture)
    table = _table(records)
    words = table[0].index("iterations")
    deliver(table, format_records(records, table, format_, words), output, words)


def _table(records: list[dict[str, Any]]) -> Table:
    """Return header and rows; the run stands there only if nothing else tells two of them apart."""
    places = {(record["variant"], record["iterations"], record["fold"], record["run"]) for record in records}
    several = len({place[:-1] for place in places}) < len(places)
    header = ["variant", "iterations", "fold", "layer", "m", "spread", "mean", "A to mean"]
    header += ["cond. at 0", "at A", "at mean"]
    rows = [[_short(value) for value in list(record.values())[1:]] for record in records]
    if several:
        header.insert(0, "run")
        rows = [[record["run"], *row] for record, row in zip(records, rows, strict=True)]
    return header, rows


def _short(value: Any) -> str:
    """Return a value for a table, numbers that are no counts with three significant digits."""
    if isinstance(value, float):
        return f"{value:.3g}"
    return "-" if value is None else str(value)
