"""`qm7 predict`: energies of the user's own molecules."""

from collections import Counter
from itertools import islice, takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from qm7cli.cli import completion
from qm7cli.cli.options import MOLECULE_FORMATS, Draws, Output, OutputFormat, Quiet, TrainedFolds
from qm7cli.cli.output import note, refuse_inputs, write_output
from qm7cli.cli.tables import Column, Table, make_table, show_number
from qm7cli.core.errors import UsageError

if TYPE_CHECKING:
    from qm7cli.data.molecules import Molecule
    from qm7cli.model.fold_model import FoldModel
    from qm7cli.model.predict import Prediction

SMILES: Final = ".smi"
ENERGY: Final = "kcal/mol"
COLUMNS: Final = (
    Column("molecule", "molecule", left=True),
    Column("energy", "energy", show_number, unit=ENERGY),
    Column("interval", "interval", lambda width: "-" if width is None else f"+-{width:.2f}", unit=ENERGY),
    Column("spread", "spread", show_number, unit=ENERGY),
    Column("fold_spread", "fold spread", show_number, unit=ENERGY),
    Column("conformer_spread", "conformers", show_number, unit=ENERGY),
    Column("distance", "distance", show_number, unit="hartree"),
    Column("warnings", "outside", lambda reasons: "yes" if reasons else "no"),
)
OPTIONAL: Final = {"fold_spread", "conformer_spread", "distance"}  # columns that are left out where all are unknown

Paths = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="[RUN...] FILE...",
        help=f"{MOLECULE_FORMATS}; .smi: a SMILES a line, and its name. Directories before them are runs.",
    ),
]
PredictingRuns = Annotated[
    list[Path] | None,
    typer.Option(
        "--run",
        metavar="RUN",
        autocompletion=completion.runs,
        help="Run to predict with; may be repeated. Default: the bundled model.",
    ),
]
SmilesTexts = Annotated[
    list[str] | None,
    typer.Option("--smiles", metavar="SMILES", help="Molecule, as CCO; may be repeated. Needs RDKit."),
]


def predict(
    paths: Paths = None,
    run: PredictingRuns = None,
    smiles: SmilesTexts = None,
    fold: TrainedFolds = None,
    draws: Draws = None,
    format_: OutputFormat = None,
    output: Output = None,
    quiet: Quiet = False,
) -> None:
    """Predict atomization energies of molecules with the bundled model, or with those of runs.

    energy is the mean over draws and models in kcal/mol. interval is half the width of a 90 % interval: of held-out
    molecules of the data set, 9 in 10 have their energy within it (split conformal prediction; the mean of the models'
    half widths). A molecule outside of what was trained on has no such guarantee. spread is the scatter of the draws,
    as a standard deviation, and fold spread that of the models of folds and runs; neither is an error bar. distance is
    that of the molecule's sorted Coulomb matrix from the nearest one trained on, in hartree. Where a molecule is
    outside of what a model was trained on, a line on standard error says in what, as does warnings in csv, json and
    yaml. The geometry of a SMILES is a guess: up to 10 conformers by RDKit (ETKDG, MMFF94), over which the energy is
    averaged, and whose scatter is conformers; the interval knows nothing of how wrong they are. The exit status is 1 if
    a molecule has more atoms than a model has room for. Files need ASE: pip install ase

    Example: qm7 predict ethanol.xyz

    Example: qm7 predict --run runs/qm7-corrected-seed0 molecules.xyz --smiles CCO --format csv
    """
    from dataclasses import asdict

    from qm7cli.cli.progress import show_count
    from qm7cli.model.predict import average_conformers, predict_molecules

    runs, files = _split_paths(paths or [], run or [])
    if not files and not smiles:
        raise UsageError("no molecules: name a FILE of molecules, or give --smiles")
    refuse_inputs(output, [*runs, *files])
    models, description = _load_models(runs, fold)
    groups, left_out = _read_groups(files, smiles or [])
    with show_count("molecules", sum(map(len, groups)), quiet=quiet) as report:
        flat = iter(predict_molecules(models, [molecule for group in groups for molecule in group], draws, report))
    predictions = [average_conformers(list(islice(flat, len(group)))) for group in groups]
    if not quiet:
        _say_notes(description, groups, predictions, left_out)
    records = [asdict(prediction) for prediction in predictions]
    table = _make_table(records)
    write_output(table, records, format_, output)
    if any(prediction.energy is None for prediction in predictions):
        raise typer.Exit(1)


def _split_paths(paths: list[Path], runs: list[Path]) -> tuple[list[Path], list[Path]]:
    """Return runs and files of molecules: what stands before the files and is a directory, or looks like one, is a run.

    One that is misspelled is a run too if it has no ending of a file of molecules.
    """
    from qm7cli.data.molecules import FORMATS, UNPACK

    def is_run(path: Path) -> bool:
        return path.is_dir() or not (path.exists() or path.suffix.lower() in {*FORMATS, *UNPACK, SMILES})

    leading = list(takewhile(is_run, paths))
    return [*runs, *leading], paths[len(leading) :]


def _load_models(runs: list[Path], folds: list[int] | None) -> "tuple[list[FoldModel], str]":
    """Return the models of runs, or the bundled one and what it is."""
    from qm7cli.model.bundled import load_bundled
    from qm7cli.runs.models import load_models

    if runs:
        return [model for run in dict.fromkeys(runs) for model in load_models(run, folds)], ""
    if folds:
        raise UsageError("--fold chooses among the folds of a run: name the run with --run")
    bundled = load_bundled()
    return [bundled.model], bundled.description


def _read_groups(files: list[Path], smiles: list[str]) -> "tuple[list[list[Molecule]], Counter[str]]":
    """Return the molecules of files, and the conformers of each SMILES; and how many were left out, by reason."""
    from qm7cli.data.molecules import read_molecules
    from qm7cli.data.smiles import Smiles, embed_all, read_smiles

    texts = [each for path in files if path.suffix.lower() == SMILES for each in read_smiles(path)]
    texts += [Smiles(text, text) for text in smiles]
    geometries = [path for path in files if path.suffix.lower() != SMILES]
    molecules, left_out = read_molecules(geometries) if geometries else ([], Counter())
    return [*([molecule] for molecule in molecules), *(embed_all(texts) if texts else ())], left_out


def _say_notes(
    description: str, groups: "list[list[Molecule]]", predictions: "list[Prediction]", left_out: "Counter[str]"
) -> None:
    """Say on standard error what predicts, and what is to be known of the molecules."""
    from qm7cli.data.molecules import describe_left_out

    if description:
        note(description)
    if any(len(group) > 1 for group in groups):
        note("geometries of SMILES are guesses (ETKDG, MMFF94), whose errors are in no interval")
    for prediction in predictions:
        if prediction.warnings:
            note(f"{prediction.molecule}: {'; '.join(prediction.warnings)}")
    if left_out:
        note(describe_left_out(left_out))


def _make_table(records: list[dict[str, Any]]) -> Table:
    known = {key for record in records for key, value in record.items() if value is not None}
    columns = [column for column in COLUMNS if column.key in known or column.key not in OPTIONAL]
    units = "energy, interval and spreads in kcal/mol" + (", distance in hartree" if "distance" in known else "")
    outside = any(record["warnings"] for record in records)
    return make_table(records, columns, units, *(["an interval promises nothing outside"] if outside else []))
