import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from scipy.stats import norm

import reference
from qm7cli import coulomb, dataset
from qm7cli.errors import QM7Error

GFN7 = dataset.load(dataset.locate("gfn7"))


def test_the_matrix_of_water_is_the_equation_by_hand():
    Z = np.array([[8, 1, 1, 0]])
    R = np.array([[[0, 0, 0], [2, 0, 0], [0, 0, 4], [0, 0, 0]]])
    C = coulomb.coulomb_matrices(Z, R)[0]
    oxygen = 0.5 * 8**2.4
    between = 1 / 20**0.5
    expected = [[oxygen, 4, 2, 0], [4, 0.5, between, 0], [2, between, 0.5, 0], [0, 0, 0, 0]]
    np.testing.assert_allclose(C, expected, rtol=1e-14)


def test_matrices_are_those_of_the_reference(small):
    C = coulomb.coulomb_matrices(small.Z, small.R)
    expected = [reference.coulomb_matrix(*molecule) for molecule in zip(small.Z, small.R, strict=True)]
    np.testing.assert_allclose(C, expected, rtol=1e-6)


def test_two_atoms_in_one_place_are_an_error_that_names_them():
    R = np.zeros((1, 2, 3))
    with pytest.raises(QM7Error, match="molecule 0: atoms 0 and 1 are in the same place"):
        coulomb.coulomb_matrices(np.array([[1, 6]]), R)


@given(seed=st.integers(0, 1000))
def test_turning_shifting_and_reordering_a_molecule_changes_nothing(seed):
    rng = np.random.default_rng(seed)
    Z, R = (array[[seed]].astype(float) for array in (GFN7.Z, GFN7.R))
    order = rng.permutation(Z.shape[1])
    turned = Rotation.random(random_state=seed).apply(R[0]) + rng.normal(size=3)
    before = coulomb.coulomb_matrices(Z, R).astype(np.float32)
    after = coulomb.coulomb_matrices(Z[:, order], turned[None, order]).astype(np.float32)
    sorted_forms = [
        coulomb.random_sorted(X, coulomb.row_norms(X), np.zeros(1, dtype=int), 0.0, rng) for X in (before, after)
    ]
    np.testing.assert_allclose(*map(np.sort, sorted_forms), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(np.sort(coulomb.row_norms(before)), np.sort(coulomb.row_norms(after)), rtol=1e-5)


def test_permutations_are_permutations(small):
    permutations = coulomb.draw_permutations(small.norms, 1.0, np.random.default_rng(0))
    assert np.array_equal(np.sort(permutations, axis=1), np.tile(np.arange(7), (60, 1)))


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
