"""`qm7 gradcheck`: the gradient variants against the loss gradient."""

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from qm7cli.cli.options import Data, Output, OutputFormat, complete_variants, load_dataset
from qm7cli.cli.output import Column, Table, make_table, print_error, refuse_inputs, show_number, write_output

if TYPE_CHECKING:
    from qm7cli.model.gradcheck import GradCheck


MOTIONS: Final = (
    Column("name", "variant", left=True),
    Column("to_mean", "A to mean", show_number),
    Column("without_error", "no error", "x {:.3f}".format),
    Column("alone", "A alone", "{:.2g}".format),
    Column("compensated", "compensated", "{:.2g}".format),
    Column("exponent", "exponent", show_number),
)
MOTIONS_NOTE: Final = (
    "The largest change of an output if A steps alone, and if B compensates, in kcal/mol at the rate 0.01."
)


def gradcheck(
    variant: Annotated[
        str | None, typer.Option(autocompletion=complete_variants, help="Rule to check: RULES. [default: all]")
    ] = None,
    data: Data = None,
    format_: OutputFormat = None,
    output: Output = None,
) -> None:
    """Check the update rules against the loss gradient by finite differences.

    A small float64 network takes one step with each rule. The first table has the angle of dW, dA and dB to the loss
    gradient (degrees) x their length as its multiple. rescaling is the backward factor sqrt(m/n).

    Columns of the second table:
      A to mean    angle of A's step to the direction of the mean input, degrees
      no error     length of A's step if no output had an error, as a multiple
      A alone      largest change of an output if only A steps, kcal/mol
      compensated  the same if B compensates
      exponent     power of the learning rate in that change (0.01 above)

    Examples:
      qm7 gradcheck --data gfn7
      qm7 gradcheck --data gfn7 --variant original

    Exit status 1: a rule that comes with the program does not do what it should.
    """
    from qm7cli.core.errors import UsageError
    from qm7cli.model.gradcheck import GRADIENTS, check_gradients
    from qm7cli.model.variants import RULES, display_name

    variants = [name for name in RULES if variant in (None, name)]
    if not variants:
        raise UsageError(f"--variant is {variant}, not one of {', '.join(RULES)}")
    dataset = load_dataset(data)
    refuse_inputs(output, [dataset.path])
    check = check_gradients(dataset, variants)
    table = _directions_table(check)
    motions = [each._asdict() | {"name": display_name(each.variant)} for each in check.motions]
    table.below = f"\n{make_table(motions, MOTIONS, MOTIONS_NOTE).text()}"
    if not check.failures and GRADIENTS.keys() & set(variants):
        table.below += "All of it is as expected.\n"
    write_output(table, [each._asdict() for each in check.directions], format_, output)
    for failure in check.failures:
        print_error(failure)
    raise typer.Exit(int(bool(check.failures)))


def _directions_table(check: "GradCheck") -> Table:
    from qm7cli.model.variants import display_name

    rows: dict[tuple[str, str, bool], dict[str, Any]] = {}
    for each in check.directions:
        for rescaled, shown in ((False, "off"), (True, "on")):  # side by side
            key = each.variant, each.parameter, rescaled
            rows.setdefault(key, {"parameter": each.parameter, "rescaled": shown})
        row = rows[each.variant, each.parameter, each.rescaled]
        row[f"layer {each.layer}"] = f"{each.angle:.1f} x {each.ratio:#.4g}"
    columns = [Column("parameter", "direction", left=True), Column("rescaled", "rescaling", left=True)]
    columns += [Column(f"layer {k}", f"layer {k}") for k in range(1, len(check.sizes))]
    sizes = "-".join(map(str, check.sizes))
    note = f"Degrees from the loss gradient x length as its multiple, of a network {sizes} in float64."
    headings = [display_name(variant) for variant, _, _ in rows]
    return make_table(list(rows.values()), columns, note, headings=headings)
