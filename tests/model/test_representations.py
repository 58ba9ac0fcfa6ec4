import numpy as np
import pytest

import reference
from qm7cli.model.representations import Bags, Representation


def test_each_bag_has_its_entries_in_descending_order_with_zeros_behind(small):
    expected, sizes = reference.bags(list(zip(small.Z, small.R, strict=True)))
    bags = Bags.of(small.Z)
    assert dict(zip(map(tuple, bags.charges.tolist()), bags.sizes.tolist(), strict=True)) == sizes
    filled = bags.fill(small.X, small.Z)
    assert filled.dtype == np.float32
    np.testing.assert_allclose(filled, expected, rtol=1e-5)


def test_bags_hold_what_their_own_molecules_have_and_larger_ones_change_no_distance(small):
    few, all_ = Bags.of(small.Z[:10]), Bags.of(small.Z)
    assert few.sizes.sum() < all_.sizes.sum()
    ours, theirs = (bags.fill(small.X[:10], small.Z[:10]).astype(float) for bags in (few, all_))
    for k in range(10):
        np.testing.assert_allclose(abs(ours - ours[k]).sum(axis=1), abs(theirs - theirs[k]).sum(axis=1), rtol=1e-12)


def test_the_composition_counts_the_atoms_of_each_element(small):
    composition = Representation.fit("composition", 0.0, small.Z, elements=False)
    drawn = composition.draw(small, small.Z, np.arange(60), np.random.default_rng(0))
    np.testing.assert_array_equal(drawn, reference.composition(small.Z, [1, 6, 7, 8]))


@pytest.mark.parametrize(("Z", "excess"), [
    ([6, 1, 1], None),
    ([6, 1], None),
    ([6, 6], "2 C, more than the 1 that the model takes"),
    ([1, 1, 8], "1 O, more than the 0 that the model takes"),
    ([6, 1, 1, 7], "2 pairs H-N, more than the 1 that the model takes"),
])  # fmt: skip
def test_what_bags_do_not_hold_is_told(Z, excess):
    bags = Bags.of(np.array([[6, 1, 1], [6, 0, 0], [7, 1, 0]], dtype=np.float32))
    assert bags.why_too_large(np.array(Z, dtype=np.float32)) == excess
