"""`qm7 augment`: molecules as random-permutation Coulomb matrices, for other programs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from qm7cli.cli.options import Data, Quiet, Split, SubtractName, load_dataset
from qm7cli.cli.output import Column, make_table, note, refuse_inputs, say, write_output
from qm7cli.core.errors import UsageError

if TYPE_CHECKING:
    from qm7cli.model.augment import AugmentedSet


def augment(
    output: Annotated[Path, typer.Option(metavar="FILE.npz", help="Where to write.")],
    draws: Annotated[int, typer.Option(metavar="N", min=1, max=10**9, help="Random matrices per molecule.")] = 10,
    noise: Annotated[
        float, typer.Option(metavar="X", min=0, max=1e6, help="Standard deviation of the noise on the row norms.")
    ] = 1.0,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Seed of the draws.")] = 0,
    split: Split = None,
    fold: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="Fold to hold out, from 0. [default: none, all molecules]")
    ] = None,
    part: Annotated[
        Literal["train", "test"] | None, typer.Option(help="Part of the fold, train or test. [default: train]")
    ] = None,
    encode: Annotated[
        bool, typer.Option("--encode", help="Add the tanh expansion, fitted to the training molecules.")
    ] = False,
    step: Annotated[
        float | None,
        typer.Option(
            metavar="X", min=1e-3, max=1e3, help="Distance of the thresholds of --encode, hartree. [default: 1]"
        ),
    ] = None,
    subtract: Annotated[
        SubtractName | None,
        typer.Option(help="Add the target: energies minus their mean, or a fit to the composition."),
    ] = None,
    data: Data = None,
    quiet: Quiet = False,
) -> None:
    """Write randomly sorted Coulomb matrices to a NumPy file, for other programs.

    Arrays:
      X            upper triangles, hartree; (draws, molecules, entries), float32
      T            energies, kcal/mol
      molecule     rows of the data set
      permutation  order of the atoms
      features     inputs of the network (--encode)
      target       what the network learns (--subtract), in standard deviations

    Examples:
      qm7 augment --data gfn7 --draws 2 --output all.npz
      qm7 augment --fold 0 --part train --encode --output train.npz
    """
    from qm7cli.cli.progress import show_bytes
    from qm7cli.data.dataset import locate
    from qm7cli.model.augment import augmented_set
    from qm7cli.model.encoder import STEP
    from qm7cli.runs.experiment import resolve

    if fold is None and (part or split):
        raise UsageError(f"{'--part' if part else '--split'} needs --fold")
    if step is not None and not encode:
        raise UsageError("--step needs --encode")
    refuse_inputs(output, [locate(data), Path(split) if split else None])
    settings = resolve(None, [], {"split.scheme": split, "split.folds": None if fold is None else [fold]}).split
    distance = (step or STEP) if encode else None
    dataset = load_dataset(data)
    augmented = augmented_set(dataset, settings, part or "train", draws, noise, seed, step=distance, subtract=subtract)
    free = augmented.free_bytes(output)
    if not quiet:
        note(f"{output} will have {augmented.size() / 1e6:.1f} MB; {free / 1e6:.1f} MB are free there")
    with show_bytes(output.name, quiet=quiet) as report:
        augmented.write(output, report)
    _print_arrays(augmented)
    say(str(output))


def _print_arrays(augmented: "AugmentedSet") -> None:
    arrays = augmented.arrays().items()
    rows = [
        {"array": name, "shape": " x ".join(map(str, shape)), "dtype": str(dtype)} for name, (shape, dtype) in arrays
    ]
    write_output(make_table(rows, [Column(key, key, left=True) for key in rows[0]]))
