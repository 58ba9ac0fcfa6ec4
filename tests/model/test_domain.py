import re

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule

from qm7cli.data.dataset import load, locate
from qm7cli.data.molecules import BOHR
from qm7cli.data.splits import Split, select_folds
from qm7cli.model.domain import QUANTILE, STEP, Domain
from qm7cli.model.model import load_bundled

TRAIN, HELD_OUT = np.arange(45), np.arange(45, 60)


@pytest.fixture
def domain(small):
    """What 45 small molecules cover."""
    return Domain.of(small, TRAIN, HELD_OUT)


def of_dataset(dataset, k):
    """Return Z and R of a molecule of a data set."""
    real = dataset.Z[k] > 0
    return dataset.Z[k][real], dataset.R[k][real]


def of_ase(atoms, scale=1.0):
    """Return Z and R (bohr) of ASE atoms."""
    return atoms.numbers.astype(np.float32), atoms.positions * (scale / BOHR)


def environments(Z, R):
    """Return the environment of each atom, one after the other, as the definition says."""
    found = []
    for k in range(len(Z)):
        distances = sorted(np.linalg.norm(R[k] - R[j]) * BOHR for j in range(len(Z)) if j != k)
        found.append(([1 / distance for distance in distances] + [0] * 4)[:4])
    return np.array(found)


def test_a_score_is_the_largest_distance_to_the_nearest_environment_of_the_same_element(domain, small):
    known = [zip(Z, environments(Z, R), strict=True) for Z, R in (of_dataset(small, row) for row in TRAIN)]
    known = [own for molecule in known for own in molecule]
    scores = []
    for row in HELD_OUT:
        Z, R = of_dataset(small, row)
        nearest = [
            min(np.linalg.norm(other - own) for element, other in known if element == charge)
            for charge, own in zip(Z, environments(Z, R), strict=True)
        ]
        np.testing.assert_allclose(domain.scores(Z, R), nearest, atol=STEP)
        scores.append(max(nearest))
    assert domain.threshold == pytest.approx(np.quantile(scores, QUANTILE), abs=STEP)


def test_what_was_trained_on_is_inside_and_its_limits_are_kept(domain, small):
    assert not any(domain.warnings(*of_dataset(small, row)) for row in TRAIN)
    T, sizes = small.T[TRAIN], (small.Z[TRAIN] > 0).sum(axis=1)
    assert domain.atoms.tolist() == [sizes.min(), sizes.max()]
    assert domain.energies[0] <= T.min() < domain.energies[0] + 10
    assert domain.energies[1] - 10 < T.max() <= domain.energies[1]
    assert domain.elements.tolist() == [1, 6, 7, 8]


def test_each_way_of_being_outside_is_said(domain, small):
    Z, R = of_dataset(small, 0)
    assert domain.warnings(Z[:1], R[:1])["atoms"] == f"1 atom, fewer than any molecule trained on ({domain.atoms[0]})"
    said = domain.warnings(np.full(9, 6.0), np.arange(27.0).reshape(9, 3))
    assert said["atoms"] == f"9 atoms, more than any molecule trained on ({domain.atoms[1]})"
    assert domain.warnings(np.append(Z[:-1], 16.0), R)["S"] == "1 S, an element not trained on"
    even = Domain.of(small, TRAIN[small.Z[TRAIN].sum(axis=1) % 2 == 0], HELD_OUT)
    odd = next(row for row in range(60) if small.Z[row].sum() % 2)
    assert even.warnings(*of_dataset(small, odd))["electrons"].endswith("electrons, an odd number")
    assert "electrons" not in domain.warnings(*of_dataset(small, odd))  # it was trained on some
    apart = np.concatenate([R[:2], R[2:] + 40])
    assert domain.warnings(Z, apart)["pieces"].startswith("it falls into pieces ")


@pytest.mark.parametrize("name", ["C6H6", "C4H4S", "CH3CONH2"])
def test_ordinary_molecules_are_inside_the_bundled_model_s_domain(name):
    assert load_bundled().model.domain.warnings(*of_ase(molecule(name))) == {}


ETHANE, ETHANOL, BENZENE = molecule("C2H6"), molecule("CH3CH2OH"), molecule("C6H6")
OUTSIDE = {
    "benzene without its hydrogens": of_ase(BENZENE[:6]),
    "the ethyl radical": of_ase(ETHANE[:7]),
    "two ethanes": of_ase(ETHANE + Atoms(ETHANE.numbers, ETHANE.positions + np.array([0, 0, 8]))),
    "ethanol stretched": of_ase(ETHANOL, 1.05),
    "ethanol in bohr": of_ase(ETHANOL, 1 / BOHR),
    "benzene drawn flat with bonds of 1.5": of_ase(BENZENE, 1.5 / 1.39),
    "methane": of_ase(molecule("CH4")),
    "chloromethane": of_ase(molecule("CH3Cl")),
}


@pytest.mark.parametrize("name", OUTSIDE)
def test_whatever_is_not_like_qm7_is_outside_the_bundled_model_s_domain(name):
    assert load_bundled().model.domain.warnings(*OUTSIDE[name])


def test_the_sentence_names_the_atom():
    said = load_bundled().model.domain.warnings(*OUTSIDE["benzene without its hydrogens"])["environment"]
    assert re.fullmatch(r"C \d: nearest atoms at 1.40, 1.40, 2.42, 2.42 angstrom, unlike any trained on", said)


@pytest.mark.realdata
def test_of_held_out_molecules_one_in_two_hundred_is_outside_and_all_in_bohr_are(qm7):
    for dataset in (qm7, load(locate("gfn7"))):
        fold = select_folds(dataset, Split(folds=[1]))[0]
        domain = Domain.of(dataset, fold.train, fold.test)
        held_out = [of_dataset(dataset, row) for row in fold.test]
        assert np.mean([bool(domain.warnings(*each)) for each in held_out]) < 0.009
        assert all(domain.warnings(Z, R / BOHR) for Z, R in held_out)
    assert domain.environments.nbytes < 400_000
