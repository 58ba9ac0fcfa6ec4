"""`qm7 predict`: energies of the user's own molecules."""

from pathlib import Path
from typing import Annotated, Final

import typer

from qm7cli.cli import completion
from qm7cli.cli.options import Draws, MoleculeFiles, Output, OutputFormat, Quiet, TrainedFolds
from qm7cli.cli.output import format_records, note, write_output
from qm7cli.cli.tables import Column, make_table, show_number

ENERGY: Final = "kcal/mol"
COLUMNS: Final = (
    Column("molecule", "molecule", left=True),
    Column("energy", "energy", show_number, unit=ENERGY),
    Column("spread", "spread", show_number, unit=ENERGY),
    Column("fold_spread", "fold spread", show_number, unit=ENERGY),
    Column("distance", "distance", show_number, unit="hartree"),
    Column("warnings", "outside", lambda reasons: "yes" if reasons else "no"),
)


def predict(
    run: Annotated[Path, typer.Argument(metavar="RUN", autocompletion=completion.runs, help="Run directory.")],
    files: MoleculeFiles,
    fold: TrainedFolds = None,
    draws: Draws = None,
    format_: OutputFormat = "table",
    output: Output = None,
    quiet: Quiet = False,
) -> None:
    """Predict atomization energies of molecules with the models of a run.

    energy is the mean over draws and folds in kcal/mol. spread is the scatter of the draws, as a standard deviation,
    and fold spread that of the folds' models; neither is an error bar. distance is that of the molecule's sorted
    Coulomb matrix from the nearest one trained on, in hartree. Where a molecule is outside of what a model was
    trained on, a line on standard error says in what, as does warnings in csv, json and yaml. The exit status is 1 if a
    molecule has more atoms than a model has room for. Needs ASE: pip install ase

    Example: qm7 predict runs/qm7-corrected-seed0 molecules.xyz --format csv
    """
    from dataclasses import asdict

    from qm7cli.core.files import refuse_output
    from qm7cli.data.molecules import describe_left_out, read_molecules
    from qm7cli.model.predict import predict_molecules
    from qm7cli.runs.models import load_models

    refuse_output(output, [run, *files])
    models = load_models(run, fold)
    molecules, left_out = read_molecules(files)
    predictions = predict_molecules(models, molecules, draws)
    if not quiet:
        for prediction in predictions:
            if prediction.warnings:
                note(f"{prediction.molecule}: {'; '.join(prediction.warnings)}")
        if left_out:
            note(describe_left_out(left_out))
    records = [asdict(prediction) for prediction in predictions]
    table = make_table(records, COLUMNS, "energy and spreads in kcal/mol, distance in hartree")
    rows = [record | {"warnings": "; ".join(record["warnings"])} for record in records]
    write_output(table, format_records(format_, rows, table, records, documents={"json"}), output)
    if any(prediction.energy is None for prediction in predictions):
        raise typer.Exit(1)
