import csv
import json
import shutil

import make_bundled_model
import numpy as np
import pytest

from conftest import fold_errors
from molecules import xyz
from qm7cli.data.molecule_files import Smiles, embed
from qm7cli.data.molecules import BOHR
from qm7cli.model.conformal import Interval
from qm7cli.model.predict import predict_molecules
from qm7cli.runs.models import load_models

pytestmark = pytest.mark.usefixtures("trained")

FIELDS = [
    "name", "formula", "energy_kcal_mol", "interval_kcal_mol", "level", "spread_kcal_mol",
    "fold_spread_kcal_mol", "conformer_spread_kcal_mol", "outside", "reasons",
]  # fmt: skip


@pytest.fixture
def trained(three_variants, small, tmp_path):
    """A run of two folds, and a file with two molecules of the data set that both have not seen or have."""
    shutil.copytree(three_variants / "original", tmp_path / "run")
    frames = [xyz(small.Z[k], small.R[k]) for k in small.P[0][:2]]
    (tmp_path / "two.xyz").write_text("".join(frames))
    return small.P[0][:2]


def test_predictions_are_those_of_the_evaluation_but_for_the_noise(command, trained, tmp_path):
    done = command("predict", "--run", "run", "two.xyz", "--fold", "0", "--draws", "100", "--format", "csv")
    rows = list(csv.DictReader(done.stdout.splitlines()))
    assert list(rows[0]) == FIELDS
    assert [row["name"] for row in rows] == ["two.xyz:0", "two.xyz:1"]
    assert {row["outside"] for row in rows} <= {"true", "false"}
    with (tmp_path / "run/fold-0/predictions.csv").open() as file:
        evaluated = {int(row["molecule"]): row for row in csv.DictReader(file)}
    for molecule, row in zip(trained, rows, strict=True):
        expected = evaluated[int(molecule)]
        noise = max(float(expected["spread"]), float(row["spread_kcal_mol"]))  # of three draws in the evaluation
        assert float(row["energy_kcal_mol"]) == pytest.approx(float(expected["prediction"]), abs=3 * noise + 0.1)
        assert row["fold_spread_kcal_mol"] == ""


def test_what_is_outside_or_left_out_is_one_line_each_and_the_exit_status_says_so(command, trained, small, tmp_path):
    k = trained[0]
    (tmp_path / "odd.xyz").write_text(
        xyz([14, 1], np.array([[0, 0, 0], [0, 0, 2.8]]), "name=odd")
        + xyz(small.Z[k], small.R[k], "charge=1")
        + xyz(np.ones(8), np.arange(24).reshape(8, 3))
        + xyz(small.Z[k], small.R[k])
    )
    done = command("predict", "--run", "run", "odd.xyz", status=1)
    lines = done.stderr.splitlines()
    assert lines[0].startswith("odd: 1 Si, an element not trained on; 2 atoms, fewer than any molecule trained on (3)")
    assert "odd.xyz:2: 8 atoms, more than the 7 that the model takes" in lines
    assert lines[-1] == "left out: odd.xyz:1 is charged (+1); molecules here are neutral"
    assert done.stdout.splitlines()[2].split() == ["odd.xyz:2", "H8", "-", "-", "-", "-", "yes"]
    notes = "energy, half-width of the 90% interval and spreads in kcal/mol; intervals do not hold outside"
    assert " ".join(done.stdout.splitlines()[-2:]) == notes
    assert command("predict", "--run", "run", "odd.xyz", "--quiet", status=1).stderr == ""


def predicted(command, *arguments, status=0):
    """Return the records that a command gives as JSON."""
    return json.loads(command("predict", *arguments, "--format", "json", status=status).stdout)


def test_the_interval_is_what_the_held_out_molecules_teach_for_the_spread_of_this_one(command, tmp_path):
    single = [predicted(command, "--run", "run", "two.xyz", "--fold", fold) for fold in (0, 1)]
    for fold, records in enumerate(single):
        interval = Interval.of(*fold_errors(tmp_path / "run", fold))
        for record in records:
            (width,) = interval.half_widths(np.array([record["spread_kcal_mol"]]))
            assert record["interval_kcal_mol"] == pytest.approx(width, rel=1e-6)
    for both, *own in zip(predicted(command, "--run", "run", "two.xyz"), *single, strict=True):
        assert both["interval_kcal_mol"] == pytest.approx(np.mean([record["interval_kcal_mol"] for record in own]))
    assert f"+-{own[0]['interval_kcal_mol']:.2f}" in command("predict", "--run", "run", "two.xyz", "--fold", "0").stdout
    fewer = predicted(command, "--run", "run", "two.xyz", "--draws", "2")  # than the 3 that it was made from
    assert fewer[0]["interval_kcal_mol"] is None
    (half, _) = predicted(command, "--run", "run", "two.xyz", "--fold", "0", "--level", "0.5")
    assert half["level"] == 0.5
    (width,) = Interval.of(*fold_errors(tmp_path / "run", 0)).half_widths(np.array([half["spread_kcal_mol"]]), 0.5)
    assert half["interval_kcal_mol"] == pytest.approx(width, rel=1e-6)
    assert "no interval" in command("predict", "--run", "run", "two.xyz", "--level", "0.99").stderr  # of 12 molecules
    assert "less than or equal to 0.99" in command("predict", "two.xyz", "--level", "95", status=2).stderr


