"""The features in fewer coordinates: the same training with a third fewer columns (on QM7 1,391 for 2,091).

An entry of the diagonal, ``0.5 Z^2.4``, takes one value an element. Its features, up to 389 columns, are therefore one
of a few rows of a table (values, columns), and an orthonormal basis q of what these span, a handful of columns, says
all: ``x = (x q) q^T``.

Why the training stays the same: complete q to an orthogonal matrix (q, u), and turn the features by it. They become
(x q, 0), and a linear layer does not notice: with W and A turned likewise, ``(X - A) W`` is the same, and each update,
``dW = (X - A)^T dZ`` and every rule for A and B, is the old one turned. So the layer trains on the coordinates x q. The
columns of u are always 0, so their rows of W never change, and training leaves them out, unless A moves there, as in
`corrected`. Of u as many columns are kept then as the first W has; in the others its rows are 0 and stay so.
"""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import block_diag, qr

from qm7cli.data.dataset import Dataset
from qm7cli.model.encoder import Encoder
from qm7cli.model.network import Layer
from qm7cli.model.variants import Array, Rule

RANK: Final = 1e-6  # of the largest singular value; less is the rounding of float32


@dataclass(frozen=True)
class ReducedFeatures:
    """Coordinates of an encoder's m features: those off the diagonal as they are, then d of the diagonal in r."""

    encoder: Encoder  # for the entries off the diagonal alone
    diagonal: NDArray[np.bool_]  # which entries are on the diagonal, (n(n+1)/2,)
    turned: NDArray[np.bool_]  # which features are of these, (m,)
    values: NDArray[np.float32]  # what a diagonal may hold, (v,)
    table: NDArray[np.float32]  # coordinates of the features of each value, at each place of the diagonal, (v, r)
    places: NDArray[np.intp]  # place of the diagonal that each coordinate is for, (r,)
    q: NDArray[np.float32]  # orthonormal basis of the features of the diagonal, (d, r)
    u: NDArray[np.float64]  # the other directions, (d, d - r)

    @classmethod
    def of(cls, encoder: Encoder, dataset: Dataset) -> Self:
        """Find the coordinates for all molecules of a data set."""
        diagonal = np.equal(*np.triu_indices(dataset.X.shape[1]))
        turned = diagonal.repeat(encoder.counts)
        values = np.unique(dataset.X.diagonal(axis1=1, axis2=2))
        rows = encoder.encode(values[:, None].repeat(len(diagonal), axis=1))[:, turned].astype(np.float64)  # (v, d)
        tables, q, u = [], [], []
        for block in np.split(rows, encoder.counts[diagonal].cumsum()[:-1], axis=1):  # (v, columns of a place)
            narrow = len(block) < block.shape[1]  # else all directions are among the first, and v x v needs no memory
            _, sizes, directions = np.linalg.svd(block, full_matrices=narrow)
            rank = int((sizes > RANK * sizes[0]).sum())
            q.append(directions[:rank].T)
            u.append(directions[rank:].T)
            tables.append(block @ q[-1])
        return cls(
            encoder=encoder.of_entries(~diagonal),
            diagonal=diagonal,
            turned=turned,
            values=values,
            table=np.hstack(tables).astype(np.float32),
            places=np.repeat(np.arange(len(tables)), [table.shape[1] for table in tables]),
            q=block_diag(*q).astype(np.float32),
            u=block_diag(*u),
        )

    @property
    def width(self) -> int:
        """Number of coordinates, m - d + r."""
        return len(self.turned) - len(self.q) + len(self.places)

    def draw(self, dataset: Dataset, molecules: NDArray[np.intp], rng: np.random.Generator) -> NDArray[np.float32]:
        """Draw molecules of the data set as `qm7cli.model.encoder.Encoder.draw` does; (len(molecules), width)."""
        return self.encode(self.encoder.draw_triangles(dataset, molecules, rng))

    def encode(self, triangles: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the coordinates (b, width) float32 of upper triangles (b, n(n+1)/2) float32."""
        found = np.searchsorted(self.values, triangles[:, self.diagonal])  # (b, n)
        coordinates = self.table[found[:, self.places], np.arange(len(self.places))]  # (b, r)
        return np.hstack([self.encoder.encode(triangles[:, ~self.diagonal]), coordinates])

    def basis(self, W: Array) -> Array:
        """Return q and the directions of u in which the first W (m, n) is not 0, (d, r + min(d - r, n))."""
        u = self.u
        if u.shape[1] > W.shape[1]:
            u = u @ qr(u.T @ W[self.turned], mode="economic")[0]
        return np.hstack([self.q, u.astype(np.float32)])

    def reduce(self, layer: Layer, basis: Array) -> Layer:
        """Return a layer on m features as one on coordinates, with rows for those in which they are 0."""
        W, A = (np.concatenate([P[~self.turned], basis.T @ P[self.turned]]) for P in (layer.W, layer.A))
        return Layer(W, A, layer.B)

    def for_prediction(self, layer: Layer) -> Layer:
        """Return a layer on coordinates alone that gives what a layer on m features does."""
        reduced = self.reduce(layer, self.q)
        r = self.q.shape[1]
        resting = layer.A[self.turned] @ layer.W[self.turned] - reduced.A[-r:] @ reduced.W[-r:]
        return reduced._replace(B=layer.B - resting)

    def expand(self, layer: Layer, basis: Array) -> Layer:
        """Return the layer on m features that `reduce` has made a layer of, as far as the basis has it."""
        kept = np.count_nonzero(~self.turned)
        W, A = (np.empty((len(self.turned), *P.shape[1:]), dtype=P.dtype) for P in (layer.W, layer.A))
        for full, P in ((W, layer.W), (A, layer.A)):
            full[~self.turned], full[self.turned] = P[:kept], basis @ P[kept:]
        return Layer(W, A, layer.B)


def moves_unused(rule: Rule) -> bool:
    """Say whether a rule moves A where inputs are always 0: whether its dA is as long as W, or as the inputs alone."""
    inputs, W = np.zeros((1, 1)), np.zeros((2, 1))
    return len(rule(inputs, inputs, inputs, W)[0]) == len(W)
