"""`qm7 gradcheck`: the gradient variants against the loss gradient."""

import json
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from qm7cli.cli.common import (
    Data,
    Debug,
    Output,
    Table,
    complain,
    deliver,
    load_dataset,
    number,
    paragraph,
    plain_table,
)

if TYPE_CHECKING:
    from qm7cli.gradcheck import GradCheck


def gradcheck(
    variant: Annotated[
        Literal["original", "corrected", "no-prebias"] | None, typer.Option(help="What moves A and B. Without: all.")
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Seed of the molecules and the network.")] = 0,
    step: Annotated[
        float, typer.Option(metavar="H", min=1e-7, max=1e-3, help="Step of the finite differences.")
    ] = 1e-4,
    data: Data = None,
    format_: Annotated[Literal["table", "yaml", "json"], typer.Option("--format", help="How it is printed.")] = "table",
    output: Output = None,
    debug: Debug = False,
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
    from qm7cli.files import refuse_output
    from qm7cli.gradcheck import gradcheck as checked
    from qm7cli.variants import RULES
    from qm7cli.yaml_text import format_yaml

    dataset = load_dataset(data)
    refuse_output(output, [dataset.path])
    found = checked(dataset, [variant] if variant else list(RULES), seed, step)
    record = {
        "sizes": found.sizes,
        "directions": [each._asdict() for each in found.directions],
        "motions": [each._asdict() for each in found.motions],
        "failures": found.failures,
    }
    text = None
    if format_ != "table":
        text = format_yaml(record) if format_ == "yaml" else json.dumps(record) + "\n"
    deliver(_directions(found), text, output, 3, _after(found))
    for failure in found.failures:
        complain(failure)
    if found.failures:
        raise typer.Exit(1)


def _directions(found: "GradCheck") -> Table:
    header = ["variant", "direction", "rescaling", *(f"layer {k}" for k in range(1, len(found.sizes)))]
    rows: dict[tuple[str, str, str], list[str]] = {}
    for each in found.directions:
        label = each.variant, each.parameter, "on" if each.rescaled else "off"
        rows.setdefault(label, list(label)).append(f"{each.angle:.1f} x {each.ratio:#.4g}")
    return header, sorted(rows.values(), key=lambda row: list(rows).index((row[0], row[1], "off")))


def _motions(found: "GradCheck") -> Table:
    header = ["variant", "A to mean", "A without error", "A steps alone", "B makes up", "exponent"]
    rows = [
        [
            each.variant,
            number(each.to_mean),
            "-" if each.without_error is None else f"x {each.without_error:.3f}",
            f"{each.alone:.2g}",
            f"{each.compensated:.2g}",
            number(each.exponent),
        ]
        for each in found.motions
    ]
    return header, rows


def _after(found: "GradCheck") -> str:
    """Say what the first table holds, then give the second, and what is to be made of both."""
    sizes = "-".join(map(str, found.sizes))
    directions = f"Degrees from the loss gradient x length as its multiple, of a network {sizes} in float64."
    motions = (
        "The largest change of an output if A steps alone, and if B makes up for it, in kcal/mol at the rate 0.01."
    )
    return f"{paragraph(directions)}\n{plain_table(*_motions(found))}{paragraph(motions)}" + (
        "" if found.failures else "All of it is as expected.\n"
    )
