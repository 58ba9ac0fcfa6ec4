"""`qm7 predict`: energies of the user's own molecules."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from qm7cli.cli.common import Debug, Format, Quiet, note, number, plain_table, print_table


def predict(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run directory.")],
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="Molecules: XYZ, extended XYZ, SDF, PDB, ...; angstrom.")
    ],
    fold: Annotated[
        list[int] | None,
        typer.Option(metavar="N", min=0, help="Fold whose model predicts; may be given again. Without: all trained."),
    ] = None,
    draws: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Draws that predictions are averaged over. Without: the run's own."),
    ] = None,
    format_: Annotated[Format, typer.Option("--format", help="One line a molecule in json.")] = Format.TABLE,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write there instead of to standard output.")
    ] = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Predict atomization energies of molecules with the models of a run.

    energy is the mean over draws and folds in kcal/mol, spread the standard deviation over draws, fold spread that
    over the folds' models. What a molecule has that the models have not seen is said on standard error and, but in
    the table, under outside. Needs ASE: pip install ase

    Example: qm7 predict runs/qm7-corrected-seed0 molecules.xyz --format csv
    """
    from qm7cli.files import write_text
    from qm7cli.molecule_files import describe_left_out, read_molecules
    from qm7cli.predict import predict as predict_all
    from qm7cli.results import load_models

    models = load_models(run, fold)
    molecules, left_out = read_molecules(files)
    predictions = predict_all(models, molecules, draws)
    if not quiet:
        for prediction in predictions:
            if prediction.outside:
                note(f"{prediction.molecule}: {'; '.join(prediction.outside)}")
        if left_out:
            note(describe_left_out(left_out))
    records = [prediction.record() for prediction in predictions]
    if format_ is Format.TABLE and output is None:
        print_table(*_table(records))
    elif output is None:
        print(_formatted(records, format_), end="")
    else:
        write_text(output, _formatted(records, format_))
    if all(prediction.energy is None for prediction in predictions):
        raise typer.Exit(1)


def _formatted(records: list[dict[str, Any]], format_: Format) -> str:
    from qm7cli.files import format_csv, format_yaml

    if format_ is Format.YAML:
        return format_yaml(records)
    if format_ is Format.JSON:
        return "".join(json.dumps(record) + "\n" for record in records)
    if format_ is Format.CSV:
        rows = [[*list(record.values())[:-1], "; ".join(record["outside"])] for record in records]
        return format_csv(list(records[0]), rows)
    return plain_table(*_table(records))


def _table(records: list[dict[str, Any]]) -> tuple[list[str], list[list[str]]]:
    columns = ("energy", "spread", "fold_spread")
    rows = [[record["molecule"], *(number(record[column]) for column in columns)] for record in records]
    return ["kcal/mol", "energy", "spread", "fold spread"], rows
