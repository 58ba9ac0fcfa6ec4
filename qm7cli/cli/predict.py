"""`qm7 predict`: energies of the user's own molecules."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from qm7cli.cli.common import Debug, Draws, Format, MoleculeFiles, Output, Quiet, Table, deliver, note, number


def predict(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run directory.")],
    files: MoleculeFiles,
    fold: Annotated[
        list[int] | None,
        typer.Option(metavar="N", min=0, help="Fold whose model predicts; may be given again. Without: all trained."),
    ] = None,
    draws: Draws = None,
    format_: Annotated[Format, typer.Option("--format", help="One line a molecule in json.")] = Format.TABLE,
    output: Output = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Predict atomization energies of molecules with the models of a run.

    energy is the mean over draws and folds in kcal/mol. spread is the scatter of the draws, as a standard deviation,
    and fold spread that of the folds' models; neither is an error bar. distance is that of the molecule's sorted
    Coulomb matrix from the nearest one trained on, in hartree. Where a molecule is outside of what a model was
    trained on, a line on standard error says in what, as does warnings in csv, json and yaml. The exit status is 1 if a
    molecule has more atoms than a model has room for. Needs ASE: pip install ase

    Example: qm7 predict runs/qm7-corrected-seed0 molecules.xyz --format csv
    """
    from qm7cli.files import refuse_output
    from qm7cli.molecule_files import describe_left_out, read_molecules
    from qm7cli.predict import predict as predict_all
    from qm7cli.results import load_models

    refuse_output(output, [run, *files])
    models = load_models(run, fold)
    molecules, left_out = read_molecules(files)
    predictions = predict_all(models, molecules, draws)
    if not quiet:
        for prediction in predictions:
            if prediction.warnings:
                note(f"{prediction.molecule}: {'; '.join(prediction.warnings)}")
        if left_out:
            note(describe_left_out(left_out))
    records = [prediction.record() for prediction in predictions]
    units = "energy and spreads in kcal/mol, distance in hartree\n"
    deliver(_table(records), _formatted(records, format_), output, after=units)
    if any(prediction.energy is None for prediction in predictions):
        raise typer.Exit(1)


def _formatted(records: list[dict[str, Any]], format_: Format) -> str | None:
    """Return the predictions as text; None for a table."""
    from qm7cli.files import format_csv
    from qm7cli.yaml_text import format_yaml

    if format_ is Format.YAML:
        return format_yaml(records)
    if format_ is Format.JSON:
        return "".join(json.dumps(record) + "\n" for record in records)
    if format_ is Format.CSV:
        rows = [[*list(record.values())[:-1], "; ".join(record["warnings"])] for record in records]
        return format_csv(list(records[0]), rows)
    return None


def _table(records: list[dict[str, Any]]) -> Table:
    columns = ("energy", "spread", "fold_spread", "distance")
    rows = [
        [record["molecule"], *(number(record[column]) for column in columns), "yes" if record["warnings"] else "no"]
        for record in records
    ]
    return ["molecule", "energy", "spread", "fold spread", "distance", "outside"], rows
