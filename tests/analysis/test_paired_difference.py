"""Paired differences, their intervals and their p-values."""

import math

import numpy as np
import pytest
import scipy.stats

from qm7cli.analysis.paired_difference import Pair, Sample, _corrected_t, holm, paired_difference


def pair(molecules, differences, ratio=0.25, dataset="a"):
    """Return a pair with predictions for some molecules; the reference's errors are 10 kcal/mol each."""
    sample = Sample(np.asarray(molecules), np.asarray(differences, dtype=float))
    return Pair(dataset, ("published", int(molecules[0])), sample.differences.mean(), 10.0, ratio, sample)


def without_predictions(pairs):
    return [each._replace(sample=None) for each in pairs]


def constant(*values, dataset="a"):
    """Return pairs on disjoint test sets of four molecules, each with the same difference for all of them."""
    return [pair(range(4 * k, 4 * k + 4), [value] * 4, dataset=dataset) for k, value in enumerate(values)]


def test_the_corrected_t_interval_of_a_small_example_worked_out_by_hand():
    # mean 2, sample variance 1, (1/3 + 1/4) = 0.58333, its root 0.76376; t(0.975, 2) = 4.30265
    test = _corrected_t(np.array([1.0, 2.0, 3.0]), 0.25)
    assert test.interval == pytest.approx((2 - 3.28621, 2 + 3.28621), abs=1e-4)
    assert test.standard_error == pytest.approx(0.76376, abs=1e-5)


def test_without_overlap_the_corrected_t_test_is_scipy_s():
    differences = np.array([0.3, -0.1, 0.25, 0.4, 0.05])
    expected = scipy.stats.ttest_1samp(differences, 0)
    test = _corrected_t(differences, 0.0)
    assert test.interval == pytest.approx(tuple(expected.confidence_interval(0.95)))
    assert test.p == pytest.approx(expected.pvalue)
    assert _corrected_t(-differences, 0.0).p == pytest.approx(expected.pvalue)


def test_a_difference_of_3_76_standard_errors_is_found_in_four_of_five_cases_by_five_test_sets():
    rng = np.random.default_rng(0)
    draws = rng.normal(size=(40_000, 5))
    test = _corrected_t(draws[0], 0.0)
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


def test_the_bootstrap_draws_molecules_within_folds_for_all_seeds_alike():
    rng = np.random.default_rng(3)
    first, second = np.arange(500), np.arange(500, 700)
    shared = rng.normal(size=500)  # the same for both seeds: averaging them must not make the interval narrower
    pairs = [
        pair(first, shared),
        pair(first, shared),
        pair(second, np.full(200, 50.0)),  # a fold apart: no molecule of it may come into the other
    ]
    low, high = paired_difference(pairs).bootstrap
    deviation = shared.std() / math.sqrt(500) / 2
    assert (high - low) / 2 == pytest.approx(1.96 * deviation, rel=0.1)
    assert (high + low) / 2 == pytest.approx((shared.mean() + 50) / 2, abs=0.1 * deviation)
    assert paired_difference(pairs).bootstrap == (low, high)


@pytest.mark.parametrize("predicted", [True, False])
def test_seeds_of_the_same_folds_are_no_evidence_of_their_own_for_the_t_test(predicted):
    folds = constant(1.0, 2.0, 3.0)
    folds = folds if predicted else without_predictions(folds)
    once, often = paired_difference(folds), paired_difference(folds * 5)
    assert (often.mean, often.t_test) == (once.mean, once.t_test)
    assert (once.pairs, once.test_sets) == (3, 3)
    assert (often.pairs, often.test_sets) == (15, 3)


@pytest.mark.parametrize("predicted", [True, False])
def test_equal_folds_of_two_data_sets_are_different_test_sets(predicted):
    pairs = constant(1.0, 2.0) + constant(2.0, 3.0, dataset="b")
    difference = paired_difference(pairs if predicted else without_predictions(pairs))
    assert (difference.pairs, difference.test_sets) == (4, 4)
    assert difference.t_test == _corrected_t(np.array([1.0, 2.0, 2.0, 3.0]), 0.25)
    assert (difference.bootstrap is not None) == predicted


def test_two_splits_with_a_test_set_in_common_are_told_by_their_molecules():
    pairs = constant(1.0, 2.0)
    again = [each._replace(fold=("a file", k)) for k, each in enumerate(constant(3.0, 5.0))]
    difference = paired_difference(pairs + again)
    assert (difference.pairs, difference.test_sets) == (4, 2)
    assert difference.t_test == _corrected_t(np.array([2.0, 3.5]), 0.25)


def test_without_predictions_all_is_the_same_but_the_bootstrap():
    pairs = constant(1.0, 2.0, 3.0)
    assert paired_difference(pairs).bootstrap is not None
    expected = paired_difference(pairs)._replace(bootstrap=None)
    assert paired_difference(without_predictions(pairs)) == expected
    assert paired_difference([*pairs[:2], *without_predictions(pairs[2:])]) == expected


def test_the_difference_is_also_told_in_per_cent_of_the_reference_s_error():
    assert paired_difference(constant(-1.0, -2.0)).percent == pytest.approx(-15.0)
    assert paired_difference([each._replace(reference=0.0) for each in constant(1.0, 2.0)]).percent is None


def test_there_is_no_bootstrap_where_test_sets_overlap_or_have_one_molecule():
    one = pair(np.arange(4), np.arange(4.0))
    assert paired_difference([one, pair(np.arange(3, 7), np.arange(4.0))]).bootstrap is None
    assert paired_difference([one, pair(np.array([9]), np.array([1.0]))]).bootstrap is None
    assert paired_difference([one, pair(np.arange(4, 8), np.arange(4.0))]).bootstrap is not None


def test_where_nothing_can_be_tested_the_difference_says_why():
    for pairs, reason in (
        (constant(1.0), "one test set allows no test"),
        (constant(1.0) * 2, "one test set allows no test"),
        (constant(2.0, 2.0), "the difference is the same on all test sets, which allows no test"),
        (constant(0.0, 0.0), "the difference is the same on all test sets, which allows no test"),
        (
            [each._replace(ratio=None) for each in constant(1.0, 2.0)],
            "no results.yaml tells how many molecules were trained on and tested, so there is no test",
        ),
    ):
        difference = paired_difference(pairs)
        assert (difference.t_test, difference.untested) == (None, reason)
