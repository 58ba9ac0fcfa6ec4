"""`qm7 predict`: energies of the user's own molecules."""

import re
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from qm7cli.cli import options
from qm7cli.cli.output import Column, Format, make_table, note, refuse_inputs, show_number, write_output
from qm7cli.core.errors import QM7Error, UsageError

if TYPE_CHECKING:
    from qm7cli.data.molecule_files import Group
    from qm7cli.model.fold_model import FoldModel
    from qm7cli.model.predict import Prediction

ENERGY: Final = "kcal/mol"
COLUMNS: Final = (
    Column("name", "molecule", left=True),
    Column("formula", "formula", left=True),
    Column("energy_kcal_mol", "energy", show_number, unit=ENERGY),
    Column("interval_kcal_mol", "interval", "+-{:.2f}".format, unit=ENERGY),
    Column("spread_kcal_mol", "spread", show_number, unit=ENERGY),
    Column("fold_spread_kcal_mol", "fold spread", show_number, unit=ENERGY),
    Column("conformer_spread_kcal_mol", "conformers", show_number, unit=ENERGY),
    Column("outside", "outside", lambda outside: "yes" if outside else "no"),
)
OPTIONAL: Final = ("conformers", "fold spread")  # columns that are left out where all are unknown
RUN: Final = typer.Option(
    metavar="RUN",
    autocompletion=options.complete_runs,
    help="Run to predict with; repeatable. [default: the bundled model]",
)


def predict(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="FILE",
            help=f"{options.MOLECULE_FORMATS}. SMILES: .smi, or .csv with a column of them. Or - for standard input.",
        ),
    ] = None,
    run: Annotated[list[Path] | None, RUN] = None,
    smiles: Annotated[
        list[str] | None, typer.Option(metavar="SMILES", help="Molecule to predict, as CCO; repeatable.")
    ] = None,
    smiles_column: Annotated[
        str | None, typer.Option(metavar="NAME", help="Column of SMILES in a .csv. [default: smiles, in any case]")
    ] = None,
    input_format: options.InputFormat = None,
    fold: options.TrainedFolds = None,
    draws: options.Draws = None,
    level: Annotated[  # as qm7cli.model.conformal has it, without what that imports
        float, typer.Option(min=0.5, max=0.99, help="Level of the prediction interval, 0.5 to 0.99.")
    ] = 0.9,
    format_: options.OutputFormat = None,
    output: options.Output = None,
    quiet: options.Quiet = False,
) -> None:
    """Predict atomization energies of molecules.

    The bundled model is for neutral closed-shell molecules of H, C, N, O and S, with up to 7 heavy atoms and 23 in all.
    Its energies are PBE0's. With --run, the models of all chosen runs and folds are averaged.

    Columns:
      energy       predicted energy, kcal/mol (negative)
      interval     half-width of the 90% prediction interval, kcal/mol
      spread       standard deviation over random matrices (not an error bar)
      fold spread  standard deviation over models (not an error bar)
      conformers   standard deviation over conformers (SMILES only)
      outside      yes: unlike the training set, so the interval does not hold;
                   standard error says why

    RDKit makes up to 10 conformers of a SMILES (ETKDG, MMFF94), whose energies are averaged. The interval ignores the
    errors of these geometries. Needs ASE and RDKit: pip install '.[chem]'

    Examples:
      qm7 predict --smiles CCO --smiles O=C=O
      qm7 predict ethanol.xyz --output energies.xyz
      qm7 predict molecules.sdf --run runs/qm7-original-seed0 --format csv

    Exit status 1: a molecule was left out (charged, periodic, unreadable), or is too large for the model.
    """
    from qm7cli.cli.progress import show_count
    from qm7cli.data.molecule_files import read_groups
    from qm7cli.model.predict import average_conformers, predict_molecules

    files = paths or []
    if not files and not smiles:
        raise UsageError("no molecules: name a FILE of molecules, or give --smiles")
    _refuse_confused(files)
    refuse_inputs(output, [*(run or ()), *files])
    models, description = _load_models(run or [], fold)
    groups, left_out = read_groups(files, input_format, smiles_column, smiles or [])
    molecules = [molecule for group in groups for molecule in group.conformers]
    with show_count("molecules", quiet=quiet) as report:
        flat = iter(predict_molecules(models, molecules, draws, lambda done: report(done, len(molecules)), level=level))
    of_conformers = [list(islice(flat, len(group.conformers))) for group in groups]
    predictions = list(map(average_conformers, of_conformers))
    for line in () if quiet else _notes(description, groups, predictions, left_out):
        note(line)
    _write(groups, of_conformers, predictions, level, format_, output)
    if left_out or any(prediction.energy is None for prediction in predictions):
        raise typer.Exit(1)


