"""`qm7 import`: predictions of another program as a run."""

from pathlib import Path
from typing import Annotated

import typer

from qm7cli.cli import options
from qm7cli.cli.train import print_results


def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE.csv", help="Predictions; see above.")],
    name: Annotated[str, typer.Option(metavar="NAME", help="What tables and figures call the other program.")],
    seed: Annotated[int | None, options.whole("Seed of the runs to pair it with. Default: 0.")] = None,
    split: options.Split = None,
    data: options.Data = None,
    settings: options.Settings = None,
    out: options.Out = None,
    overwrite: options.Overwrite = False,
) -> None:
    """Make a run of the predictions of another program, to compare it with runs of this one.

    The columns of the file are molecule, the row of the data set from 0, and prediction, in kcal/mol; fold, which must
    agree with the split, and spread if they are there. Each molecule was predicted by a model that was not trained on
    its fold, and a fold is there as a whole. The run has no model: status, collect, compare, plot and report take it.

    Example: qm7 import predictions.csv --name painn
    """
    from qm7cli.runs.access import default_name
    from qm7cli.runs.experiment import resolve
    from qm7cli.training.imported import import_predictions

    flags = {"imported": name, "seed": seed, "data": data, "split.scheme": split}
    experiment = resolve(None, settings or [], flags)
    dataset = options.load_dataset(experiment.data)
    run = out or options.RUNS / default_name(experiment, dataset.name)
    print_results(run, import_predictions(file, experiment, dataset, run, overwrite=overwrite))
