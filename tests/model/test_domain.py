import numpy as np
import pytest
from scipy.spatial.distance import cdist

from qm7cli.data.molecules import BOHR
from qm7cli.data.splits import Split, select_folds
from qm7cli.model.domain import STEPS, Domain

ALL = np.arange(60)


@pytest.fixture
def domain(small):
    """What all 60 small molecules cover."""
    return Domain.of(small, ALL)


def molecule(dataset, k):
    """Return Z, R and X of a molecule of a data set."""
    real = dataset.Z[k] > 0
    return dataset.Z[k][real], dataset.R[k][real], dataset.X[k]


def test_molecules_trained_on_are_inside_but_for_the_few_beyond_the_reach(domain, small):
    outside = [domain.warnings(*molecule(small, k)) for k in ALL]
    assert not any(outside)
    assert max(domain.distance(small.X[k]) for k in ALL) < 0.1  # the matrices are kept in half precision


def test_the_reach_holds_for_99_percent_of_the_molecules(domain, small):
    triangles = small.X[:, *np.triu_indices(7)]
    distances = cdist(triangles, triangles)
    np.fill_diagonal(distances, np.inf)
    assert domain.reach == pytest.approx(np.quantile(distances.min(axis=1), 0.99), abs=0.1)


def test_limits_are_those_of_a_loop_over_molecules_and_pairs(domain, small):
    lengths, counts = {}, []
    for k in ALL:
        Z, R, _ = molecule(small, k)
        counts.append([int((charge == Z).sum()) for charge in (1, 6, 7, 8)])
        for i in range(len(Z)):
            for j in range(i):
                pair = tuple(sorted((int(Z[i]), int(Z[j]))))
                lengths.setdefault(pair, []).append(float(np.linalg.norm(R[i] - R[j])))
    assert domain.charges.tolist() == [1, 6, 7, 8]
    assert domain.counts.tolist() == [np.min(counts, axis=0).tolist(), np.max(counts, axis=0).tolist()]
    assert domain.atoms.tolist() == [min(map(sum, counts)), max(map(sum, counts))]
    assert domain.energies.tolist() == [small.T.min(), small.T.max()]
    for (a, b), found in lengths.items():
        limits = domain.distances[:, np.searchsorted(domain.charges, a), np.searchsorted(domain.charges, b)]
        np.testing.assert_allclose(limits, [min(found), max(found)], rtol=1e-5)


def test_each_way_of_being_outside_is_said_with_both_numbers(domain, small):
    k = int(np.flatnonzero((small.Z == 6).any(axis=1) & (small.Z == 8).any(axis=1))[0])
    Z, R, X = molecule(small, k)
    said = domain.warnings(Z[:1], R[:1], X)
    assert said["atom"] == f"1 atom, fewer than any molecule trained on ({domain.atoms[0]})"
    said = domain.warnings(np.full(9, 6.0), np.arange(27.0).reshape(9, 3), X)
    assert said["atoms"] == f"9 atoms, more than any molecule trained on ({domain.atoms[1]})"
    assert said["C"] == f"9 C, more than any molecule trained on ({domain.counts[1, 1]})"
    assert domain.warnings(np.append(Z[:-1], 16.0), R, X)["S"] == "1 S, an element not trained on"
    shortest, longest = domain.distances[:, 1, 3] * BOHR
    near = domain.warnings(np.array([6.0, 8.0]), np.array([[0, 0, 0], [0, 0, 0.5]]), X)["C-O"]
    assert near == f"C-O distance {0.5 * BOHR:.2f} angstrom, shorter than any trained on ({shortest:.2f})"
    far = domain.warnings(np.array([6.0, 8.0]), np.array([[0, 0, 0], [0, 0, 50]]), X)["C-O"]
    assert far == f"C-O distance {50 * BOHR:.2f} angstrom, longer than any trained on ({longest:.2f})"
    assert domain.warnings(Z, R, X + 50)["nearest"].startswith("the nearest molecule trained on is ")


def test_a_pair_of_elements_that_no_molecule_had_is_outside(small):
    one = int(np.flatnonzero((small.Z == 6).any(axis=1) & ~(small.Z == 8).any(axis=1))[0])
    other = int(np.flatnonzero((small.Z == 8).any(axis=1) & ~(small.Z == 6).any(axis=1))[0])
    domain = Domain.of(small, np.array([one, other]))
    said = domain.warnings(np.array([6.0, 8.0]), np.array([[0, 0, 0], [0, 0, 2.2]]), small.X[one])
    assert said["C-O"] == "C-O distance 1.16 angstrom, a pair not trained on"


@pytest.mark.realdata
def test_bohr_taken_for_angstrom_is_outside_in_every_molecule_and_few_that_were_held_out_are(qm7):
    fold = select_folds(qm7, Split())[0]
    domain = Domain.of(qm7, fold.train)
    held_out = [molecule(qm7, k) for k in fold.test[:300]]
    assert sum(bool(domain.warnings(*each)) for each in held_out) <= 6
    for Z, R, X in held_out:
        scaled = (X * BOHR).astype(np.float32)  # C_ij goes as 1/r
        np.fill_diagonal(scaled, X.diagonal())
        assert domain.warnings(Z, R / BOHR, scaled)


def test_a_rounded_domain_knows_no_molecule_but_warns_of_what_exceeds_its_limits(small):
    exact = Domain.of(small, small.P[0])
    rounded = exact.rounded()
    assert (rounded.matrices, rounded.reach, rounded.distance(small.X[0])) == (None, None, None)
    for own, limits, step in (
        (exact.distances, rounded.distances, STEPS["distances"]),
        (exact.energies, rounded.energies, STEPS["energies"]),
    ):
        assert (limits[0] <= own[0] + 1e-5).all()
        assert (own[1] <= limits[1] + 1e-5).all()
        assert np.abs(limits - own).max() <= step + 1e-5
        assert limits.dtype == own.dtype
    assert not np.array_equal(rounded.energies, exact.energies)
    for k in small.P[0]:
        real = small.Z[k] > 0
        assert rounded.warnings(small.Z[k][real], small.R[k][real], small.X[k]) == {}
    assert "Si" in rounded.warnings(np.array([14.0]), np.zeros((1, 3)), small.X[0])
