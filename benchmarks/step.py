"""Milliseconds per training iteration on one core: published algorithm, engine, PyTorch, and the bound.

    QM7_DATA=/path/to/qm7.mat python benchmarks/step.py

All contestants take turns in one run, so that the ratios hold on a machine whose speed drifts; the median over the
turns is printed. Each trains on fold 0 of the published split, 25 molecules a minibatch, and does everything that an
iteration needs: drawing, encoding, forward, backward, update and average.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from data import load_qm7
from qm7cli.core.seeds import Purpose, stream
from qm7cli.data import dataset, splits
from qm7cli.data.splits import Split
from qm7cli.model.variants import RULES
from qm7cli.runs.experiment import Experiment, resolve
from qm7cli.training.fold_training import FoldTraining
from qm7cli.training.train_run import train_run

ITERATIONS = 200  # of each contestant in a turn
TURNS = 9
RATE = 0.01
AVERAGE = 0.001
BATCH = 25
PAPER = 3.51  # kcal/mol, of five folds
PUBLISHED_ITERATIONS = 135_000  # after which the published code, as it stands, is below it on fold 0

try:
    import torch
except ImportError:
    torch = None


class Published:
    """The published algorithm in plain numpy: a loop over the entries, and a temporary for every expression."""

    def __init__(self, data: dataset.Dataset, start: FoldTraining) -> None:
        self.X, self.T, self.start = data.X, start.targets, start
        encoder = start.encoder
        self.noise, self.step, self.mean, self.scale = (
            encoder.noise,
            encoder.step,
            encoder.mean,
            encoder.scale,
        )
        self.largest = (encoder.counts - 1.5) * encoder.step  # any number that gives these thresholds
        self.triangle = np.triu(np.ones(data.X.shape[1:], dtype=bool))
        self.rng = stream(0, 0, Purpose.MINIBATCHES)
        layers = start.model().layers  # on all features
        self.layers = [[P.copy() for P in layer] for layer in layers]
        self.average = [[P.copy() for P in layer] for layer in layers]

    def minibatch(self) -> tuple[Any, Any]:
        """Draw molecules one by one, expand them column by column and threshold by threshold."""
        molecules = self.rng.choice(self.start.fold.train, BATCH)
        drawn = []
        for C in self.X[molecules]:
            norms = (C**2).sum(axis=0) ** 0.5
            order = np.argsort(-(norms + self.rng.normal(0, self.noise, norms.shape)))
            drawn.append(C[order][:, order][self.triangle])
        X = np.array(drawn)
        columns = []
        for entry in range(X.shape[1]):
            for threshold in np.arange(0, self.largest[entry] + self.step, self.step):
                columns += [np.tanh((X[:, entry] - threshold) / self.step)]
        features = (np.array(columns).T - self.mean) / self.scale
        return features.astype(np.float32), self.T[molecules]

    def iterate(self) -> None:
        """Do one iteration of variant `original`."""
        X, targets = self.minibatch()
        inputs, outputs = [], []
        for W, A, B in self.layers:
            inputs.append(X)
            Z = np.dot(X - A, W) + B
            outputs.append(1.5 * np.tanh(Z / 1.5))
            X = outputs[-1]
        signal = (Z[:, 0] - targets)[:, None]
        for k in (2, 1, 0):
            (W, A, B), X = self.layers[k], inputs[k]
            m, n = W.shape
            dW = np.dot((X - A).T, signal)
            dA = -(X - A).sum(axis=0)
            dB = signal.sum(axis=0) + np.dot(dA, W)
            below = m**0.5 * np.dot(signal, W.T) / n**0.5
            if k:
                signal = below * (1 - (outputs[k - 1] / 1.5) ** 2)
            rate = np.float32(RATE / m**0.5)
            self.layers[k] = [W - rate * dW, A - rate * dA, B - rate * dB]
        a = np.float32(AVERAGE)
        self.average = [
            [a * P + (1 - a) * mean for P, mean in zip(*both, strict=True)]
            for both in zip(self.layers, self.average, strict=True)
        ]


class PyTorch:
    """The same step in PyTorch eager, variant `no-prebias`, the least it can do: autograd, SGD, `lerp_` average."""

    def __init__(self, data: dataset.Dataset, start: FoldTraining) -> None:
        torch.set_num_threads(1)
        self.X, self.norms = torch.from_numpy(data.X), torch.from_numpy(data.norms)
        self.T = torch.from_numpy(start.targets)
        self.train = torch.from_numpy(start.fold.train)
        n = data.X.shape[1]
        self.rows, self.columns = torch.triu_indices(n, n)
        encoder = start.encoder
        self.counts = torch.from_numpy(encoder.counts)
        self.thresholds = torch.cat([torch.arange(count) for count in self.counts]).float()
        self.mean, self.scale = torch.from_numpy(encoder.mean), 1 / encoder.scale
        self.W = [torch.from_numpy(layer.W.copy()).requires_grad_() for layer in start.model().layers]
        self.B = [torch.zeros(W.shape[1], requires_grad=True) for W in self.W]
        self.parameters = [*self.W, *self.B]
        self.average = [P.detach().clone() for P in self.parameters]
        groups = [
            {"params": list(both), "lr": RATE / both[0].shape[0] ** 0.5} for both in zip(self.W, self.B, strict=True)
        ]
        self.optimizer = torch.optim.SGD(groups)

    def iterate(self) -> None:
        """Do one iteration."""
        with torch.no_grad():
            molecules = self.train[torch.randint(len(self.train), (BATCH,))]
            keys = self.norms[molecules]
            order = (keys + torch.randn_like(keys)).argsort(dim=1, descending=True)
            drawn = self.X[molecules[:, None], order[:, self.rows], order[:, self.columns]]
            X = drawn.repeat_interleave(self.counts, dim=1).sub_(self.thresholds).tanh_()
            X = X.sub_(self.mean).mul_(self.scale)
        for W, B in zip(self.W[:-1], self.B[:-1], strict=True):
            X = 1.5 * torch.tanh(torch.addmm(B, X, W) / 1.5)
        output = torch.addmm(self.B[-1], X, self.W[-1])[:, 0]
        loss = 0.5 * (output - self.T[molecules]).square().sum()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        with torch.no_grad():
            for P, mean in zip(self.parameters, self.average, strict=True):
                mean.lerp_(P, AVERAGE)


def products(features: int, hidden: int) -> Callable[[], float]:
    """Return what times a large product and gives the milliseconds of two products of one minibatch at its rate."""
    rng = np.random.default_rng(0)
    size = 2048
    X, Y = rng.standard_normal((2, size, size), dtype=np.float32)
    out = np.empty_like(X)

    def bound() -> float:
        start = time.perf_counter()
        np.matmul(X, Y, out=out)
        return 1e3 * (time.perf_counter() - start) * 2 * BATCH * features * hidden / size**3

    return bound


def timed(contestant: Any) -> Callable[[], float]:
    """Return what runs a turn and gives its milliseconds per iteration."""

    def turn() -> float:
        start = time.perf_counter()
        for _ in range(ITERATIONS):
            contestant.iterate()
        return 1e3 * (time.perf_counter() - start) / ITERATIONS

    return turn


def minutes_to_paper(data: dataset.Dataset, published: float) -> None:
    """Print the time to the paper's error on fold 0: of the published algorithm, at so many ms, and of fast.yaml."""
    experiment = resolve(Path("fast"), [], {"split.folds": [0]})
    with tempfile.TemporaryDirectory() as directory:
        start = time.perf_counter()
        results = train_run(experiment, data, Path(directory) / "run")
        seconds = time.perf_counter() - start
    if results is None or not results[0].mae or results[0].mae > PAPER:
        raise SystemExit(f"fast.yaml does not reach the paper's error: {results and results[0].mae}")
    theirs = published / 1e3 * PUBLISHED_ITERATIONS
    print(
        f"\nfold 0, to the paper's {PAPER} kcal/mol: published algorithm {theirs / 60:.1f} minutes "
        f"({PUBLISHED_ITERATIONS:,} iterations), fast.yaml {seconds:.0f} s (MAE {results[0].mae:.2f}): "
        f"{theirs / seconds:.0f} times faster"
    )


