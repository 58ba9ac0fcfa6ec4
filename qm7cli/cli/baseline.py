"""`qm7 baseline`: fit a simpler model in the network's place."""

from typing import Annotated

import typer

from qm7cli.cli import options
from qm7cli.cli.output import note
from qm7cli.cli.train import train_and_print
from qm7cli.core.signals import stop_on_signals
from qm7cli.model.baseline_names import Kernel, Kind, RepresentationName


def baseline(
    model: Annotated[Kind, typer.Option(help="mean, knn (neighbors), linear or krr (kernel ridge).")] = "krr",
    representation: Annotated[
        RepresentationName | None, typer.Option(metavar="NAME", help="Name from the list above. [default: sorted]")
    ] = None,
    kernel: Annotated[Kernel | None, typer.Option(help="Of krr: gaussian or laplacian. [default: gaussian]")] = None,
    exponent: Annotated[
        float | None, typer.Option(metavar="X", help="Exponent of bag-of-bonds: pairs are Z Z / r^X. [default: 1]")
    ] = None,
    subtract: Annotated[
        options.SubtractName | None,
        typer.Option(help="mean of the energies, or their fit to the composition. [default: mean]"),
    ] = None,
    scale: Annotated[
        float | None, typer.Option(metavar="X", help="Sigma of the kernel of krr, hartree. [default: found]")
    ] = None,
    ridge: Annotated[
        float | None, typer.Option(metavar="X", help="Ridge of krr, or of linear in hartree^2. [default: found]")
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

    Hyperparameters that you do not give are found by cross-validation within each fold's training molecules. knn and
    krr search on at most 8000 random matrices, or one per training molecule if that is more.

    Representations:
      eigenspectrum  eigenvalues of the Coulomb matrix
      sorted         Coulomb matrix, rows sorted by norm
      random         randomly sorted Coulomb matrices
      bag-of-bonds   entries of the Coulomb matrix, grouped by elements
      composition    number of atoms of each element

    Examples:
      qm7 baseline --data gfn7 --model linear --representation composition
      qm7 baseline --representation bag-of-bonds --kernel laplacian --exponent 4

    The kernels are exp(-d^2 / (2 sigma^2)), gaussian, and exp(-|d|_1 / sigma), laplacian. All commands but centering
    take the run. Exit status: as for qm7 train.
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
