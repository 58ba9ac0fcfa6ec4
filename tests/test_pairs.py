"""Paired differences and their intervals."""

import math

import numpy as np
import pytest
import scipy.stats

from qm7cli.pairs import Pair, _corrected_t, paired_difference


def test_the_corrected_t_interval_of_a_small_example_worked_out_by_hand():
    # mean 2, sample variance 1, (1/3 + 1/4) = 0.58333, its root 0.76376; t(0.975, 2) = 4.30265
    low, high = _corrected_t(np.array([1.0, 2.0, 3.0]), 0.25)
    assert (low, high) == pytest.approx((2 - 3.28621, 2 + 3.28621), abs=1e-4)


def test_without_overlap_the_corrected_t_interval_is_scipy_s():
    differences = np.array([0.3, -0.1, 0.25, 0.4, 0.05])
    expected = scipy.stats.ttest_1samp(differences, 0).confidence_interval(0.95)
    assert _corrected_t(differences, 0.0) == pytest.approx(tuple(expected))


def test_the_bootstrap_draws_molecules_within_folds_for_all_seeds_alike():
    rng = np.random.default_rng(3)
    first, second = np.arange(500), np.arange(500, 700)
    shared = rng.normal(size=500)  # the same for both seeds: averaging them must not make the interval narrower
    pairs = [
        Pair(first, shared, 0.2),
        Pair(first, shared, 0.2),
        Pair(second, np.full(200, 50.0), 0.2),  # a fold apart: no molecule of it may come into the other
    ]
    low, high = paired_difference(pairs).bootstrap
    deviation = shared.std() / math.sqrt(500) / 2
    assert (high - low) / 2 == pytest.approx(1.96 * deviation, rel=0.1)
    assert (high + low) / 2 == pytest.approx((shared.mean() + 50) / 2, abs=0.1 * deviation)
    assert paired_difference(pairs).bootstrap == (low, high)


def test_seeds_of_the_same_folds_are_no_evidence_of_their_own_for_the_t_test():
    folds = [Pair(np.arange(4 * k, 4 * k + 4), np.full(4, value), 0.25) for k, value in enumerate((1.0, 2.0, 3.0))]
    once, often = paired_difference(folds), paired_difference(folds * 5)
    assert (often.mean, often.t_test) == (once.mean, once.t_test)
    assert (once.pairs, often.pairs) == (3, 15)


def test_there_is_no_bootstrap_where_test_sets_overlap_or_have_one_molecule():
    one = Pair(np.arange(4), np.arange(4.0), 0.25)
    assert paired_difference([one, Pair(np.arange(3, 7), np.arange(4.0), 0.25)]).bootstrap is None
    assert paired_difference([one, Pair(np.array([9]), np.array([1.0]), 0.25)]).bootstrap is None
    assert paired_difference([one, Pair(np.arange(4, 8), np.arange(4.0), 0.25)]).bootstrap is not None
