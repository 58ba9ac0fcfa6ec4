"""`qm7 split`: split the molecules into folds."""

from pathlib import Path
from typing import Annotated

import typer

from qm7cli.cli.options import Data, Split, load_dataset, whole
from qm7cli.cli.output import Table, refuse_inputs, say, show_number, write_output


def split(
    scheme: Split = "published",
    count: Annotated[int | None, whole("Number of folds to make. [default: 5]")] = None,
    seed: Annotated[int | None, whole("Seed of the folds. [default: 0]")] = None,
    within: Annotated[
        int | None,
        typer.Option(metavar="K", min=0, help="Split only the training molecules of fold K, stratified by energy."),
    ] = None,
    output: Annotated[Path | None, typer.Option(metavar="FILE.yaml", help="Write the folds to FILE.yaml.")] = None,
    data: Data = None,
) -> None:
    """Split the molecules into folds, and show sizes and energies of the folds.

    With --output, the folds go to a file that --split of other commands takes.

    Schemes:
      published   folds that the data set carries
      stratified  sorted by energy; neighbors go to different folds
      random      shuffled and cut

    Folds made with --within K do not contain the test molecules of fold K. Use them to choose settings.

    Examples:
      qm7 split --scheme stratified --count 10 --output folds.yaml
      qm7 split --within 0 --output within-0.yaml

    Columns: number of molecules, mean and standard deviation (std) of the energies, kcal/mol.
    """
    from qm7cli.core.errors import UsageError
    from qm7cli.data import splits
    from qm7cli.runs.experiment import resolve

    scheme = scheme or "published"
    drawn = within is not None or scheme in splits.DRAWN
    if output and not output.name.endswith(splits.SPLIT_FILE):
        raise UsageError(f"--output {output}: the name of a split file must end in .yaml")
    made_by = scheme if within is None else "stratified"
    own = resolve(None, [], {"split.scheme": made_by, "split.count": count, "split.seed": seed}).split
    outer = resolve(None, [], {"split.scheme": scheme}).split
    dataset = load_dataset(data)
    refuse_inputs(output, [dataset.path, Path(scheme)])
    if within is None:
        folds, made = splits.make_folds(dataset, own), own.scheme
    else:
        folds = splits.folds_within(dataset, outer, within, own.count, own.seed)
        made = f"stratified, of the training molecules of fold {within} of {scheme}"
    if output:
        splits.write_split(output, dataset, made, own.seed if drawn else None, folds)
    sizes, means, deviations = zip(*splits.describe_folds(dataset, folds), strict=True)
    columns = {"fold": [*map(str, range(len(folds)))], "molecules": [*map(str, sizes)]}
    columns |= {"mean energy": [*map(show_number, means)], "std": [*map(show_number, deviations)]}
    write_output(Table(columns, {"fold"}, ["Energies in kcal/mol"]))
    if output:
        say(str(output))
