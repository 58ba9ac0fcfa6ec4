"""The state of one fold's training, and what an iteration does to it (Montavon et al., NIPS 2012, section 4).

An iteration depends on the seed, the fold and its own number alone. Minibatches are drawn in blocks; block k is drawn
from its own streams, so a training that stopped in the middle of it draws the same block again and goes on with the
same bits.
"""

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, NoReturn, Self

import numpy as np
from numpy.typing import NDArray

from qm7cli.core.errors import QM7Error
from qm7cli.core.files import About, load_about, load_arrays, save_arrays
from qm7cli.core.seeds import Purpose, stream
from qm7cli.core.validation import LARGEST
from qm7cli.data.dataset import Dataset
from qm7cli.data.splits import Fold
from qm7cli.model.encoder import Encoder
from qm7cli.model.metrics import Evaluation
from qm7cli.model.model import Model
from qm7cli.model.network import Layer, Network, as_layers, as_vector, draw_layers
from qm7cli.model.reduced import ReducedFeatures, moves_unused
from qm7cli.model.variants import RULES, Array
from qm7cli.runs.experiment import Experiment, identity
from qm7cli.runs.results import HistoryRow
from qm7cli.runs.settings import Training
from qm7cli.training.claim_fold import fit_target

BLOCK: Final = 1250  # samples drawn at once: 50 minibatches of 25, on QM7 1.4 MB of matrices
MAX_RMSE: Final = 1000.0  # of a minibatch, in standard deviations of the targets


class DivergenceError(QM7Error):
    """The RMSE of a minibatch is NaN or above `MAX_RMSE`, or a parameter is too large to go on with."""

    def __init__(self, sentence: str, iteration: int, rate: float) -> None:
        super().__init__(sentence)
        self.iteration, self.rate = iteration, rate


@dataclass(frozen=True)
class Descent:
    """Stochastic gradient descent on any samples, as settings say."""

    settings: Training
    name: str  # what is trained, for errors, as ``fold 0``
    seed: int  # this and the fold name the streams of the minibatches
    fold: int
    samples: int  # that minibatches are drawn from

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


class CheckpointAbout(About):
    """The plain values of a checkpoint: the configuration's identity, and the state of a `FoldTraining`."""

    kind: Literal["checkpoint"] = "checkpoint"
    identity: dict[str, Any]
    iteration: int
    seconds: float
    history: list[HistoryRow]
    s: float


def read_about(path: Path) -> CheckpointAbout:
    """Return the plain values of a checkpoint; raises QM7Error if there is none, or it is damaged."""
    return load_about(path, CheckpointAbout)