def _write(
    groups: "list[Group]",
    of_conformers: "list[list[Prediction]]",
    predictions: "list[Prediction]",
    level: float,
    format_: Format | None,
    output: Path | None,
) -> None:
    """Write what is predicted as a table or records, or with the geometries."""
    from qm7cli.core.files import write_text

    records = [_record(*each, level) for each in zip(groups, predictions, strict=True)]
    units = f"energy, half-width of the {100 * level:g}% interval and spreads in kcal/mol"
    table = make_table(records, COLUMNS, units, optional=OPTIONAL)
    if any(record["outside"] for record in records):
        table.notes.append("intervals do not hold outside")
    if output and not format_ and output.suffix.lower() in {".xyz", ".extxyz"}:
        write_text(output, _xyz(groups, of_conformers, records))
    else:
        write_output(table, records, format_, output)


def _refuse_confused(files: Sequence[Path]) -> None:
    """Raise QM7Error for files that are SMILES or directories."""
    for path in files:
        if path.is_dir():
            raise QM7Error(f"{path} is a directory, not a file of molecules; if it is a run, write --run {path}")
        if not (path.exists() or path.suffix) and re.fullmatch(r"[\w@+=#()\[\]/\\%*]+", str(path)):
            raise QM7Error(f"{path} is no file; if it is a SMILES, write --smiles '{path}'")


def _load_models(runs: list[Path], folds: list[int] | None) -> "tuple[list[FoldModel], str]":
    """Return the models of runs, or the bundled one and what it is."""
    from qm7cli.model.model import load_bundled
    from qm7cli.runs.models import load_models

    if runs:
        return [model for run in dict.fromkeys(runs) for model in load_models(run, folds)], ""
    if folds:
        raise UsageError("--fold chooses among the folds of a run: name the run with --run")
    bundled = load_bundled()
    return [bundled.model], bundled.description


def _notes(
    description: str, groups: "list[Group]", predictions: "list[Prediction]", left_out: list[QM7Error]
) -> Iterator[str]:
    """Give what is to be known of the model and the molecules."""
    from qm7cli.data.molecule_files import describe_left_out

    if description:
        yield description
    if any(len(group.conformers) > 1 for group in groups):
        yield "geometries of SMILES are guesses (ETKDG, MMFF94), whose errors are in no interval"
    for prediction in predictions:
        if prediction.warnings:
            yield f"{prediction.molecule}: {'; '.join(prediction.warnings)}"
    if any(prediction.interval is None and prediction.energy is not None for prediction in predictions):
        yield "no interval: there are fewer --draws than the model's own, or too few held-out molecules for the --level"
    yield from describe_left_out(left_out)


def _xyz(groups: "list[Group]", of_conformers: "list[list[Prediction]]", records: list[dict[str, Any]]) -> str:
    """Return the conformer of lowest energy of each molecule, with its record and which of several it is."""
    from qm7cli.data.geometries import format_xyz

    molecules, values = [], []
    for group, own, record in zip(groups, of_conformers, records, strict=True):
        k = min(range(len(own)), key=lambda j: own[j].energy or 0)
        molecules.append(group.conformers[k])
        conformer = f"{k + 1} of {len(own)}" if own[1:] else ""
        values.append(record | {"reasons": "; ".join(record["reasons"]), "conformer": conformer})
    return format_xyz(molecules, values)


def _record(group: "Group", prediction: "Prediction", level: float) -> dict[str, Any]:
    """Return what is known of a molecule, with what its row of a table had before."""
    from qm7cli.data.dataset import formula

    made = {
        "name": prediction.molecule,
        "formula": formula(group.conformers[0].Z),
        "energy_kcal_mol": prediction.energy,
        "interval_kcal_mol": prediction.interval,
        "level": level,
        "spread_kcal_mol": prediction.spread,
        "fold_spread_kcal_mol": prediction.fold_spread,
        "conformer_spread_kcal_mol": prediction.conformer_spread,
        "outside": bool(prediction.warnings),
        "reasons": prediction.warnings,
    }
    return {(f"input_{key}" if key in made else key): value for key, value in group.row.items()} | made
