"""`qm7 baseline`: simpler models in place of the network."""

from typing import Annotated

import typer

from qm7cli.cli.options import (
    Data,
    Folds,
    Jobs,
    Out,
    Overwrite,
    Quiet,
    Seed,
    Settings,
    Split,
    SubtractName,
    load_dataset,
)
from qm7cli.cli.output import note
from qm7cli.cli.train import train_and_print
from qm7cli.core.signals import stop_on_signals
from qm7cli.model.baseline_names import Kernel as KernelName
from qm7cli.model.baseline_names import Kind, RepresentationName

Representation = Annotated[
    RepresentationName | None,
    typer.Option(
        help="What the model sees of a molecule: the Coulomb matrix as eigenspectrum, sorted, random (randomly sorted) "
        "or bag-of-bonds (its entries by elements); or its composition. The mean takes none. Default: sorted."
    ),
]
Kernel = Annotated[
    KernelName | None,
    typer.Option(
        help="Kernel of krr: gaussian, exp(-d^2 / (2 sigma^2)), d the Euclidean distance, "
        "or laplacian, exp(-|d|_1 / sigma). Default: gaussian."
    ),
]


def baseline(
    model: Annotated[
        Kind, typer.Option(help="Mean energy, nearest neighbors, ridge regression or kernel ridge regression.")
    ] = "krr",
    representation: Representation = None,
    kernel: Kernel = None,
    exponent: Annotated[
        float | None, typer.Option(metavar="X", help="Exponent of bag-of-bonds: pairs are Z Z / r^X. Default: 1.")
    ] = None,
    subtract: Annotated[
        SubtractName | None,
        typer.Option(help="Subtract the mean of the energies, or a fit to the numbers of each element. Default: mean."),
    ] = None,
    scale: Annotated[
        float | None, typer.Option(metavar="X", help="Sigma of the kernel of krr, hartree. Default: found.")
    ] = None,
    ridge: Annotated[
        float | None, typer.Option(metavar="X", help="Ridge of krr or linear; of linear in hartree^2. Default: found.")
    ] = None,
    settings: Settings = None,
    fold: Folds = None,
    seed: Seed = None,
    split: Split = None,
    data: Data = None,
    jobs: Jobs = None,
    out: Out = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
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
        dataset = load_dataset(experiment.data)
        if not quiet:
            needed = max(needed_memory(experiment, dataset, each) for each in select_folds(dataset, experiment.split))
            note(f"a fold takes up to {needed:.2g} GB of memory")
        train_and_print(experiment, dataset, out, jobs, stop, overwrite=overwrite, quiet=quiet)