class FoldTraining:
    """The state of one fold's training: a network after `iteration` iterations, which took so many `seconds`.

    The network's inputs are the reduced `features`; `basis` (d, r or more) float32 has the directions of the features
    of the diagonal that it has rows for, `resting` (d, n) float32 what the first W has in all others, where it never
    changes. `targets` (molecules of the data set,) float32 are what the `target` leaves of the energies, `sizes` the
    features m, the hidden units of each layer and 1; `history` has a row for each interim evaluation.
    """

    def __init__(self, experiment: Experiment, dataset: Dataset, fold: Fold) -> None:
        self.experiment, self.dataset, self.fold = experiment, dataset, fold
        self.target = fit_target(experiment, dataset, fold)
        if self.target.std == 0:
            raise QM7Error(f"fold {fold.number}: all training energies are the same")
        self.targets = self.target.scaled(dataset.T, dataset.Z)
        encoding, network = experiment.encoding, experiment.network
        rng = self._stream(Purpose.ENCODER)
        self.encoder = Encoder.fit(dataset, fold.train, encoding.noise, encoding.step, rng, center=encoding.center)
        self.sizes = [len(self.encoder.mean), *network.hidden, 1]
        weights, biases = self._stream(Purpose.WEIGHTS), self._stream(Purpose.BIASES)
        layers = draw_layers(self.sizes, weights, network.bias_of_layers, biases)
        self.features = ReducedFeatures.of(self.encoder, dataset)
        diagonal = layers[0].W[self.features.turned]  # (d, n)
        if moves_unused(RULES[experiment.variant]):
            self.basis, self.resting = self.features.basis(layers[0].W), np.zeros_like(diagonal)
        else:
            self.basis = self.features.q
            self.resting = diagonal - self.basis @ (self.basis.T @ diagonal)
        P = as_vector(self._reduced(layers))
        self.network = self._network(P, P.copy(), 1.0)
        self.iteration, self.seconds = 0, 0.0
        self.history: list[HistoryRow] = []
        name, samples = f"fold {fold.number}", len(fold.train)
        self.descent = Descent(experiment.training, name, experiment.seed, fold.number, samples)
        self._block = -1

    @classmethod
    def resume(cls, experiment: Experiment, dataset: Dataset, fold: Fold, path: Path) -> Self:
        """Go on from a checkpoint; raises QM7Error if it is damaged or was written with other settings."""
        training = cls(experiment, dataset, fold)
        about, arrays = load_arrays(path, CheckpointAbout)
        if about.identity != training.identity():
            raise QM7Error(f"{path} was written with other settings; remove it to train this fold from the start")
        P, Q, basis = arrays["P"], arrays["Q"], arrays["basis"]
        if not np.array_equal(basis, training.basis):  # another machine may find another one
            P, Q = (training._in_own_basis(vector, basis) for vector in (P, Q))
        training.network = training._network(P, Q, about.s)
        training.iteration, training.seconds, training.history = about.iteration, about.seconds, about.history
        return training

    def save(self, path: Path) -> None:
        """Write a checkpoint; raises DivergenceError if a parameter is NaN or too large, though units saturate."""
        network = self.network
        if not np.abs([network.P, network.s * network.Q]).max() < LARGEST:  # true for nan
            self.descent.diverge(self.iteration)
        about = CheckpointAbout(
            identity=self.identity(),
            iteration=self.iteration,
            seconds=self.seconds,
            history=self.history,
            s=network.s,
        )
        save_arrays(path, about, {"P": network.P, "Q": network.Q, "basis": self.basis})

    def identity(self) -> dict[str, Any]:
        """Return what a checkpoint must agree in, as it reads back from JSON."""
        return {**identity(self.experiment), "sha256": self.dataset.sha256, "fold": self.fold.number}

    def iterate(self) -> None:
        """Do one iteration; raises DivergenceError if its minibatch's RMSE is NaN or above `MAX_RMSE`."""
        iteration = self.iteration + 1
        block, part = self.descent.place(iteration)
        if block != self._block:
            self._draw_block(block)
        X = self.features.encode(self._triangles[part])  # a minibatch alone: it stays in the processor's cache
        self.descent.step(self.network, X, self._block_targets[part], iteration)
        self.iteration = iteration

    def model(self) -> Model:
        """Return the averaged network as it is now, with its encoder."""
        return Model(
            variant=self.experiment.variant,
            seed=self.experiment.seed,
            fold=self.fold.number,
            iterations=self.iteration,
            draws=self.experiment.evaluation.draws,
            sha256=self.dataset.sha256,
            train=self.fold.train,
            test=self.fold.test,
            encoder=self.encoder,
            layers=self.layers(self.network.averaged()),
            units=self.experiment.network.units,
            target=self.target,
        )

    def evaluate(self, stopped: Callable[[], bool] = lambda: False) -> tuple[Evaluation, Evaluation]:
        """Evaluate the averaged network as it is now, on the test and on the training molecules.

        Raises StoppedError if `stopped`, which is asked often; DivergenceError if an RMSE is NaN or above `MAX_RMSE`.
        """
        model = self.model()
        test, train = (model.evaluate(self.dataset, part, model.draws, stopped) for part in ("test", "train"))
        self.descent.check(max(test.rmse, train.rmse) / self.target.std, self.iteration)
        return test, train

    def history_row(self, test: Evaluation, train: Evaluation) -> HistoryRow:
        """Return a row of the history."""
        return HistoryRow(self.iteration, round(self.seconds, 1), test.mae, test.rmse, train.mae, train.rmse)

    def layers(self, reduced: list[Layer]) -> list[Layer]:
        """Return layers of the network in training as layers on all m features."""
        first = self.features.expand(reduced[0], self.basis)
        first.W[self.features.turned] += self.resting
        return [first, *reduced[1:]]

    def _reduced(self, layers: list[Layer]) -> list[Layer]:
        return [self.features.reduce(layers[0], self.basis), *layers[1:]]

    def _in_own_basis(self, P: Array, basis: Array) -> Array:
        """Return parameters in `self.basis` that were in another one."""
        m, *others = self.sizes
        first, *upper = as_layers(P, [m - len(basis) + basis.shape[1], *others])
        return as_vector(self._reduced([self.features.expand(first, basis), *upper]))

    def _network(self, P: Array, Q: Array, s: float) -> Network:
        m, *others = self.sizes
        rows = m - len(self.basis) + self.basis.shape[1]
        rule, units = RULES[self.experiment.variant], self.experiment.network.units
        return Network([rows, *others], rule, P, Q, s, features=m, units=units)

    def _draw_block(self, block: int) -> None:
        molecules = self.fold.train[self.descent.draw(block)]
        rng = self._stream(Purpose.PERMUTATIONS, block)
        self._triangles = self.encoder.draw_triangles(self.dataset, molecules, rng)
        self._block_targets = self.targets[molecules]
        self._block = block

    def _stream(self, purpose: Purpose, *index: int) -> np.random.Generator:
        return stream(self.experiment.seed, self.fold.number, purpose, *index)
