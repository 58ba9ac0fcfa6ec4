import numpy as np
import pytest

import reference
from qm7cli.core.errors import QM7Error
from qm7cli.data.splits import select_folds
from qm7cli.model.target import NOTHING_SUBTRACTED, Target
from qm7cli.training.claim_fold import fit_target
from qm7cli.training.fold_training import FoldTraining


@pytest.fixture
def target(small):
    return Target.fit("composition", small.Z, small.T)


def test_the_composition_is_that_of_least_squares(small, target):
    coefficients, left = reference.composition_target(small.Z, small.T)
    assert dict(zip(target.elements, target.coefficients, strict=True)) == pytest.approx(coefficients)
    assert (target.mean, target.std) == (0, pytest.approx(left.std()))
    np.testing.assert_allclose(target.left(small.T, small.Z), left, atol=1e-9)


def test_the_mean_is_subtracted_in_float32_as_published(small):
    energies = small.T.astype(float)
    target = Target.fit("mean", small.Z, small.T)
    assert target[:2] == (energies.mean(), energies.std())
    np.testing.assert_array_equal(target.scaled(small.T, small.Z), (small.T - target.mean) / target.std)
    assert target.unknown(np.array([14.0])) is None


@pytest.mark.parametrize("subtract", ["mean", "composition"])
def test_scaled_energies_become_energies_again(small, subtract):
    target = Target.fit(subtract, small.Z, small.T)
    scaled = target.scaled(small.T, small.Z)
    assert scaled.dtype == np.float32
    assert scaled.std() == pytest.approx(1)
    np.testing.assert_allclose(target.energies(scaled.astype(float), small.Z), small.T, atol=1e-3)


def test_nothing_subtracted_leaves_energies_to_the_last_bit(small):
    energies = small.T.astype(float)
    assert NOTHING_SUBTRACTED.left(small.T, small.Z).tobytes() == small.T.tobytes()
    assert NOTHING_SUBTRACTED.energies(energies, small.Z).tobytes() == energies.tobytes()


def test_fewer_molecules_than_elements_or_elements_that_go_together_have_the_least_norm():
    one = Target.fit("composition", np.array([[6.0, 1, 1, 8]]), np.array([-300.0]))
    assert dict(zip(one.elements, one.coefficients, strict=True)) == pytest.approx({1: -100, 6: -50, 8: -50})
    assert one.std == 1  # nothing is left, but rounding
    together = Target.fit("composition", np.array([[6.0, 8, 0], [6, 8, 1]]), np.array([-200.0, -240.0]))
    assert together.coefficients == pytest.approx([-40, -100, -100])


def test_an_element_without_a_coefficient_is_named(target):
    assert target.unknown(np.array([6.0, 1, 0])) is None
    assert target.unknown(np.array([6.0, 14, 1])) == "Si: no molecule with it was trained on"


def test_a_test_molecule_whose_element_was_not_trained_on_is_refused(small, quick):
    experiment = quick("target.subtract=composition")
    fold = select_folds(small, experiment.split)[0]
    without = np.flatnonzero((small.Z != 8).all(axis=1))
    oxygen = np.flatnonzero((small.Z == 8).any(axis=1))[:1]
    fold = fold._replace(train=without, test=oxygen)
    with pytest.raises(QM7Error, match=f"fold 0: its test molecule {oxygen[0]} has no energy: O: no molecule with it"):
        FoldTraining(experiment, small, fold)
    assert fit_target(quick(), small, fold).mean == pytest.approx(small.T[without].mean())
