import csv
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from conftest import Terminal
from qm7cli.cli import progress
from qm7cli.core.arrays import read_arrays, write_arrays
from qm7cli.data.molecules import BOHR
from qm7cli.data.smiles import Smiles, embed_all
from qm7cli.model.conformal import Interval
from qm7cli.model.predict import predict_molecules
from qm7cli.runs.models import load_models

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))

import make_bundled_model

pytest.importorskip("ase", reason="ASE is not installed")

FIELDS = [
    "molecule",
    "energy",
    "spread",
    "fold_spread",
    "interval",
    "conformer_spread",
    "distance",
    "warnings",
]


def xyz(Z, R, comment=""):
    """Return a molecule (bohr) as a frame of an XYZ file (angstrom)."""
    symbols = {1: "H", 6: "C", 7: "N", 8: "O", 14: "Si"}
    lines = [f"{symbols[int(z)]} {' '.join(f'{x * BOHR:.8f}' for x in r)}" for z, r in zip(Z, R, strict=True) if z]
    return f"{len(lines)}\n{comment}\n" + "".join(line + "\n" for line in lines)


@pytest.fixture
def trained(three_variants, small, tmp_path):
    """A run of two folds, and a file with two molecules of the data set that both have not seen or have."""
    shutil.copytree(three_variants / "original", tmp_path / "run")
    frames = [xyz(small.Z[k], small.R[k]) for k in small.P[0][:2]]
    (tmp_path / "two.xyz").write_text("".join(frames))
    return small.P[0][:2]


def test_predictions_are_those_of_the_evaluation_but_for_the_noise(command, trained, tmp_path):
    done = command("predict", "run", "two.xyz", "--fold", "0", "--draws", "100", "--format", "csv")
    rows = list(csv.DictReader(done.stdout.splitlines()))
    assert [row["molecule"] for row in rows] == ["two.xyz:0", "two.xyz:1"]
    with (tmp_path / "run/fold-0/predictions.csv").open() as file:
        evaluated = {int(row["molecule"]): row for row in csv.DictReader(file)}
    for molecule, row in zip(trained, rows, strict=True):
        expected = evaluated[int(molecule)]
        noise = max(float(expected["spread"]), float(row["spread"]))  # of three draws in the evaluation
        assert float(row["energy"]) == pytest.approx(float(expected["prediction"]), abs=3 * noise + 0.1)
        assert row["fold_spread"] == ""


def test_every_format_has_the_same_numbers(command, trained, tmp_path):
    assert len(trained) == 2
    as_json = [
        json.loads(line) for line in command("predict", "run", "two.xyz", "--format", "json").stdout.splitlines()
    ]
    as_yaml = yaml.safe_load(command("predict", "run", "two.xyz", "--format", "yaml").stdout)
    assert as_json == as_yaml
    assert list(as_json[0]) == FIELDS
    table = command("predict", "run", "two.xyz").stdout
    titles = ["molecule", "energy", "interval", "spread", "fold", "spread", "distance", "outside"]
    assert table.splitlines()[0].split() == titles
    assert f"{as_json[0]['energy']:.2f}  " in table
    command("predict", "run", "two.xyz", "--output", "table.txt")
    assert (tmp_path / "table.txt").read_text() == table


def test_what_is_outside_is_one_line_a_molecule_and_one_that_is_too_large_exit_1(command, trained, small, tmp_path):
    k = trained[0]
    (tmp_path / "odd.xyz").write_text(
        xyz([14, 1], np.array([[0, 0, 0], [0, 0, 2.8]]))
        + xyz(small.Z[k], small.R[k], "charge=1")
        + xyz(np.ones(8), np.arange(24).reshape(8, 3))
    )
    done = command("predict", "run", "odd.xyz", status=1)
    lines = done.stderr.splitlines()
    assert lines[0].startswith(
        "odd.xyz:0: 2 atoms, fewer than any molecule trained on (3); 1 Si, an element not trained"
    )
    assert lines[1] == "odd.xyz:2: 8 atoms, more than the 7 that the model takes"
    assert lines[2] == "1 charged left out"
    assert done.stdout.splitlines()[2].split() == ["odd.xyz:2", "-", "-", "-", "-", "-", "yes"]
    assert " ".join(done.stdout.splitlines()[-2:]) == (
        "energy, interval and spreads in kcal/mol, distance in hartree; an interval promises nothing outside"
    )
    assert command("predict", "run", "odd.xyz", "--quiet", status=1).stderr == ""
    (tmp_path / "large.xyz").write_text(xyz(np.ones(8), np.arange(24).reshape(8, 3)))
    assert "more than the 7" in command("predict", "run", "large.xyz", status=1).stderr
    (tmp_path / "charged.xyz").write_text(xyz(small.Z[k], small.R[k], "charge=1"))
    done = command("predict", "run", "charged.xyz", status=1)
    assert done.stderr == "qm7: no molecule is left: 1 charged left out\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "none.xyz"], "cannot read none.xyz: it is not a file"),
        (["run", "empty.xyz"], "empty.xyz "),
        (["run", "run/config.yaml"], "run/config.yaml cannot be read as a file of molecules"),
        (["other", "two.xyz"], "other is not a run with a complete fold"),
        (["--run", "run", "none.xyz"], "cannot read none.xyz: it is not a file"),
        (["run", "wrong", "two.xyz"], "wrong is not a run with a complete fold"),
        (["run", "none.smi"], "cannot read none.smi: "),
        (["run", "two.xyz", "--fold", "3"], "run has no complete fold 3; it has 0, 1"),
        (["run", "two.xyz", "--quiet", "--output", "none/x"], "cannot write none/x: No such file or directory"),
    ],
)
def test_bad_input_is_one_sentence(command, trained, tmp_path, arguments, message):
    assert len(trained) == 2
    (tmp_path / "empty.xyz").write_text("")
    done = command("predict", *arguments, status=1)
    assert done.stdout == ""
    assert done.stderr.startswith(f"qm7: {message}")
    assert done.stderr.count("\n") == 1


