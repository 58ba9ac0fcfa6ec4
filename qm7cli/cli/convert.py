"""`qm7 convert`: a data set of the user's own molecules."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from qm7cli.cli.options import MoleculeFiles, Quiet
from qm7cli.cli.output import note, say


def convert(
    files: MoleculeFiles,
    energy_key: Annotated[str, typer.Option(metavar="KEY", help="Name of the atomization energy in the files.")],
    output: Annotated[Path, typer.Option(metavar="FILE.npz", help="Where to write.")],
    units: Annotated[
        Literal["kcal/mol", "kJ/mol", "eV", "hartree"], typer.Option(help="Of the energies.")
    ] = "kcal/mol",
    count: Annotated[int, typer.Option(metavar="N", min=2, help="Folds to make, stratified by energy.")] = 5,
    any_energies: Annotated[
        bool, typer.Option("--any-energies", help="Take energies that cannot be atomization energies.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    quiet: Quiet = False,
) -> None:
    """Make a data set of molecules with known atomization energies, which all other commands take.

    Charged and periodic systems are left out and counted. Energies that a molecule cannot have are
    refused: atomization energies are negative, from -250 to -10 kcal/mol an atom. Total energies are not, nor are
    energies in another unit than --units says.
    Needs ASE: pip install ase

    Example: qm7 convert molecules.xyz --energy-key energy --units eV --output mine.npz
    """
    from qm7cli.core.errors import UsageError
    from qm7cli.data.convert import convert_molecules
    from qm7cli.data.molecules import describe_left_out

    if output.suffix != ".npz":
        raise UsageError(f"--output {output}: the name of a data set file must end in .npz")
    made = convert_molecules(files, energy_key, units, count, output, any_energies=any_energies, force=force)
    if made.left_out and not quiet:
        note(describe_left_out(made.left_out))
    say(f"{output}: {made.molecules} molecules of up to {made.atoms} atoms, {count} folds")
    say(f"atoms: {made.elements}")
    say(
        "energies, kcal/mol: {:.2f} to {:.2f}; an atom: {:.2f} to {:.2f}".format(*made.energies, *made.energies_an_atom)
    )
