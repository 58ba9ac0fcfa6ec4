"""The small network, and the minibatch, that the gradient variants are checked with (`qm7cli.model.gradcheck`)."""

from typing import Final

import numpy as np

from qm7cli.core.seeds import Purpose, stream
from qm7cli.data.dataset import Dataset
from qm7cli.model.encoder import NOISE, Encoder
from qm7cli.model.network import Layer, Network, as_layers, count_parameters, feed_forward, layer_inputs
from qm7cli.model.target import Target
from qm7cli.model.variants import RULES, Array, Variant

HIDDEN: Final = [12, 5]
COARSE_STEP: Final = 25.0  # of the tanh expansion, hartree: some hundred features, where training has thousands
MOLECULES: Final = 500  # that the features are fitted to
MINIBATCH: Final = 25
DIFFERENCE: Final = 1e-4  # in the finite differences, where parameters, features and outputs are about 1
ROUNDING: Final = 1e-9  # kcal/mol; a smaller change of the outputs counts as none


class Case:
    """A small network at a point P where no parameter is 0, and a minibatch."""

    def __init__(self, dataset: Dataset, seed: int) -> None:
        rng = stream(seed, 0, Purpose.MINIBATCHES)
        molecules = rng.permutation(len(dataset))[:MOLECULES]
        encoder = Encoder.fit(dataset, molecules, NOISE, COARSE_STEP, stream(seed, 0, Purpose.ENCODER))
        minibatch = rng.choice(molecules, MINIBATCH)
        features = encoder.draw(dataset, minibatch, stream(seed, 0, Purpose.PERMUTATIONS))
        self.X = features.astype(np.float64)
        target = Target.fit("mean", dataset.Z[molecules], dataset.T[molecules])
        self.unit = target.std  # kcal/mol
        self.targets = target.left(dataset.T[minibatch], dataset.Z[minibatch]) / self.unit
        self.sizes = [len(encoder.mean), *HIDDEN, 1]
        self.P = stream(seed, 0, Purpose.WEIGHTS).standard_normal(count_parameters(self.sizes))
        for layer in self.layers(self.P):
            layer.W[:] /= len(layer.A) ** 0.5
            layer.A[:] *= 0.3
            layer.B[:] *= 0.3

    def layers(self, P: Array) -> list[Layer]:
        """Return views of parameters, layer by layer."""
        return as_layers(P, self.sizes)

    def outputs(self, P: Array) -> Array:
        """Return the outputs (b,) of the network with the parameters P, in standard deviations of the energies."""
        return feed_forward(self.layers(P), self.X)

    def change(self, P: Array) -> float:
        """Return the largest difference between the outputs of P and of the point itself, kcal/mol."""
        return float(abs(self.outputs(P) - self.outputs(self.P)).max()) * self.unit

    def stepped(self, variant: Variant, rate: float, *, rescaled: bool = True, right: bool = False) -> Array:
        """Return the parameters after a step; if `right`, as though all outputs were the targets."""
        network = Network(self.sizes, RULES[variant], self.P.copy(), self.P.copy(), 1.0)
        for layer in network.layers:
            layer.backward_scale = layer.backward_scale if rescaled else 1.0
        network.step(self.X, self.outputs(self.P) if right else self.targets, rate, 0.5)
        return network.P

    def direction(self, variant: Variant, *, rescaled: bool = True, right: bool = False) -> list[Layer]:
        """Return (dW, dA, dB) of each layer."""
        taken = self.layers(self.P - self.stepped(variant, 1.0, rescaled=rescaled, right=right))
        return [Layer(*(len(layer.A) ** 0.5 * d for d in layer)) for layer in taken]  # a rate is 1/sqrt(m) there

    def gradient(self) -> list[Layer]:
        """Return the loss gradient (dW, dA, dB) of each layer by central differences."""
        h = DIFFERENCE

        def loss(k: int, change: float) -> float:
            P = self.P.copy()
            P[k] += change
            return float(np.square(self.outputs(P) - self.targets).sum()) / 2

        return self.layers(np.array([(loss(k, h) - loss(k, -h)) / (2 * h) for k in range(len(self.P))]))

    def inputs(self) -> list[Array]:
        """Return the inputs (b, m) of each layer."""
        return list(layer_inputs(self.layers(self.P), self.X))[:-1]

    def to_mean(self) -> Array:
        """Return the mean input minus A, all layers in one vector."""
        pairs = zip(self.inputs(), self.layers(self.P), strict=True)
        return np.concatenate([X.mean(axis=0) - layer.A for X, layer in pairs])
