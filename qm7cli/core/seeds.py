"""The named random streams.

Every random number of a run comes from a stream that is named by the run's seed, the fold and what the numbers are for.
The gradient variant is not part of the name, so all variants see the same molecules in the same order with the same
noise (common random numbers). A stream that is used again and again carries an index, such as the number of the block
of minibatches. What is drawn at an iteration then depends on nothing before it, and a checkpoint stores no generator.
"""

from enum import IntEnum

import numpy as np


class Purpose(IntEnum):
    """What the numbers of a stream are for."""

    WEIGHTS = 0
    ENCODER = 1
    MINIBATCHES = 2
    PERMUTATIONS = 3
    TEST_EVALUATION = 4
    TRAIN_EVALUATION = 5
    AUGMENTATION = 6
    PREDICTION = 7
    BASELINE = 8
    INNER_FOLDS = 9
    BIASES = 10


def stream(seed: int, fold: int, purpose: Purpose, *index: int) -> np.random.Generator:
    """Return the generator of a stream, at its start; `index` tells streams of the same purpose apart."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(fold, purpose, *index)))
