"""`qm7 baseline`: fit a simpler model in the network's place."""

from typing import Annotated

import typer

from qm7cli.cli import options
from qm7cli.cli.output import note
from qm7cli.cli.train import train_and_print
from qm7cli.core.signals import stop_on_signals
from qm7cli.model.baseline_names import Kernel, Kind, RepresentationName

MODEL = "Mean energy, nearest neighbors, ridge regression or kernel ridge regression."
REPRESENTATION = (
    "What the model sees of a molecule: the Coulomb matrix as eigenspectrum, sorted, random (randomly sorted) or "
    "bag-of-bonds (its entries by elements); or its composition. The mean takes none. Default: sorted."
)
KERNEL = (
    "Kernel of krr: gaussian, exp(-d^2 / (2 sigma^2)), d the Euclidean distance, or laplacian, exp(-|d|_1 / sigma). "
    "Default: gaussian."
)


def baseline(
    model: Annotated[Kind, typer.Option(help=MODEL)] = "krr",
    representation: Annotated[RepresentationName | None, typer.Option(help=REPRESENTATION)] = None,
    kernel: Annotated[Kernel | None, typer.Option(help=KERNEL)] = None,
    exponent: Annotated[
        float | None, typer.Option(metavar="X", help="Exponent of bag-of-bonds: pairs are Z Z / r^X. Default: 1.")
    ] = None,
    subtract: Annotated[
        options.SubtractName | None,
        typer.Option(help="Subtract the mean of the energies, or a fit to the numbers of each element. Default: mean."),
    ] = None,
    scale: Annotated[
        float | None, typer.Option(metavar="X", help="Sigma of the kernel of krr, hartree. Default: found.")
    ] = None,
    ridge: Annotated[
        float | None, typer.Option(metavar="X", help="Ridge of krr or linear; of linear in hartree^2. Default: found.")
    ] = None,
    settings: options.Settings = None,
    fold: options.Folds = None,
    seed: options.Seed = None,
    split: options.Split = None,
    data: options.Data = None,
    jobs: options.Jobs = None,
    out: options.Out = None,
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
) -> None:
    """Fit a simpler model to the same folds and report its test errors.

    The run directory is like that of qm7 train; all commands but centering take it. Hyperparameters that are not given
    are found by cross-validation within each fold's training molecules, and recorded. With several draws per molecule,
    knn and krr search on at most 8000 matrices, or one per training molecule if that is more.

    Example: qm7 baseline --kernel laplacian --representation bag-of-bonds --exponent 4 --subtract composition
    """
    flags = {
        "seed": seed,
        "data": data,
        "split.scheme": split,
        "split.folds": fold or None,
        "baseline.model": model,
        "baseline.representation": representation,
        "baseline.kernel": kernel,
        "baseline.exponent": exponent,
        "target.subtract": subtract,
        "baseline.scale": scale,
        "baseline.ridge": ridge,
    }
    with stop_on_signals(note) as stop:
        from qm7cli.data.splits import select_folds
        from qm7cli.runs.experiment import resolve
        from qm7cli.training.baselines import needed_memory

        experiment = resolve(None, settings or [], flags)
        dataset = options.load_dataset(experiment.data)
        if not quiet:
            needed = max(needed_memory(experiment, dataset, each) for each in select_folds(dataset, experiment.split))
            note(f"a fold takes up to {needed:.2g} GB of memory")
        train_and_print(experiment, dataset, out, jobs, stop, overwrite=overwrite, quiet=quiet)
