import re

import numpy as np
import yaml

import molecules
from qm7cli.data import dataset, soundness


def frames(count, atoms, comment="energy={energy}"):
    """Return XYZ frames of made-up molecules of up to so many atoms."""
    made = molecules.variables(count, atoms, folds=1)
    every = zip(made["Z"], made["R"], made["T"][0], strict=True)
    return "".join(molecules.xyz(Z, R, comment.format(energy=energy)) for Z, R, energy in every)


def test_other_sizes_work_through_the_whole_program(command, quick_flags, tmp_path):
    (tmp_path / "mine.xyz").write_text(frames(41, 26))
    done = command("convert", "mine.xyz", "--energy-key", "energy", "--count", "4", "--output", "mine.npz")
    lines = done.stdout.splitlines()
    assert lines[0] == "mine.npz: 41 molecules of up to 26 atoms, 4 folds"
    assert lines[3] == "they seem to be atomization energies"
    data = ["--data", "mine.npz"]
    shown = command("info", *data).stdout
    assert "room for 26" in shown
    assert "4 of 10 to 11 molecules" in shown
    command("split", *data, "--output", "folds.yaml")
    flags = [*quick_flags, *data, "--split", "folds.yaml", "--fold", "0", "--out", "run"]
    command("train", *flags)
    results = yaml.safe_load((tmp_path / "run/results.yaml").read_text())
    assert results["dataset"]["name"] == "mine"
    assert f"{results['folds'][0]['mae']:.2f}" in command("eval", "run", *data).stdout
    command("augment", *data, "--encode", "--output", "set.npz")
    assert len(command("predict", "--run", "run", "mine.xyz", "--quiet").stdout.splitlines()) == 44


def test_energies_are_turned_into_kcal_mol_and_coordinates_into_bohr(command, tmp_path):
    sets = []
    for units, factor in (("kcal/mol", 1), ("kJ/mol", 4.184), ("eV", 0.0433641), ("hartree", 0.00159360)):
        text = re.sub(r"energy=(\S+)", lambda found, by=factor: f"energy={float(found[1]) * by:.8f}", frames(10, 9))
        (tmp_path / "mine.xyz").write_text(text)
        command("convert", "mine.xyz", "--energy-key", "energy", "--units", units, "--output", f"{units[:2]}.npz")
        sets.append(dataset.load(tmp_path / f"{units[:2]}.npz"))
    for other in sets[1:]:
        np.testing.assert_allclose(other.T, sets[0].T, rtol=1e-5)
    first = [float(x) for x in text.splitlines()[2].split()[1:]]
    atom = sets[0].order[0].tolist().index(0)
    np.testing.assert_allclose(sets[0].R[0, atom], np.array(first) / 0.529177210903, rtol=1e-6)
    soundness.refuse_unsound(sets[0], "mean")


def test_what_is_left_out_is_named_and_the_exit_status_says_so(command, tmp_path):
    (tmp_path / "mine.xyz").write_text(frames(10, 9) + frames(2, 9, "energy=-1 charge=1"))
    done = command("convert", "mine.xyz", "--energy-key", "energy", "--output", "mine.npz", status=1)
    assert done.stderr.splitlines() == [
        "left out: mine.xyz:10 is charged (+1); molecules here are neutral",
        "left out: mine.xyz:11 is charged (+1); molecules here are neutral",
        "2 molecules left out",
    ]
    assert done.stdout.startswith("mine.npz: 10 molecules")


def test_total_energies_are_taken_and_the_data_set_says_so(command, tmp_path):
    totals = {0: 0, 1: -0.5, 6: -37.8, 7: -54.6, 8: -75.1}  # hartree
    made = molecules.variables(10, 9, folds=1)
    every = zip(made["Z"], made["R"], strict=True)
    text = "".join(molecules.xyz(Z, R, f"energy={sum(map(totals.get, Z)) - 1}") for Z, R in every)
    (tmp_path / "mine.xyz").write_text(text)
    flags = ("--energy-key", "energy", "--units", "hartree", "--output", "mine.npz")
    done = command("convert", "mine.xyz", *flags)
    said = "they seem to be total energies: train and baseline need --set target.subtract=composition"
    assert said in done.stdout.splitlines()
    assert dataset.load(tmp_path / "mine.npz").energies == "total"
    assert "total" in command("info", "--data", "mine.npz").stdout
