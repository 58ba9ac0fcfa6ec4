from dataclasses import replace

import numpy as np
import pytest

import reference
from qm7cli.data.coulomb import random_sorted
from qm7cli.model.encoder import FIT_DRAWS, Encoder

TRAIN = np.arange(48)


@pytest.mark.parametrize("step", [1.0, 0.7])
def test_the_encoder_is_that_of_the_reference(small, step):
    encoder = Encoder.fit(small, TRAIN, 1.0, step, np.random.default_rng(3))

    rng = np.random.default_rng(3)
    noise = rng.standard_normal((FIT_DRAWS + 1, len(TRAIN), 7), dtype=np.float32)
    draws = [np.array([reference.random_sorted(small.X[k], e[k]) for k in TRAIN]) for e in noise]
    largest = reference.largest_entries(draws[:-1])
    features = reference.expand(draws[-1], largest, step)
    normalise = reference.Normalisation(features)
    assert encoder.counts.sum() == features.shape[1]
    np.testing.assert_allclose(encoder.mean, normalise.mean, atol=5e-6)
    assert encoder.scale == pytest.approx(normalise.std, rel=1e-6)

    drawn = random_sorted(small.X, small.norms, np.arange(48, 60), 1.0, np.random.default_rng(4))
    expected = normalise(reference.expand(drawn, largest, step))
    np.testing.assert_allclose(encoder.encode(drawn), expected, atol=3e-5)  # x / step is rounded at x ~ 70


@pytest.mark.parametrize("step", [0.3, 0.1, 1.0, 2.5])
def test_there_are_as_many_thresholds_as_the_published_rule_makes(small, step):
    """Its numpy.arange(0, largest + step, step) rounds: of 18.0 in steps of 0.3 it makes 62, not 61."""
    largest = np.arange(1.0, 29.0).astype(np.float32)
    X = np.zeros_like(small.X)
    X[:, *np.triu_indices(7)] = largest
    X[TRAIN[0]] = 0  # so that features differ
    encoder = Encoder.fit(replace(small, X=X), TRAIN, 0.0, step, np.random.default_rng(0))
    expected = [len(np.arange(0, float(entry) + step, step)) for entry in largest]
    assert encoder.counts.tolist() == expected


def test_features_that_are_not_centered_differ_by_their_mean_alone(small):
    centered, raw = (
        Encoder.fit(small, TRAIN, 1.0, 1.0, np.random.default_rng(3), center=center) for center in (True, False)
    )
    assert centered.scale == raw.scale
    assert not raw.mean.any()
    ours, theirs = (each.draw(small, TRAIN, np.random.default_rng(4)) for each in (centered, raw))
    np.testing.assert_allclose(ours + centered.mean / np.float32(raw.scale), theirs, atol=1e-5)


def test_an_entry_that_is_always_0_has_one_threshold_and_every_draw_is_another_one(small):
    encoder = Encoder.fit(small, np.flatnonzero(small.Z[:, -1] == 0), 0.0, 1.0, np.random.default_rng(0))
    assert encoder.counts[-1] == 1
    encoder, rng = replace(encoder, noise=1.0), np.random.default_rng(0)
    assert not np.array_equal(encoder.draw(small, TRAIN, rng), encoder.draw(small, TRAIN, rng))