def predicted(command, *arguments, status=0):
    """Return the records that a command gives as JSON."""
    done = command("predict", *arguments, "--format", "json", status=status)
    return [json.loads(line) for line in done.stdout.splitlines()]


def taught(tmp_path, fold):
    """Return the interval that the predictions of a fold of the run teach."""
    with (tmp_path / f"run/fold-{fold}/predictions.csv").open() as file:
        rows = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]
    errors = np.array([row["prediction"] - np.float32(row["target"]) for row in rows])
    return Interval.of(errors, np.array([row["spread"] for row in rows]))


def test_the_interval_is_what_the_held_out_molecules_teach_for_the_spread_of_this_one(command, trained, tmp_path):
    assert len(trained) == 2
    single = [predicted(command, "run", "two.xyz", "--fold", fold) for fold in (0, 1)]
    for fold, records in enumerate(single):
        interval = taught(tmp_path, fold)
        for record in records:
            assert record["interval"] == pytest.approx(interval.base + interval.slope * record["spread"], rel=1e-6)
    for both, *own in zip(predicted(command, "run", "two.xyz"), *single, strict=True):
        assert both["interval"] == pytest.approx(np.mean([record["interval"] for record in own]))
    assert f"+-{own[0]['interval']:.2f}" in command("predict", "run", "two.xyz", "--fold", "0").stdout
    assert predicted(command, "run", "two.xyz", "--draws", "2")[0]["interval"] is None  # it was made from 3
    assert predicted(command, "run", "two.xyz", "--draws", "30")[0]["interval"] > 0


def test_the_interval_of_an_older_model_is_that_of_its_predictions_if_there_are_some(command, trained, tmp_path):
    assert len(trained) == 2
    before = predicted(command, "run", "two.xyz")
    for path in tmp_path.glob("run/fold-*/model.npz"):
        arrays = read_arrays(path)
        del arrays["interval"]
        write_arrays(path, arrays)
    after = predicted(command, "run", "two.xyz")
    for one, other in zip(before, after, strict=True):
        assert other == one | {"interval": pytest.approx(one["interval"], rel=1e-6)}
    for path in tmp_path.glob("run/fold-*/predictions.csv"):
        path.unlink()
    assert predicted(command, "run", "two.xyz")[0]["interval"] is None
    assert command("predict", "run", "two.xyz").stdout.splitlines()[1].split()[2] == "-"


def test_several_runs_are_an_ensemble_wherever_they_stand(command, trained, three_variants, tmp_path):
    assert len(trained) == 2
    shutil.copytree(three_variants / "corrected", tmp_path / "other")
    folds = [predicted(command, run, "two.xyz", "--fold", fold) for run in ("run", "other") for fold in (0, 1)]
    ensemble = predicted(command, "run", "other", "two.xyz")
    assert ensemble == predicted(command, "two.xyz", "--run", "run", "--run", "other")
    assert ensemble == predicted(command, "--run", "run", "other", "two.xyz", "--run", "run")  # each counts once
    for record, *own in zip(ensemble, *folds, strict=True):
        energies = [each["energy"] for each in own]
        assert record["energy"] == pytest.approx(np.mean(energies))
        assert record["fold_spread"] == pytest.approx(np.std(energies, ddof=1))
        assert record["interval"] == pytest.approx(np.mean([each["interval"] for each in own]))


