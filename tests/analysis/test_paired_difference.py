"""Paired differences, their intervals and their p-values."""

import math

import numpy as np
import pytest
import scipy.stats

from qm7cli.analysis.paired_difference import Pair, corrected_t, holm, paired_difference


def pairs(*differences, dataset="a", reference=10.0, ratio=0.25):
    """Return pairs on as many test sets."""
    return [Pair((dataset, fold), difference, reference, ratio) for fold, difference in enumerate(differences)]


def test_the_corrected_t_interval_of_a_small_example_worked_out_by_hand():
    # mean 2, sample variance 1, (1/3 + 1/4) = 0.58333, its root 0.76376; t(0.975, 2) = 4.30265
    test = corrected_t(np.array([1.0, 2.0, 3.0]), 0.25)
    assert test.interval == pytest.approx((2 - 3.28621, 2 + 3.28621), abs=1e-4)
    assert test.standard_error == pytest.approx(0.76376, abs=1e-5)


def test_without_overlap_the_corrected_t_test_is_scipy_s():
    differences = np.array([0.3, -0.1, 0.25, 0.4, 0.05])
    expected = scipy.stats.ttest_1samp(differences, 0)
    test = corrected_t(differences, 0.0)
    assert test.interval == pytest.approx(tuple(expected.confidence_interval(0.95)))
    assert test.p == pytest.approx(expected.pvalue)
    assert corrected_t(-differences, 0.0).p == pytest.approx(expected.pvalue)


def test_a_difference_of_3_76_standard_errors_is_found_in_four_of_five_cases_by_five_test_sets():
    draws = np.random.default_rng(0).normal(size=(40_000, 5))
    test = corrected_t(draws[0], 0.0)
    factor = test.detectable / test.standard_error
    assert factor == pytest.approx(3.76, abs=0.005)
    shifted = draws + factor / math.sqrt(5)  # a true difference of so many standard errors of the mean
    found = scipy.stats.ttest_1samp(shifted, 0, axis=1).pvalue < 0.05
    assert found.mean() == pytest.approx(0.8, abs=0.01)


def test_holm_s_p_values_are_those_of_an_example_worked_out_by_hand():
    # 4 x 0.005, 3 x 0.01, 2 x 0.03, then 0.04, which may not come before the larger 0.06
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([0.02]) == [0.02]
    assert holm([]) == []


def test_among_five_groups_without_a_difference_holm_finds_one_in_a_twentieth_of_cases_at_most():
    draws = np.random.default_rng(1).normal(size=(2000, 5, 5))
    p_values = scipy.stats.ttest_1samp(draws, 0, axis=2).pvalue
    found = np.mean([min(holm(list(own))) < 0.05 for own in p_values])
    assert 0.03 < found < 0.06
    assert (p_values.min(axis=1) < 0.05).mean() > 0.15  # without it


def test_seeds_of_the_same_folds_are_no_evidence_of_their_own_for_the_t_test():
    once, often = paired_difference(pairs(1, 2, 3)), paired_difference(pairs(1, 2, 3) * 5)
    assert (often.mean, often.t_test) == (once.mean, once.t_test)
    assert (once.pairs, once.test_sets, often.pairs, often.test_sets) == (3, 3, 15, 3)


def test_equal_folds_of_two_data_sets_are_different_test_sets():
    difference = paired_difference(pairs(1, 2) + pairs(2, 3, dataset="b"))
    assert (difference.pairs, difference.test_sets) == (4, 4)
    assert difference.t_test == corrected_t(np.array([1.0, 2.0, 2.0, 3.0]), 0.25)


def test_the_difference_is_also_told_in_per_cent_of_the_reference_s_error():
    assert paired_difference(pairs(-1, -2)).percent == pytest.approx(-15)
    assert paired_difference(pairs(1, 2, reference=0.0)).percent is None
