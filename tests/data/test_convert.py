"""Which energies are taken for atomization energies, and what others are said to be."""

from collections import Counter

import numpy as np
import pytest

from qm7cli.core.errors import QM7Error
from qm7cli.data import convert
from qm7cli.data.dataset import load, locate
from qm7cli.data.inspection import not_atomization
from qm7cli.data.molecules import Molecule

HYDROGEN, METHANE, WATER, NITROGEN, HYDROGEN_SULFIDE = (1, 1), (6, 1, 1, 1, 1), (8, 1, 1), (7, 7), (16, 1, 1)
ATOMIZATION = {METHANE: -419.2, WATER: -232.7, NITROGEN: -228.4, HYDROGEN: -109.5}  # kcal/mol, without vibration
TOTAL = {METHANE: -40.5, WATER: -76.4, NITROGEN: -109.5, HYDROGEN_SULFIDE: -399.3}  # hartree


@pytest.fixture
def refusal(tmp_path, monkeypatch):
    """Says why energies by molecule, in `units`, are refused; None if they are taken."""

    def reason(energies, units):
        molecules = [
            Molecule(
                f"x.xyz:{k}", np.array(Z, dtype=np.float32), np.zeros((len(Z), 3), dtype=np.float32), {"E": energy}
            )
            for k, (Z, energy) in enumerate(energies.items())
        ]
        monkeypatch.setattr(convert, "read_molecules", lambda _: (molecules, Counter()))
        try:
            convert.convert_molecules([], "E", units, 2, tmp_path / "x.npz")
        except QM7Error as error:
            return str(error)
        (tmp_path / "x.npz").unlink()
        return None

    return reason


@pytest.mark.parametrize("unit", convert.UNITS)
@pytest.mark.parametrize("units", convert.UNITS)
def test_energies_of_another_unit_are_refused_and_the_unit_is_named(refusal, unit, units):
    written = {molecule: energy / convert.UNITS[unit] for molecule, energy in ATOMIZATION.items()}
    reason = refusal(written, units)
    assert (reason is None) == (unit == units)
    if reason:
        assert reason.endswith(f": they seem to be in {unit}; --any-energies takes them as they are")


@pytest.mark.parametrize("unit", convert.UNITS)
@pytest.mark.parametrize("units", convert.UNITS)
def test_total_energies_are_refused_and_called_so(refusal, unit, units):
    """Hartrees taken for kcal/mol among them, which are some tens an atom, as atomization energies are."""
    written = {molecule: 627.5095 * energy / convert.UNITS[unit] for molecule, energy in TOTAL.items()}
    assert f"total energies in {unit}; subtract those of the free atoms" in refusal(written, units)
    heavier = {molecule: energy for molecule, energy in written.items() if molecule != METHANE}
    assert f"total energies in {unit}; subtract those of the free atoms" in refusal(heavier, units)


def test_energies_of_the_other_sign_are_refused_and_called_so(refusal):
    reason = refusal({molecule: -energy / convert.UNITS["eV"] for molecule, energy in ATOMIZATION.items()}, "eV")
    assert reason.startswith("x.xyz:0 has 419.2 kcal/mol, 83.8 an atom, where a molecule has -250 to -10 an atom")
    assert "(and 3 more are out of range): they seem to have the other sign and to be in eV; --any-energies" in reason


def test_the_first_molecule_that_is_out_of_range_is_named(refusal):
    reason = refusal({**ATOMIZATION, (6, 1): 5.0, (8, 1): -1.0}, "kcal/mol")
    assert reason.startswith("x.xyz:4 has 5.0 kcal/mol, 2.5 an atom, where")
    assert "(and 1 more is out of range): is it another unit" in reason


def test_a_lone_atom_has_no_atomization_energy(refusal):
    assert refusal({**ATOMIZATION, (6,): 0.0}, "kcal/mol") is None
    assert "x.xyz:4 has -40.0 kcal/mol, -40.0 an atom" in refusal({**ATOMIZATION, (6,): -40.0}, "kcal/mol")


def test_no_set_is_taken_whose_molecules_are_bound_as_weakly_as_none_are(refusal):
    reason = refusal({METHANE: -60.0, WATER: -40.0}, "kcal/mol")
    assert reason.startswith("the energies are -12.5 kcal/mol an atom on average, where molecules have -40 or less: ")


def test_the_bundled_energies_can_all_be_atomization_energies():
    gfn7 = load(locate("gfn7"))
    assert not_atomization(gfn7.T, gfn7.Z) is None


@pytest.mark.realdata
def test_those_of_qm7_can_too_but_not_in_other_units(qm7):
    assert not_atomization(qm7.T, qm7.Z) is None
    assert all(not_atomization(qm7.T * factor, qm7.Z) for factor in (4.184, 1 / 4.184, 1 / 23.06, 1 / 627.5, -1))
