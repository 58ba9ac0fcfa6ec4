import numpy as np
import pytest
from scipy.stats import spearmanr

from qm7cli.core.errors import QM7Error
from qm7cli.model.conformal import BASE, Interval, rank_correlation


def draw(rng, molecules):
    """Return errors that grow with the spread, but not in proportion, and the spreads."""
    spreads = rng.gamma(4, 1, molecules)
    return rng.standard_t(3, molecules) * (2 + spreads), spreads


def test_nine_of_ten_new_molecules_lie_within_whatever_the_errors_are():
    rng = np.random.default_rng(0)
    inside = []
    for _ in range(300):
        interval = Interval.of(*draw(rng, 60))
        errors, spreads = draw(rng, 200)
        inside.append(np.mean(np.abs(errors) <= interval.half_widths(spreads)))
    assert np.mean(inside) == pytest.approx(np.ceil(0.9 * 61) / 61, abs=0.01)  # what theory says


def test_the_quantile_is_the_smallest_that_has_as_many_held_out_molecules_within_as_it_must():
    errors, spreads = draw(np.random.default_rng(1), 99)
    interval = Interval.of(errors, spreads)
    for level, rank in ((0.9, 90), (0.5, 50), (0.95, 95), (0.99, 99)):
        ratios = np.abs(errors) / interval.half_widths(spreads, level)
        assert np.count_nonzero(ratios <= 1 + 1e-12) == rank
        assert np.sort(ratios)[rank - 1] == pytest.approx(1)
    assert interval.base == pytest.approx(interval.slope * BASE * np.median(spreads))
    for level in (0.49, 1.0, np.nan):
        with pytest.raises(QM7Error, match="it should be"):
            interval.quantile(level)


def test_a_spread_of_0_has_an_interval():
    errors, spreads = draw(np.random.default_rng(2), 50)
    spreads[:5] = 0
    assert Interval.of(errors, spreads).half_widths(np.zeros(1))[0] > 0


@pytest.mark.parametrize("spreads", [None, np.zeros(19), np.full(19, 1e-13)])
def test_without_spreads_all_intervals_are_the_same(spreads):
    interval = Interval.of(np.arange(-1.0, -20, -1), spreads)
    assert interval.half_widths(None).tolist() == [18.0]
    assert interval.half_widths(np.array([0.0, 5.0])).tolist() == [18.0, 18.0]


def test_fewer_than_nine_molecules_teach_no_interval():
    assert Interval.of(np.ones(8), np.ones(8)).half_widths(np.ones(1)) is None
    assert Interval.of(np.arange(9.0), None).half_widths(None).tolist() == [8.0]
    assert Interval.of(np.arange(9.0), None).quantile(0.95) is None


def test_the_rank_correlation_is_spearman_s_of_magnitudes():
    errors, spreads = draw(np.random.default_rng(3), 80)
    spreads = spreads.round(1)  # with ties
    assert rank_correlation(errors, spreads) == pytest.approx(spearmanr(np.abs(errors), spreads)[0])
    assert rank_correlation(errors, None) is None
    assert rank_correlation(errors, np.ones(80)) is None
