import csv
import json
import shutil

import numpy as np
import pytest
import yaml

from qm7cli.data.molecules import BOHR

pytest.importorskip("ase", reason="ASE is not installed")


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
    assert list(as_json[0]) == ["molecule", "energy", "spread", "fold_spread", "distance", "warnings"]
    table = command("predict", "run", "two.xyz").stdout
    assert table.splitlines()[0].split() == ["molecule", "energy", "spread", "fold", "spread", "distance", "outside"]
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
    assert done.stdout.splitlines()[2].split() == ["odd.xyz:2", "-", "-", "-", "-", "yes"]
    assert done.stdout.splitlines()[-1] == "energy and spreads in kcal/mol, distance in hartree"
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