def test_extended_xyz_has_the_geometry_as_read_and_what_is_predicted_of_it(command, tmp_path):
    ase_io = pytest.importorskip("ase.io")
    pytest.importorskip("rdkit", reason="RDKit is not installed")
    with (tmp_path / "two.xyz").open("a") as file:
        file.write(xyz([14, 1], np.array([[0, 0, 0], [0, 0, 2.8]]), 'name="an odd one"'))
    done = command("predict", "--run", "run", "two.xyz", "--smiles", "NN", "--output", "x.xyz")
    assert done.stdout == ""
    frames, given = (ase_io.read(tmp_path / name, ":") for name in ("x.xyz", "two.xyz"))
    for frame, own in zip(frames, given, strict=False):
        assert np.abs(frame.positions - own.positions).max() < 2e-6
    records = predicted(command, "--run", "run", "two.xyz", "--smiles", "NN")
    for frame, record in zip(frames, records, strict=True):
        kept = {key: frame.info.get(key) for key in ("name", "energy_kcal_mol", "interval_kcal_mol", "outside")}
        assert kept == {key: pytest.approx(record[key]) if key.endswith("l") else record[key] for key in kept}
    assert frames[2].info["reasons"].startswith("1 Si")
    embedded = embed(Smiles("NN", "NN"))
    energies = [each.energy for each in predict_molecules(load_models(tmp_path / "run"), embedded)]
    lowest = int(np.argmin(energies))
    assert frames[3].info["conformer"] == f"{lowest + 1} of {len(embedded)}"
    assert np.abs(frames[3].positions - embedded[lowest].R * BOHR).max() < 2e-6
    again = predicted(command, "--run", "run", "x.xyz")
    assert [record["name"] for record in again] == [record["name"] for record in records]


def test_several_runs_are_an_ensemble_and_each_counts_once(command, three_variants, tmp_path):
    shutil.copytree(three_variants / "corrected", tmp_path / "other")
    folds = [predicted(command, "two.xyz", "--run", run, "--fold", k) for run in ("run", "other") for k in (0, 1)]
    ensemble = predicted(command, "--run", "run", "--run", "other", "two.xyz", "--run", "run")
    for record, *own in zip(ensemble, *folds, strict=True):
        energies = [each["energy_kcal_mol"] for each in own]
        assert record["energy_kcal_mol"] == pytest.approx(np.mean(energies))
        assert record["fold_spread_kcal_mol"] == pytest.approx(np.std(energies, ddof=1))


def test_runs_on_different_data_sets_are_not_averaged(command, quick_flags):
    command("train", "--data", "gfn7", "--fold", "0", *quick_flags, "--iterations", "5", "--out", "gfn7")
    done = command("predict", "--run", "run", "--run", "gfn7", "two.xyz", status=1)
    assert done.stderr == ("qm7: the runs were trained on different data sets, whose energies are not to be averaged\n")


def test_without_a_run_the_bundled_model_predicts_to_the_last_bit_as_its_run(
    command, three_variants, tmp_path, monkeypatch
):
    make_bundled_model.make(three_variants / "original", 1, tmp_path / "network.npz")
    monkeypatch.setattr("qm7cli.model.model.BUNDLED", tmp_path / "network.npz")
    assert predicted(command, "two.xyz") == predicted(command, "--run", "run", "two.xyz", "--fold", "1")
    done = command("predict", "two.xyz")
    assert done.stderr.startswith("bundled model: fold 1 of original, variant original, 300 iterations on small, held-")
    assert command("predict", "two.xyz", "--quiet").stderr == ""
    assert "--fold chooses among the folds of a run" in command("predict", "two.xyz", "--fold", "1", status=2).stderr


def test_the_geometries_of_smiles_are_guesses_with_their_own_spread(command, tmp_path):
    (tmp_path / "x.smi").write_text("NN\nO water\n")
    arguments = ("--run", "run", "two.xyz", "x.smi", "--smiles", "OO", "--smiles", "CCCCO")
    records = predicted(command, *arguments, status=1)
    assert [record["name"] for record in records] == ["two.xyz:0", "two.xyz:1", "NN", "water", "OO", "CCCCO"]
    assert [record["conformer_spread_kcal_mol"] is None for record in records] == [True] * 2 + [False] * 3 + [True]
    own = predict_molecules(load_models(tmp_path / "run"), embed(Smiles("NN", "NN")))
    energies = [each.energy for each in own]
    assert records[2]["energy_kcal_mol"] == pytest.approx(np.mean(energies))
    assert records[2]["conformer_spread_kcal_mol"] == pytest.approx(np.std(energies, ddof=1))
    assert records[5]["energy_kcal_mol"] is None  # 15 atoms, where the models take 7
    done = command("predict", "--run", "run", "--smiles", "O")
    assert "geometries of SMILES are guesses (ETKDG, MMFF94), whose errors are in no interval" in done.stderr
    assert "conformers" in done.stdout.splitlines()[0]


def test_a_table_comes_back_with_energies_beside_its_own_columns(command, tmp_path):
    (tmp_path / "x.csv").write_text("formula,structure,dose\nours,NN,1\nyours,[NH4+],2\ntheirs,OO,3\n")
    flags = ("--run", "run", "x.csv", "--smiles-column", "structure")
    rows = list(csv.DictReader(command("predict", *flags, "--format", "csv", status=1).stdout.splitlines()))
    assert list(rows[0]) == ["input_formula", "structure", "dose", *FIELDS]
    shown = [(row["input_formula"], row["dose"], row["formula"]) for row in rows]
    assert shown == [("ours", "1", "H4N2"), ("theirs", "3", "H2O2")]
    assert [record["dose"] for record in predicted(command, *flags, status=1)] == ["1", "3"]


def test_a_geometry_is_read_where_assertions_are_left_out(command, tmp_path):
    (tmp_path / "water.xyz").write_text("3\n\nO 0 0 0\nH 0 0 0.96\nH 0.93 0 -0.24\n")
    assert "H2O" in command("predict", "--run", "run", "water.xyz", PYTHONOPTIMIZE="1").stdout
