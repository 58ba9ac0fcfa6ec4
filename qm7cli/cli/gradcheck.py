"""`qm7 gradcheck`: the gradient variants against the loss gradient."""

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer

from qm7cli.cli.options import Data, Output, load_dataset
from qm7cli.cli.output import format_records, print_error, write_output
from qm7cli.cli.tables import Column, Table, make_table, show_number

if TYPE_CHECKING:
    from qm7cli.model.gradcheck import GradCheck

MOTIONS: Final = (
    Column("variant", "variant", left=True),
    Column("to_mean", "A to mean", show_number),
    Column("without_error", "A without error", lambda ratio: "-" if ratio is None else f"x {ratio:.3f}"),
    Column("alone", "A steps alone", lambda change: f"{change:.2g}"),
    Column("compensated", "B makes up", lambda change: f"{change:.2g}"),
    Column("exponent", "exponent", show_number),
)


def gradcheck(
    variant: Annotated[
        Literal["original", "corrected", "no-prebias", "uncompensated"] | None,
        typer.Option(help="What moves A and B. Without: all."),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Seed of the molecules and the network.")] = 0,
    step: Annotated[
        float, typer.Option(metavar="H", min=1e-7, max=1e-3, help="Step of the finite differences.")
    ] = 1e-4,
    data: Data = None,
    format_: Annotated[Literal["table", "yaml", "json"], typer.Option("--format", help="How it is printed.")] = "table",
    output: Output = None,
) -> None:
    """Check the gradient variants against the loss gradient by finite differences.

    A small float64 network of molecules of the data set takes one step with each variant. For dW, dA and dB of each
    layer there are the angle to the loss gradient (degrees) and the length as its multiple, with the backward
    rescaling sqrt(m/n) on and off. Then, what A does: the angle of its step to the way to the mean input (degrees), its
    length if the outputs had no error, how far an output moves if A steps alone, and if B makes its compensating step
    too (kcal/mol, at the rate 0.01). The exponent is that of the rate in what the step of A changes in the end. If an
    expectation does not hold, the exit status is 1.

    Example: qm7 gradcheck --data gfn7 --variant original
    """
    from qm7cli.core.files import refuse_output
    from qm7cli.model.gradcheck import check_gradients
    from qm7cli.model.variants import RULES

    dataset = load_dataset(data)
    refuse_output(output, [dataset.path])
    check = check_gradients(dataset, [variant] if variant else list(RULES), seed, step)
    directions = [each._asdict() for each in check.directions]
    motions = [each._asdict() for each in check.motions]
    record = {"sizes": check.sizes, "directions": directions, "motions": motions, "failures": check.failures}
    table = _directions_table(check)
    table.below = _text_below(motions, sound=not check.failures)
    write_output(table, format_records(format_, directions, table, record), output)
    for failure in check.failures:
        print_error(failure)
    if check.failures:
        raise typer.Exit(1)


def _directions_table(check: "GradCheck") -> Table:
    """Return a row for each variant, direction and rescaling, with the layers as columns."""
    pairs: dict[tuple[str, str], tuple[dict[str, Any], dict[str, Any]]] = {}  # rescaling off and on
    for each in check.directions:
        row = pairs.setdefault((each.variant, each.parameter), ({}, {}))[each.rescaled]
        row |= {"variant": each.variant, "parameter": each.parameter, "rescaled": "on" if each.rescaled else "off"}
        row[f"layer {each.layer}"] = f"{each.angle:.1f} x {each.ratio:#.4g}"
    columns = [
        Column("variant", "variant", left=True),
        Column("parameter", "direction", left=True),
        Column("rescaled", "rescaling", left=True),
        *(Column(f"layer {k}", f"layer {k}") for k in range(1, len(check.sizes))),
    ]
    records = [row for pair in pairs.values() for row in pair]
    sizes = "-".join(map(str, check.sizes))
    note = f"Degrees from the loss gradient x length as its multiple, of a network {sizes} in float64."
    return make_table(records, columns, note)


def _text_below(motions: list[dict[str, Any]], *, sound: bool) -> str:
    """Return the text under the directions: what A does, and whether all is as expected."""
    note = "The largest change of an output if A steps alone, and if B makes up for it, in kcal/mol at the rate 0.01."
    table = make_table(motions, MOTIONS, note)
    return f"\n{table.plain_text()}{table.after}" + ("All of it is as expected.\n" if sound else "")
