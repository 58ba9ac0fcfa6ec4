import re

import numpy as np
import pytest
import yaml

from qm7cli.data import dataset, soundness

pytest.importorskip("ase", reason="ASE is not installed")

SYMBOLS = ("H", "C", "N", "O")


def frames(count, atoms, comment="energy={energy}"):
    """Return XYZ frames of made-up molecules whose energy is linear in their composition."""
    rng = np.random.default_rng(atoms)
    grid = np.array([(x, y, z) for x in range(4) for y in range(4) for z in range(4)]) * 1.3
    text = ""
    for _ in range(count):
        size = rng.integers(atoms // 2, atoms + 1) if text else atoms
        kinds = rng.integers(0, 4, size)
        R = rng.permutation(grid)[:size] + rng.normal(0, 0.05, (size, 3))
        energy = -(60.0 * (kinds == 0) + 150.0 * (kinds == 1) + 110.0 * (kinds >= 2)).sum() + rng.normal()
        lines = [f"{SYMBOLS[kind]} {x:.6f} {y:.6f} {z:.6f}\n" for kind, (x, y, z) in zip(kinds, R, strict=True)]
        text += f"{size}\n{comment.format(energy=energy)}\n{''.join(lines)}"
    return text


def test_other_sizes_work_through_the_whole_program(command, quick_flags, tmp_path):
    (tmp_path / "mine.xyz").write_text(frames(41, 40))
    done = command("convert", "mine.xyz", "--energy-key", "energy", "--count", "4", "--output", "mine.npz")
    lines = done.stdout.splitlines()
    assert lines[0] == "mine.npz: 41 molecules of up to 40 atoms, 4 folds"
    assert re.fullmatch(r"atoms: H \d+, C \d+, N \d+, O \d+", lines[1])
    assert re.fullmatch(r"energies, kcal/mol: \S+ to \S+; per atom: \S+ to \S+", lines[2])
    assert lines[3] == "they seem to be atomization energies"
    data = ["--data", "mine.npz"]
    shown = command("info", *data).stdout
    assert "room for 40" in shown
    assert "4 of 10 to 11 molecules" in shown
    command("split", *data, "--output", "folds.yaml")
    flags = [*quick_flags, *data, "--split", "folds.yaml", "--fold", "0", "--out", "run"]
    command("train", *flags)
    results = yaml.safe_load((tmp_path / "run/results.yaml").read_text())
    assert results["dataset"]["name"] == "mine"
    assert f"{results['folds'][0]['mae']:.2f}" in command("eval", "run", *data).stdout
    command("augment", *data, "--encode", "--output", "set.npz")
    assert len(command("predict", "--run", "run", "mine.xyz", "--quiet").stdout.splitlines()) == 43


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
    totals = {"H": -0.5, "C": -37.8, "N": -54.6, "O": -75.1}  # hartree
    text = frames(10, 9)
    for block in re.findall(r"energy=.*?\n(?=\d+\n|\Z)", text, re.DOTALL):
        energy = sum(totals[line.split()[0]] for line in block.splitlines()[1:]) - 1
        text = text.replace(block, f"energy={energy}\n" + block.partition("\n")[2])
    (tmp_path / "mine.xyz").write_text(text)
    flags = ("--energy-key", "energy", "--units", "hartree", "--output", "mine.npz")
    done = command("convert", "mine.xyz", *flags)
    said = "they seem to be total energies: train and baseline need --set target.subtract=composition"
    assert said in done.stdout.splitlines()
    assert dataset.load(tmp_path / "mine.npz").energies == "total"
    assert "total" in command("info", "--data", "mine.npz").stdout
