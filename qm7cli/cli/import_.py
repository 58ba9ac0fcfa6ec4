"""`qm7 import`: predictions of another program as a run."""

from pathlib import Path
from typing import Annotated

import typer

from qm7cli.cli import options
from qm7cli.cli.train import print_results


def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE.csv", help="Predictions, with the columns above.")],
    name: Annotated[str, typer.Option(metavar="NAME", help="Name of the other program in tables and figures.")],
    seed: Annotated[int | None, options.whole("Seed of the runs to pair it with. [default: 0]")] = None,
    split: options.Split = None,
    data: options.Data = None,
    settings: options.Settings = None,
    out: options.Out = None,
    overwrite: options.Overwrite = False,
) -> None:
    """Make a run from another program's predictions, to compare it with runs of qm7.

    Each molecule must be predicted by a model that was not trained on its fold. A fold must be complete. The run has no
    model: only status, collect, compare, plot and report take it.

    Columns:
      molecule    row of the data set, from 0
      prediction  energy, kcal/mol
      fold        optional; must agree with the split
      spread      optional; any measure of spread, kcal/mol

    Examples:
      qm7 import predictions.csv --name painn
      qm7 import predictions.csv --name painn --split folds.yaml --seed 1
    """
    from qm7cli.runs.access import default_name
    from qm7cli.runs.experiment import resolve
    from qm7cli.training.imported import import_predictions

    flags = {"imported": name, "seed": seed, "data": data, "split.scheme": split}
    experiment = resolve(None, settings or [], flags)
    dataset = options.load_dataset(experiment.data)
    run = out or options.RUNS / default_name(experiment, dataset.name)
    print_results(run, import_predictions(file, experiment, dataset, run, overwrite=overwrite))
