"""`qm7 convert`: a data set of the user's own molecules."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from qm7cli.cli.options import InputFormat, MoleculeFiles, Quiet
from qm7cli.cli.output import note, refuse_inputs, say


def convert(
    files: MoleculeFiles,
    energy_key: Annotated[
        str, typer.Option(metavar="KEY", help="Name of the energy in the files; for QM9 files, its column number.")
    ],
    output: Annotated[Path, typer.Option(metavar="FILE.npz", help="Data set to write.")],
    units: Annotated[
        Literal["kcal/mol", "kJ/mol", "eV", "hartree"], typer.Option(help="kcal/mol, kJ/mol, eV or hartree.")
    ] = "kcal/mol",
    count: Annotated[int, typer.Option(metavar="N", min=2, help="Folds to make, stratified by energy.")] = 5,
    input_format: InputFormat = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
    quiet: Quiet = False,
) -> None:
    """Make a data set from molecules with known energies, to train on.

    Atomization energies are -250 to -10 kcal/mol per atom. For total energies, train with --set
    target.subtract=composition. Copies of a molecule go to one fold. Needs ASE and RDKit: pip install '.[chem]'

    Examples:
      qm7 convert molecules.xyz --energy-key energy --units eV --output mine.npz
      qm7 train --data mine.npz

    Exit status 1: molecules that are charged, periodic or unreadable were left out; each is named.
    """
    import numpy as np

    from qm7cli.core.errors import UsageError
    from qm7cli.data.molecule_files import convert_molecules, describe_left_out
    from qm7cli.data.soundness import count_elements, describe_copies

    if output.suffix != ".npz":
        raise UsageError(f"--output {output}: the name of a data set file must end in .npz")
    refuse_inputs(output, files)
    dataset, left_out = convert_molecules(files, energy_key, units, count, output, kind=input_format, force=force)
    if not quiet:
        for line in describe_left_out(left_out):
            note(line)
    T, per_atom = dataset.T, dataset.T / np.count_nonzero(dataset.Z, axis=1)
    say(f"{output}: {len(dataset)} molecules of up to {dataset.Z.shape[1]} atoms, {count} folds")
    say(f"atoms: {count_elements(dataset.Z)}")
    say(f"energies, kcal/mol: {T.min():.2f} to {T.max():.2f}; per atom: {per_atom.min():.2f} to {per_atom.max():.2f}")
    remedy = ": train and baseline need --set target.subtract=composition" if dataset.energies == "total" else ""
    say(f"they seem to be {dataset.energies} energies{remedy}")
    if copies := describe_copies(dataset):
        say(copies)
    if left_out:
        raise typer.Exit(1)