def main() -> None:
    """Time all contestants and print their figures."""
    data = load_qm7()
    fold = splits.select_folds(data, Split(folds=[0]))[0]
    trainings = {v: FoldTraining(Experiment(variant=v), data, fold) for v in RULES}
    start = trainings["original"]
    m, n = start.features.width, start.experiment.network.hidden[0]
    contestants = {f"engine, {variant}": timed(training) for variant, training in trainings.items()}
    contestants["published algorithm, numpy"] = timed(Published(data, start))
    if torch is not None:
        contestants[f"PyTorch {torch.__version__}, eager"] = timed(PyTorch(data, start))
    bound = f"bound: two 25 x {m} x {n} products"
    contestants[bound] = products(m, n)
    for turn in contestants.values():
        turn()
    turns = [{name: turn() for name, turn in contestants.items()} for _ in range(TURNS)]
    print(f"{'':40}{'ms':>7}   {'ratio to the engine (original, corrected, no-prebias)'}")
    for name in contestants:
        ratios = [statistics.median(turn[name] / turn[f"engine, {v}"] for turn in turns) for v in RULES]
        print(f"{name:40}{statistics.median(turn[name] for turn in turns):7.3f}", end="   ")
        print("  ".join(f"{ratio:6.2f}" for ratio in ratios))
    print("\nengine / bound:", end=" ")
    print(
        *(f"{v} {statistics.median(turn[f'engine, {v}'] / turn[bound] for turn in turns):.2f}" for v in RULES),
        sep=", ",
    )
    minutes_to_paper(data, statistics.median(turn["published algorithm, numpy"] for turn in turns))


if __name__ == "__main__":
    with threadpool_limits(1):
        main()
