"""`qm7 centering`: how well the pre-bias of trained layers centers their inputs."""

from itertools import chain
from pathlib import Path
from typing import Any, Final

import typer

from qm7cli.cli.options import Output, OutputFormat, RunData, Runs, TrainedFolds, each_run
from qm7cli.cli.output import Column, make_table, refuse_inputs, write_output

THREE_DIGITS: Final = "{:.3g}".format
COLUMNS: Final = (
    *(Column(key, key, left=True) for key in ("run", "variant")),
    *(Column(key, key) for key in ("iterations", "fold", "layer")),
    Column("inputs", "m"),
    Column("span", "span"),
    *(Column(key, key, THREE_DIGITS) for key in ("spread", "mean")),
    Column("distance", "to A", THREE_DIGITS),
    *(
        Column(f"share_{point}", f"share {short}", lambda share: f"{100 * share:.2g}%")
        for point, short in (("uncentered", "0"), ("prebias", "A"))
    ),
    *(
        Column(f"{key}_{point}", f"{title} {short}", THREE_DIGITS)
        for key, title in (("largest", "max"), ("condition", "cond"))
        for point, short in (("uncentered", "0"), ("prebias", "A"), ("centered", "mean"))
    ),
)
OPTIONAL: Final = (
    "m", "span", "mean", "spread", "max mean", "cond mean", "share A", "to A", "fold", "variant",
)  # fmt: skip


def centering(
    runs: Runs = None,
    fold: TrainedFolds = None,
    format_: OutputFormat = None,
    output: Output = None,
    data: RunData = None,
) -> None:
    """Measure how well the pre-bias A of each layer centers its training inputs.

    Columns:
      m            number of inputs
      span         number of directions in which they vary
      spread       standard deviation (this and the next two: root mean square)
      mean, to A   size of the mean input, and its distance from A
      share 0, A   part of the inputs' second moment, about 0 or A, that is mean
      max          largest eigenvalue of the second moments, which bounds the
                   learning rate: about 0 (no pre-bias), A or the mean input
      cond         condition number of the same matrices, within the span

    The second moments include the constant 1 of the bias. A dash is a number that float64 does not resolve. The other
    formats have all columns.

    Examples:
      qm7 centering
      qm7 centering runs/variants/qm7-original-seed0 --fold 0
    """
    from qm7cli.analysis.centering import measure_centering
    from qm7cli.model.variants import CONTROLS
    from qm7cli.runs.datasets import RunDatasets
    from qm7cli.runs.models import load_networks

    datasets = RunDatasets(data)

    def measure(run: Path) -> list[dict[str, Any]]:
        models = load_networks(run, fold)
        return measure_centering(run, models, datasets.of(run, models))

    by_run, status = each_run(runs, measure, output)
    records = list(chain.from_iterable(by_run))
    refuse_inputs(output, datasets.paths)
    notes = [
        "share: of the inputs' second moment about 0 or A that is mean",
        "max, cond: largest eigenvalue and condition number of second moments, the bias's 1 included",
        *sorted(f"{name}: a control" for name in CONTROLS.intersection(record["variant"] for record in records)),
    ]
    keys = ("variant", "iterations", "fold", "layer")
    table = make_table(records, COLUMNS, *notes, shared=["iterations"], optional=OPTIONAL, keys=keys)
    write_output(table, records, format_, output)
    raise typer.Exit(status)
