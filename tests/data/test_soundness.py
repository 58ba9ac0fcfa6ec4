"""Which data sets are sound: kinds and units of energies, matrices, and molecules that are there twice."""

import numpy as np
import pytest

import molecules
from qm7cli.core.errors import QM7Error
from qm7cli.data.dataset import load, locate
from qm7cli.data.soundness import (
    UNITS,
    describe,
    describe_copies,
    describe_leaks,
    describe_mistake,
    energy_kind,
    refuse_unsound,
)

HYDROGEN, METHANE, WATER, NITROGEN, HYDROGEN_SULFIDE = (1, 1), (6, 1, 1, 1, 1), (8, 1, 1), (7, 7), (16, 1, 1)
ATOMIZATION = {METHANE: -419.2, WATER: -232.7, NITROGEN: -228.4, HYDROGEN: -109.5}  # kcal/mol, without vibration
TOTAL = {METHANE: -40.5, WATER: -76.4, NITROGEN: -109.5, HYDROGEN_SULFIDE: -399.3}  # hartree
VALENCE = {METHANE: -4.18, WATER: -5.07, NITROGEN: -6.33, HYDROGEN: -0.98}  # hartree, GFN2-xTB


def energies(table, factor=1.0):
    """Return T and Z of molecules."""
    Z = np.array([np.pad(charges, (0, 5 - len(charges))) for charges in table], dtype=float)
    return np.array([*table.values()]) * factor, Z


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("units", UNITS)
def test_energies_of_another_unit_are_of_no_kind_and_the_unit_is_named(unit, units):
    """Energies written in `unit`, taken to be in `units`."""
    factor = UNITS[units] / UNITS[unit]
    T, Z = energies(ATOMIZATION, factor)
    assert energy_kind(T, Z) == ("atomization" if unit == units else None)
    assert describe_mistake(T, Z, units=units).endswith(f": they seem to be in {unit}")
    T, Z = energies(TOTAL, UNITS["hartree"] * factor)
    assert energy_kind(T, Z) == ("total" if unit == units else None)
    assert describe_mistake(T, Z, units=units).endswith(f": they seem to be total energies in {unit}")


def test_total_energies_without_core_electrons_are_total_and_hydrogen_s_are_none_of_a_molecule():
    assert energy_kind(*energies(VALENCE, UNITS["hartree"])) == "total"
    assert energy_kind(*energies(VALENCE, UNITS["eV"])) is None


def test_energies_of_the_other_sign_and_out_of_range_are_named():
    T, Z = energies(ATOMIZATION, -1)
    assert energy_kind(T, Z) is None
    said = describe_mistake(T, Z, names=["x.xyz:0", "b", "c", "d"])
    assert said.startswith("x.xyz:0 has 419.2 kcal/mol, 83.8 per atom, where a molecule has -250 to -10 per atom")
    assert said.endswith("(and 3 more are out of range): they seem to have the other sign and to be in kcal/mol")
    said = describe_mistake(*energies({**ATOMIZATION, (6, 1): 5.0}))
    assert said.startswith("molecule 4 has 5.0 kcal/mol, 2.5 per atom, where")
    assert energy_kind(*energies({**ATOMIZATION, (6,): 0.0})) == "atomization"  # a lone atom has none
    assert energy_kind(*energies({**ATOMIZATION, (6,): -40.0})) is None
    assert "-12.5 kcal/mol per atom on average" in describe_mistake(*energies({METHANE: -60.0, WATER: -40.0}))


def test_a_data_set_of_other_energies_is_refused_with_the_reason(tmp_path):
    sentence = "neither atomization energies nor total energies in kcal/mol: mol.* they seem to have the other sign"
    with pytest.raises(QM7Error, match=sentence):
        refuse_unsound(load(molecules.write(tmp_path / "x.mat", {"T": -molecules.variables()["T"]})))


