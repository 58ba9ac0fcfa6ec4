import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.units import Bohr

from qm7cli.core.errors import QM7Error
from qm7cli.data.molecules import Molecule, as_molecules

WATER = molecule("H2O")
Z, R = WATER.numbers, WATER.positions / Bohr
PADDED = np.pad(Z, (0, 2)), np.pad(R, ((0, 2), (0, 0)))
METHANE = molecule("CH4")


@pytest.mark.parametrize("given", [
    (Z, R),
    (Z.tolist(), R.tolist()),
    (Z[None], R[None]),
    PADDED,
    (WATER,),
    ([WATER],),
    ([(Z, R)],),
    (iter([WATER]),),
    ([Molecule("water", Z.astype(np.float32), R.astype(np.float32))],),
])  # fmt: skip
def test_a_molecule_is_the_same_however_it_is_given(given):
    (water,) = as_molecules(*given)
    np.testing.assert_array_equal(water.Z, [8, 1, 1])
    np.testing.assert_allclose(water.R, R, atol=1e-6)
    assert water.Z.dtype == water.R.dtype == np.float32


def test_molecules_of_different_sizes_come_padded_or_as_lists():
    for given in (
        ([WATER, METHANE],),
        ([Z, METHANE.numbers], [R, METHANE.positions / Bohr]),
        (np.stack([PADDED[0], METHANE.numbers]), np.stack([PADDED[1], METHANE.positions / Bohr])),
    ):
        first, second = as_molecules(*given)
        assert (first.name, second.name) == ("molecule 0", "molecule 1")
        assert (len(first.Z), len(second.Z)) == (3, 5)
    assert as_molecules([]) == as_molecules([], []) == []


@pytest.mark.parametrize(("given", "sentence"), [
    ((Z, 3), "molecules are given as arrays Z and R, as ASE atoms or as a list"),
    ((Z,), "molecule 0 is neither ASE atoms nor a pair of charges and coordinates"),
    (([WATER, "H2O"],), "molecule 1 is neither ASE atoms nor a pair of charges and coordinates"),
    ((Z, R[:2]), r"molecule 0: charges \(3,\) and coordinates \(2, 3\) should be \(atoms,\) and \(atoms, 3\)"),
    (([Z], [R, R]), "there are charges of 1 molecules, and coordinates of 2"),
    ((Z + 0.5, R), "molecule 0: some charges are not nuclear charges, 1 to 118, nor 0 for padding"),
    ((Z, R * np.nan), "molecule 0: some coordinates are not numbers"),
    ((Z, R * 0), "molecule 0: atoms 0 and 1 are in the same place"),
    (([METHANE, Atoms("He", pbc=True, cell=[9, 9, 9])],), "molecule 1 is periodic; molecules here are not"),
    ((Atoms("Li", charges=[1]),), r"molecule 0 is charged \(\+1\); molecules here are neutral"),
])  # fmt: skip
def test_what_is_not_a_molecule_is_one_sentence(given, sentence):
    with pytest.raises(QM7Error, match=f"^{sentence}$"):
        as_molecules(*given)


def test_moments_of_ase_atoms_make_an_open_shell():
    oxygen, carbene, water = as_molecules([molecule("O2"), molecule("CH2_s3B1d"), WATER])
    assert (oxygen.open_shell, carbene.open_shell, water.open_shell) == ("2 unpaired electrons",) * 2 + ("",)