def test_runs_on_different_data_sets_are_not_averaged(command, trained, quick_flags):
    assert len(trained) == 2
    command("train", "--data", "gfn7", "--fold", "0", *quick_flags, "--iterations", "5", "--out", "gfn7")
    done = command("predict", "run", "gfn7", "two.xyz", status=1)
    assert done.stderr == ("qm7: the runs were trained on different data sets, whose energies are not to be averaged\n")


@pytest.fixture
def bundled(three_variants, tmp_path, monkeypatch):
    """A fold of a run as the model that comes with the program."""
    make_bundled_model.make(three_variants / "original", 1, tmp_path / "network.npz")
    monkeypatch.setattr("qm7cli.model.bundled.PATH", tmp_path / "network.npz")


@pytest.mark.usefixtures("bundled")
def test_without_a_run_the_bundled_model_predicts_to_the_last_bit_as_its_run(command, trained, tmp_path):
    assert len(trained) == 2
    for own, run in zip(
        predicted(command, "two.xyz"), predicted(command, "run", "two.xyz", "--fold", "1"), strict=True
    ):
        assert own | {"distance": None, "warnings": []} == run | {"distance": None, "warnings": []}
        assert own["distance"] is None
        assert run["distance"] is not None
    done = command("predict", "two.xyz")
    assert done.stderr.startswith("bundled model: fold 1 of original, variant original, 300 iterations on small, held-")
    assert "distance" not in done.stdout
    assert command("predict", "two.xyz", "--quiet").stderr == ""
    assert "--fold chooses among the folds of a run" in command("predict", "two.xyz", "--fold", "1", status=2).stderr
    (tmp_path / "network.npz").unlink()
    done = command("predict", "two.xyz", status=1)
    assert done.stderr.startswith("qm7: the model that comes with the program is missing (")


def test_without_molecules_a_sentence_says_so(command, trained):
    assert len(trained) == 2
    for arguments in ((), ("run",), ("--run", "run")):
        done = command("predict", *arguments, status=2)
        assert done.stderr.startswith("qm7: no molecules: name a FILE of molecules, or give --smiles")


def test_the_geometries_of_smiles_are_guesses_with_their_own_spread(command, trained, tmp_path):
    pytest.importorskip("rdkit", reason="RDKit is not installed")
    assert len(trained) == 2
    (tmp_path / "x.smi").write_text("NN\nO water\n")
    records = predicted(command, "run", "two.xyz", "x.smi", "--smiles", "OO", "--smiles", "CCCCO", status=1)
    names = ["two.xyz:0", "two.xyz:1", "NN", "water", "OO", "CCCCO"]
    assert [record["molecule"] for record in records] == names
    assert [record["conformer_spread"] is None for record in records] == [True, True, False, False, False, True]
    (conformers,) = embed_all([Smiles("NN", "NN")])
    own = predict_molecules(load_models(tmp_path / "run"), conformers)
    energies = [each.energy for each in own]
    assert records[2]["energy"] == pytest.approx(np.mean(energies))
    assert records[2]["conformer_spread"] == pytest.approx(np.std(energies, ddof=1))
    assert records[2]["interval"] == pytest.approx(np.mean([each.interval for each in own]))
    assert records[5]["energy"] is None  # 15 atoms, where the models take 7
    done = command("predict", "run", "--smiles", "O")
    assert "geometries of SMILES are guesses (ETKDG, MMFF94), whose errors are in no interval" in done.stderr
    assert "conformers" in done.stdout.splitlines()[0]
    assert command("predict", "run", "--smiles", "C(", status=1).stderr == (
        "qm7: 'C(' is not a SMILES that RDKit reads\n"
    )


def test_progress_is_shown_in_a_log_and_on_a_terminal(command, trained, monkeypatch, capsys):
    assert len(trained) == 2
    monkeypatch.setattr(progress, "COUNT_EVERY", 0)
    assert command("predict", "run", "two.xyz").stderr.startswith("molecules: 1 of 2\nmolecules: 2 of 2\n")
    assert "molecules:" not in command("predict", "run", "two.xyz", "--quiet").stderr
    monkeypatch.setattr("sys.stderr", Terminal())
    with progress.show_count("molecules", 2, quiet=False) as report:
        report(1)
        report(2)
    assert "2/2" in sys.stderr.getvalue()
    assert capsys.readouterr().out == ""


def test_a_model_of_a_newer_format_is_one_sentence(command, trained, tmp_path):
    assert len(trained) == 2
    path = tmp_path / "run/fold-0/model.npz"
    with np.load(path) as archive:
        arrays = dict(archive)
    arrays["about"] = np.array(str(arrays["about"]).replace('"format":1', '"format":2'))
    np.savez(path, **arrays)
    done = command("predict", "run", "two.xyz", status=1)
    assert done.stderr.startswith("qm7: run/fold-0/model.npz is not a model that this version of qm7 reads: format: ")
    assert done.stderr.count("\n") == 1
