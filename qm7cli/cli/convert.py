"""`qm7 convert`: a data set of the user's own molecules."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from qm7cli.cli.common import Debug, MoleculeFiles, Quiet, note


def convert(
    files: MoleculeFiles,
    energy_key: Annotated[str, typer.Option(metavar="KEY", help="Name of the atomization energy in the files.")],
    output: Annotated[Path, typer.Option(metavar="FILE.npz", help="Where to write.")],
    units: Annotated[Literal["kcal/mol", "eV", "hartree"], typer.Option(help="Of the energies.")] = "kcal/mol",
    count: Annotated[int, typer.Option(metavar="N", min=2, help="Folds to make, stratified by energy.")] = 5,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Make a data set of molecules with known atomization energies, which all other commands take.

    Charged and periodic systems are left out and counted. Needs ASE: pip install ase

    Example: qm7 convert molecules.xyz --energy-key energy --units eV --output mine.npz
    """
    from qm7cli.convert import convert as make
    from qm7cli.errors import UsageError
    from qm7cli.molecule_files import describe_left_out

    if output.suffix != ".npz":
        raise UsageError(f"--output {output}: the file of a data set ends in .npz")
    molecules, atoms, left_out = make(files, energy_key, units, count, output)
    if left_out and not quiet:
        note(describe_left_out(left_out))
    print(f"{output}: {molecules} molecules of up to {atoms} atoms, {count} folds")
