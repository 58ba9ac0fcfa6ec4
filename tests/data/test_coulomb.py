import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from scipy.stats import norm

import molecules
import reference
from qm7cli.core.errors import QM7Error
from qm7cli.data import coulomb, dataset

GFN7 = dataset.load(dataset.locate("gfn7"))


def test_matrices_are_those_of_the_reference_however_many_are_worked_out_at_once(small, monkeypatch):
    expected = coulomb.coulomb_matrices(small.Z, small.R)
    slow = [reference.coulomb_matrix(*molecule) for molecule in zip(small.Z, small.R, strict=True)]
    np.testing.assert_allclose(expected, slow, rtol=1e-6)
    monkeypatch.setattr(coulomb, "ENTRIES", 3 * 49)
    np.testing.assert_array_equal(coulomb.coulomb_matrices(small.Z, small.R), expected)
    R = small.R.copy()
    R[37, 1] = R[37, 0]
    with pytest.raises(QM7Error, match="molecule 37: atoms 0 and 1 are in the same place"):
        coulomb.coulomb_matrices(small.Z, R)


@given(seed=st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_turning_shifting_and_reordering_a_molecule_changes_nothing(seed):
    rng = np.random.default_rng(seed)
    Z, R = (array[[seed]].astype(float) for array in (GFN7.Z, GFN7.R))
    order = rng.permutation(Z.shape[1])
    turned = Rotation.random(random_state=seed).apply(R[0]) + rng.normal(size=3)
    before, after = (canonical(*molecule) for molecule in ((Z[0], R[0]), (Z[0, order], turned[order])))
    np.testing.assert_allclose(before, after, rtol=1e-5, atol=1e-6)
    sorted_forms = [
        coulomb.random_sorted(X, coulomb.row_norms(X), np.zeros(1, dtype=int), 0.0, rng) for X in (before, after)
    ]
    np.testing.assert_allclose(*sorted_forms, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(coulomb.row_norms(before), coulomb.row_norms(after), rtol=1e-5)


def canonical(Z, R):
    """Return the Coulomb matrix (1, n, n) of a molecule in canonical order."""
    X = coulomb.coulomb_matrices(Z[None], R[None]).astype(np.float32)
    return coulomb.reorder_atoms(X, coulomb.canonical_order(X))


@pytest.mark.parametrize("name", molecules.SYMMETRIC)
def test_a_symmetric_molecule_has_one_matrix_whatever_the_order_of_its_atoms(name):
    Z, R = molecules.SYMMETRIC[name]
    rng = np.random.default_rng(0)
    Z, R = np.append(Z, [0, 0]), np.vstack([R, np.zeros((2, 3))])  # padding goes to the end
    expected = canonical(Z, R)
    assert not expected[0, -2:].any()
    for _ in range(10):
        order = rng.permutation(len(Z))
        turned = Rotation.random(rng=rng).apply(R[order])
        np.testing.assert_allclose(canonical(Z[order], R[order]), expected, rtol=0, atol=1e-5)
        np.testing.assert_allclose(canonical(Z[order], turned.astype(np.float32)), expected, rtol=0, atol=1e-4)


def test_the_canonical_order_goes_by_norm_beyond_rounding_and_ties_go_by_charge(small):
    norms = np.linalg.norm(small.X, axis=2)
    assert (np.diff(norms, axis=1) <= 2e-3).all()
    tied = np.array([[[3, 4, 0], [4, 3, 0], [0, 0, 4.5]], [[3, 0, 0], [0, 5, 0], [0, 0, 4]]], dtype=np.float32)
    tied[0, 2, 2] = 5
    assert np.array_equal(coulomb.canonical_order(tied), [[2, 0, 1], [1, 2, 0]])


def test_without_noise_rows_are_sorted_by_norm(small):
    permutations = coulomb.draw_permutations(small.norms, 0.0, np.random.default_rng(0))
    ordered = np.take_along_axis(small.norms, permutations, axis=1)
    assert (np.diff(ordered, axis=1) <= 0).all()


@pytest.mark.parametrize(("gap", "noise"), [(0.5, 1.0), (2.0, 1.0), (1.0, 3.0)])
def test_rows_swap_as_often_as_the_normal_distribution_says(gap, noise):
    draws = 200_000
    norms = np.tile(np.array([10 + gap, 10], dtype=np.float32), (draws, 1))
    swapped = coulomb.draw_permutations(norms, noise, np.random.default_rng(1))[:, 0] == 1
    expected = norm.cdf(-gap / (noise * 2**0.5))
    assert swapped.mean() == pytest.approx(expected, abs=4 * (expected * (1 - expected) / draws) ** 0.5)


def test_drawn_triangles_are_those_of_the_reference(small):
    chosen = np.array([3, 1, 3, 59])
    drawn = coulomb.random_sorted(small.X, small.norms, chosen, 1.0, np.random.default_rng(5))
    noise = np.random.default_rng(5).standard_normal((4, 7), dtype=np.float32)
    expected = [reference.random_sorted(small.X[k], e) for k, e in zip(chosen, noise, strict=True)]
    assert np.array_equal(drawn, expected)