def test_total_energies_are_sound_with_the_composition_subtracted_alone(small, tmp_path):
    totals = -(0.5 * molecules.variables()["Z"] ** 2.4).sum(axis=1) * 627.5
    total = load(molecules.write(tmp_path / "x.mat", {"T": totals[None]}))
    refuse_unsound(total, "composition")
    with pytest.raises(QM7Error, match=r"x has total energies: --set target\.subtract=composition"):
        refuse_unsound(total, "mean")
    refuse_unsound(small, "mean")


def test_copies_are_found_whatever_the_order_of_their_atoms(tmp_path):
    own = molecules.variables(molecules=20)
    order = np.random.default_rng(1).permutation(7)
    shifted = {"X": own["X"][:, order][:, :, order] + 2e-4, "T": own["T"] + 0.05}
    shifted |= {"Z": own["Z"][:, order], "R": own["R"][:, order]}
    both = {name: np.concatenate([own[name], array], axis=int(name == "T")) for name, array in shifted.items()}
    dataset = load(molecules.write(tmp_path / "x.mat", {**both, "P": np.arange(40).reshape(5, 8)}))
    assert dataset.first_copies.tolist() == [*range(20), *range(20)]
    assert describe_copies(dataset) == "20 molecules are copies of others, as molecule 20 of 0"
    assert "40 test molecules are also trained on, as copies" in describe_leaks(dataset, dataset.P)
    assert describe_leaks(dataset, [np.r_[:10, 20:30], np.r_[10:20, 30:40]]) is None
    both["T"][:, 20:] -= 5  # other energies: of conformers, were the matrices not the same within rounding
    other = load(molecules.write(tmp_path / "y.mat", {**both, "P": np.arange(40).reshape(5, 8)}))
    assert describe_copies(other) is None
    both["X"][20:] -= 2e-4
    assert describe_copies(load(molecules.write(tmp_path / "z.mat", {**both, "P": np.arange(40).reshape(5, 8)})))


def test_the_bundled_set_is_sound_and_has_no_copies():
    gfn7 = load(locate("gfn7"))
    refuse_unsound(gfn7, "mean")
    assert describe(gfn7)["which is"] == "that of gfn7, which comes with qm7"
    assert describe(gfn7)["duplicates"] == "none"


@pytest.mark.realdata
def test_qm7_is_sound_and_not_in_other_units(qm7):
    refuse_unsound(qm7, "mean")
    assert describe_copies(qm7) is None
    assert not any(energy_kind(qm7.T * factor, qm7.Z) for factor in (4.184, 1 / 4.184, 1 / 23.06, 1 / 627.5, -1))


def test_the_description_counts_what_is_there(tmp_path):
    two = {
        "Z": np.array([[1, 1, 0], [8, 1, 1]]),
        "R": np.array([[[0, 0, 0], [2, 0, 0], [0, 0, 0]], [[0, 0, 0], [2, 0, 0], [0, 4, 0]]], dtype=float),
        "T": np.array([[-100.0, -200.0]]),
        "P": np.array([[0], [1]]),
    }
    two["X"] = np.array([molecules.coulomb_matrix(*m) for m in zip(two["Z"], two["R"], strict=True)])
    two["X"][0, 0, 0] += 0.25
    dataset = load(molecules.write(tmp_path / "two.mat", two))
    assert describe(dataset) == {
        "molecules": "2",
        "atoms": "2 to 3 per molecule, mean 2.50; room for 3",
        "elements": "H 4, O 1",
        "energies": "atomization",
        "energy": "-200.00 to -100.00, mean -150.00, std 50.00 kcal/mol",
        "folds": "2 of 1 molecules",
        "mean per fold": "-100.00, -200.00 kcal/mol",
        "duplicates": "none",
        "X of Z and R": "largest difference 0.25 hartree, in molecule 0",
        "SHA-256": dataset.sha256,
        "which is": "not the published file's",
    }
