"""`qm7 info`: what is in a data set."""

from typing import Annotated

import typer

from qm7cli.cli.options import Data, Output, OutputFormat, load_dataset
from qm7cli.cli.output import Column, make_table, note, refuse_inputs, write_output


def info(
    data: Data = None,
    format_: OutputFormat = None,
    output: Output = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only errors.")] = False,
) -> None:
    """Show what a data set contains, and whether it is sound.

    In a sound data set, X is the Coulomb matrix of Z and R (bohr), and T has atomization energies or total energies
    (kcal/mol). It also says whether the file is the published QM7.

    Examples:
      qm7 info --data gfn7
      qm7 info --data mine.npz --quiet && echo sound

    Exit status 1: the data set is not sound.
    """
    from qm7cli.data.soundness import describe, describe_leaks, refuse_unsound
    from qm7cli.model.target import Target

    dataset = load_dataset(data)
    refuse_inputs(output, [dataset.path])
    description = describe(dataset) | Target.fit("composition", dataset.Z, dataset.T).describe()
    if not quiet:
        records = [{"property": name, "value": value} for name, value in description.items()]
        columns = [Column(key, key, left=True) for key in records[0]]
        write_output(make_table(records, columns, wrapped="value"), records, format_, output)
        if leaks := describe_leaks(dataset, dataset.P):
            note(leaks)
    refuse_unsound(dataset)
