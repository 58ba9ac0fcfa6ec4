"""What all trainings of a network share: how minibatches are drawn, the learning rate, the average and divergence.

Minibatches are drawn in blocks, each from a stream of its own, so that what is drawn at an iteration depends on the
seed, the fold and the iteration's number alone.
"""

from bisect import bisect_right
from dataclasses import dataclass
from typing import Final, NoReturn

import numpy as np
from numpy.typing import NDArray

from qm7cli.core.errors import QM7Error
from qm7cli.core.seeds import Purpose, stream
from qm7cli.model.network import Network
from qm7cli.model.variants import Array
from qm7cli.runs.settings import Training

BLOCK: Final = 1250  # samples drawn at once: 50 minibatches of 25, on QM7 10 MB of features
MAX_RMSE: Final = 1000.0  # of a minibatch, in standard deviations of the targets


class DivergenceError(QM7Error):
    """The RMSE of a minibatch is NaN or above `MAX_RMSE`, or a parameter is too large to go on with."""

    def __init__(self, sentence: str, iteration: int, rate: float) -> None:
        super().__init__(sentence)
        self.iteration, self.rate = iteration, rate


@dataclass(frozen=True)
class Descent:
    """Stochastic gradient descent, as settings say.

    Attributes
    ----------
    settings : Training
        Size of a minibatch, schedule and averaging.
    name : str
        What is trained, for errors, as ``fold 0``.
    seed, fold : int
        Name the streams of the minibatches.
    samples : int
        How many there are to draw from.
    """

    settings: Training
    name: str
    seed: int
    fold: int
    samples: int

    def place(self, iteration: int) -> tuple[int, slice]:
        """Return the block that an iteration, counted from 1, is in, and its minibatch's place there."""
        b = self.settings.batch_size
        block, place = divmod(iteration - 1, max(1, BLOCK // b))
        return block, slice(place * b, (place + 1) * b)

    def draw(self, block: int) -> NDArray[np.intp]:
        """Draw the samples of the minibatches of a block, with replacement, (minibatches times b,)."""
        b = self.settings.batch_size
        rng = stream(self.seed, self.fold, Purpose.MINIBATCHES, block)
        return rng.integers(0, self.samples, max(1, BLOCK // b) * b)

    def step(self, network: Network, X: Array, targets: Array, iteration: int) -> None:
        """Train on the minibatch of an iteration, X (b, m) and targets (b,); raises DivergenceError."""
        a = 1 / (1 + self.settings.averaging * iteration)
        errors = network.step(X, targets, self.rate(iteration), a)
        self.check((np.dot(errors, errors) / len(errors)) ** 0.5, iteration)

    def rate(self, iteration: int) -> float:
        """Return the learning rate of an iteration, counted from 1."""
        schedule = self.settings.schedule
        return schedule[bisect_right(schedule, iteration, key=lambda step: step[0]) - 1][1]

    def check(self, rmse: float, iteration: int) -> None:
        """Raise DivergenceError if an RMSE, in standard deviations, is NaN or above `MAX_RMSE`."""
        if not rmse < MAX_RMSE:  # true for nan
            self.diverge(iteration)

    def diverge(self, iteration: int) -> NoReturn:
        """Raise DivergenceError."""
        rate = self.rate(iteration)
        raise DivergenceError(f"{self.name} diverged at iteration {iteration} (rate {rate:g})", iteration, rate)
