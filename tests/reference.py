"""The algorithm of Montavon et al. (NIPS 2012), slow and obvious, one molecule and one number at a time.

Written from the equations and independent of the package: tests compare it with what the package does. Every function
takes its random numbers as arguments and computes in the floating-point type of its input.
"""

import math

import numpy as np


def coulomb_matrix(Z, R):
    """C_ii = 0.5 Z_i^2.4, C_ij = Z_i Z_j / |R_i - R_j|, in atomic units; zero where Z is."""
    n = len(Z)
    C = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            if i == j:
                C[i, i] = 0.5 * Z[i] ** 2.4
            elif Z[i] and Z[j]:
                C[i, j] = Z[i] * Z[j] / math.dist(R[i], R[j])
    return C


def random_sorted(C, noise):
    """Order rows and columns by row norm plus noise, largest first, and read off the upper triangle."""
    n = len(C)
    keys = [math.sqrt(sum(float(c) ** 2 for c in C[i])) + float(noise[i]) for i in range(n)]
    order = sorted(range(n), key=lambda i: -keys[i])
    return np.array([C[order[i], order[j]] for i in range(n) for j in range(i, n)])


def largest_entries(draws):
    """Return the maximum of each entry over the draws (draws, molecules, entries)."""
    return np.array([max(draw[k, j] for draw in draws for k in range(draw.shape[0])) for j in range(draws[0].shape[1])])


def expand(triangles, largest, step):
    """tanh((x_j - threshold) / step) for the thresholds 0, step, 2 step, ... < max_j + step."""
    columns = []
    for j in range(triangles.shape[1]):
        threshold = 0.0
        while threshold < float(largest[j]) + step:
            columns.append([math.tanh((float(x) - threshold) / step) for x in triangles[:, j]])
            threshold += step
    return np.array(columns).T


class Normalisation:
    """Center every feature, if asked, and divide all by the standard deviation of the centered feature matrix."""

    def __init__(self, features, center=True):
        mean = features.mean(axis=0)
        self.mean = mean if center else 0 * mean
        self.std = math.sqrt(((features - mean) ** 2).mean())

    def __call__(self, features):
        return (features - self.mean) / self.std


class Linear:
    """Z = (X - A) W + B, with the published and the true rule for A and B, and a control."""

    def __init__(self, W, B, variant):
        self.W, self.A, self.B = W, np.zeros_like(W[:, 0]), B
        self.variant = variant

    def forward(self, X):
        self.X = X
        return (X - self.A) @ self.W + self.B

    def backward(self, dZ):
        m, n = self.W.shape
        self.dW = (self.X - self.A).T @ dZ
        if self.variant == "original":
            self.dA = -(self.X - self.A).sum(axis=0)
            self.dB = dZ.sum(axis=0) + self.dA @ self.W
        if self.variant == "corrected":
            self.dA = -(dZ.sum(axis=0) @ self.W.T)
            self.dB = dZ.sum(axis=0)
        if self.variant == "no-prebias":
            self.dA = np.zeros_like(self.A)
            self.dB = dZ.sum(axis=0)
        if self.variant == "uncompensated":
            self.dA = -(self.X - self.A).sum(axis=0)
            self.dB = dZ.sum(axis=0)
        return np.asarray(math.sqrt(m / n), dtype=dZ.dtype) * (dZ @ self.W.T)

    def update(self, rate):
        r = np.asarray(rate / math.sqrt(len(self.A)), dtype=self.W.dtype)
        self.W = self.W - r * self.dW
        self.A = self.A - r * self.dA
        self.B = self.B - r * self.dB


def activate(z, activation):
    """Return the activation of z, and its derivative by z."""
    if activation == "relu":
        return np.where(z > 0, z, 0), np.where(z > 0, 1, 0)
    if activation == "logistic":
        p = 1 / (1 + np.exp(-4 * z / 3))
        return 3 * p, 4 * p * (1 - p)
    t = np.tanh(z / 1.5)
    return 1.5 * t, 1 - t**2


class Network:
    """Linear layers, an activation + offset between them, and the average of all parameters."""

    def __init__(self, weights, variant, biases=None, offset=0.0, activation="tanh"):
        biases = biases or [np.zeros_like(W[0]) for W in weights]
        self.offset, self.activation = offset, activation
        self.layers = [Linear(W.copy(), B.copy(), variant) for W, B in zip(weights, biases, strict=True)]
        self.average = [(layer.W, layer.A, layer.B) for layer in self.layers]

    def step(self, X, targets, rate, iteration, history=0.1):
        """One iteration on features (b, m) and energies (b,) in standard deviations; iterations count from 1."""
        derivatives = []
        for layer in self.layers[:-1]:
            Z = layer.forward(X)
            Y, derivative = activate(Z, self.activation)
            derivatives.append(derivative.astype(Z.dtype))
            X = (Y + self.offset).astype(Z.dtype)
        output = self.layers[-1].forward(X)[:, 0]
        signal = (output - targets)[:, None]
        for k in reversed(range(len(self.layers))):
            signal = self.layers[k].backward(signal)
            if k:
                signal = signal * derivatives[k - 1]
        for layer in self.layers:
            layer.update(rate)
        a = (1 / history) / (1 / history + iteration)
        self.average = [
            tuple(
                (a * new + (1 - a) * old).astype(new.dtype)
                for new, old in zip((layer.W, layer.A, layer.B), average, strict=True)
            )
            for layer, average in zip(self.layers, self.average, strict=True)
        ]
        return output - targets


def composition_target(Z, T):
    """Return what least squares on the numbers of each element gives: coefficients by element, and what is left."""
    elements = sorted({int(z) for molecule in Z for z in molecule if z})
    counts = composition(Z, elements).astype(float)
    coefficients = np.linalg.pinv(counts) @ np.asarray(T, dtype=float)
    return dict(zip(elements, coefficients, strict=True)), np.asarray(T, dtype=float) - counts @ coefficients


def bags(molecules, exponent=1):
    """Return the bags of molecules (Z, R), one after the other, and how much each holds.

    A bag per element of 0.5 Z^2.4, then one per pair of elements of Z_i Z_j / r_ij^exponent, each in descending order,
    with zeros up to the largest number.
    """
    elements = sorted({int(z) for Z, _ in molecules for z in Z if z})
    kinds = [(0, z) for z in elements] + [(a, b) for a in elements for b in elements if a <= b]
    filled = []
    for Z, R in molecules:
        own = {kind: [] for kind in kinds}
        for i in range(len(Z)):
            if Z[i]:
                own[0, int(Z[i])].append(0.5 * float(Z[i]) ** 2.4)
            for j in range(i):
                if Z[i] and Z[j]:
                    a, b = sorted((int(Z[i]), int(Z[j])))
                    own[a, b].append(float(Z[i]) * float(Z[j]) / math.dist(R[i], R[j]) ** exponent)
        filled.append(own)
    sizes = {kind: max(len(own[kind]) for own in filled) for kind in kinds}
    rows = [
        [x for kind in kinds for x in sorted(own[kind], reverse=True) + [0.0] * (sizes[kind] - len(own[kind]))]
        for own in filled
    ]
    return np.array(rows), {kind: size for kind, size in sizes.items() if size}


def composition(Z, elements):
    """Count the atoms of each element."""
    return np.array([[sum(int(z) == element for z in molecule) for element in elements] for molecule in Z])
