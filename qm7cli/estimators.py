"""The network and its features as estimators of scikit-learn; see docs/python.md.

The network, its descent and the encoder are those that ``qm7 train`` uses. Settings out of their range raise
`qm7cli.core.validation.SettingsError`, which is a ValueError.
"""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from numbers import Integral
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from threadpoolctl import threadpool_limits

from qm7cli.core.errors import QM7Error
from qm7cli.core.seeds import Purpose, stream
from qm7cli.data.coulomb import Matrices, canonical_order, reorder_atoms
from qm7cli.data.molecules import Given, as_molecules
from qm7cli.model.activations import ActivationName, Units
from qm7cli.model.encoder import Encoder
from qm7cli.model.network import Layer, Network, draw_layers, feed_forward
from qm7cli.model.variants import RULES, Variant
from qm7cli.runs.experiment import Experiment
from qm7cli.runs.settings import Architecture, Encoding, Training
from qm7cli.training.fold_training import Descent, DivergenceError

try:
    from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, RegressorMixin, TransformerMixin
    from sklearn.utils import check_random_state
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError as error:
    raise ImportError(
        "PreBiasRegressor and RandomSortedCoulomb need scikit-learn 1.6 or newer: pip install '.[sklearn]'"
    ) from error


@dataclass(repr=False, eq=False)  # as scikit-learn has them
class PreBiasRegressor(RegressorMixin, BaseEstimator):  # type: ignore[misc] # scikit-learn ships no types
    """The pre-bias network of Montavon et al. (NIPS 2012) on any features.

    Features should be as StandardScaler gives them; targets are standardized here. Training is in float32 and draws
    minibatches with replacement, so a batch may be larger than the training set. The averaged network is the model.

    Parameters
    ----------
    hidden, activation, offset, bias
        As in `qm7cli.Architecture`.
    variant : str
        Update rule of the pre-bias (`qm7cli.model.variants`).
    iterations, batch_size, schedule, averaging
        As in `qm7cli.Training`; a layer of m inputs divides the learning rate by sqrt(m).
    random_state : int, RandomState or None
        Of the weights and the minibatches; an int, of 0 or more, gives the same network again.

    Attributes
    ----------
    layers_ : list of Layer
        Averaged parameters W (m, n), A (m,) and B (n,), float32.
    target_mean_, target_std_ : float
        Mean and population standard deviation of the training targets; the latter 1 where all are the same.
    """

    hidden: Sequence[int] = (400, 100)
    _: KW_ONLY
    variant: Variant = "original"
    iterations: int = 10_000
    batch_size: int = 25
    schedule: Sequence[tuple[int, float]] = ((1, 0.001), (501, 0.0025), (2_501, 0.005), (12_501, 0.01))
    averaging: float = 0.1
    activation: ActivationName = "tanh"
    offset: float = 0.0
    bias: float | Sequence[float] = 0.0
    random_state: int | np.random.RandomState | None = None

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Train on features X (samples, m) and targets y (samples,).

        Raises ValueError if a parameter is out of its range, or X and y are not finite numbers of these shapes, and
        DivergenceError if the training diverges: features are too large, or rates are too high.
        """
        settings = self._settings()
        samples, wanted = validate_data(self, X, y, dtype=np.float32, y_numeric=True)
        with np.errstate(over="ignore"):
            self.target_mean_, self.target_std_ = (float(f(wanted, dtype=np.float64)) for f in (np.mean, np.std))
        if not np.isfinite(self.target_std_):
            raise ValueError("the targets are too large for their standard deviation to be a number")
        self.target_std_ = self.target_std_ or 1.0
        targets = ((wanted - self.target_mean_) / self.target_std_).astype(np.float32)
        weights, biases = (stream(settings.seed, 0, purpose) for purpose in (Purpose.WEIGHTS, Purpose.BIASES))
        sizes = [self.n_features_in_, *settings.network.hidden, 1]
        layers = draw_layers(sizes, weights, settings.network.bias_of_layers, biases)
        network = Network.of(layers, RULES[settings.variant], settings.network.units)
        descent = Descent(settings.training, "PreBiasRegressor", settings.seed, fold=0, samples=len(samples))
        try:
            with threadpool_limits(1), np.errstate(all="ignore"):  # more threads would give other digits
                for iteration in range(1, settings.iterations + 1):
                    block, part = descent.place(iteration)
                    if part.start == 0:
                        chosen = descent.draw(block)
                    descent.step(network, samples[chosen[part]], targets[chosen[part]], iteration)
        except DivergenceError as error:
            remedy = "scale the features, as StandardScaler does, or lower the rates of the schedule"
            raise DivergenceError(f"{error}: {remedy}", error.iteration, error.rate) from error
        self.layers_ = network.averaged()
        return self

    def predict(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return the targets (samples,) that the network predicts of features X (samples, m)."""
        check_is_fitted(self)
        samples: NDArray[np.float32] = validate_data(self, X, dtype=np.float32, reset=False)
        # In float64, a sample's prediction does not depend on the others by more than rounding at the 16th digit.
        layers = [Layer(*(P.astype(np.float64) for P in layer)) for layer in self.layers_]
        outputs = feed_forward(layers, samples, Units(self.activation, float(self.offset)))
        return np.asarray(outputs * self.target_std_ + self.target_mean_, dtype=np.float64)

    def _settings(self) -> Experiment:
        given = self.get_params()
        training = {key: given[key] for key in ("iterations", "batch_size", "schedule", "averaging")}
        return Experiment(
            variant=self.variant,
            seed=draw_seed(self.random_state),
            network=Architecture(**{key: given[key] for key in Architecture.model_fields}),
            training=Training(**training),
        )


@dataclass(repr=False, eq=False)
class RandomSortedCoulomb(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Molecules to random-sorted Coulomb matrices in the tanh expansion (Montavon et al., NIPS 2012).

    `fit` and `transform` take ASE atoms or pairs (Z, R), nuclear charges (atoms,) and coordinates (atoms, 3) in bohr.
    Each is drawn once, with noise of its own: ``molecules * 8`` has eight draws of each. What is fitted is `encoder_`.

    Parameters
    ----------
    noise, step, center
        As in `qm7cli.Encoding`.
    atoms : int, optional
        Room for so many; default: as many as the largest molecule has that is fitted.
    random_state : int, RandomState or None
        Of the noise; with an int, a transform of the same molecules gives the same features again.
    """

    _: KW_ONLY
    noise: float = 1.0
    step: float = 1.0
    center: bool = True
    atoms: int | None = None
    random_state: int | np.random.RandomState | None = None

    def fit(self, molecules: Given, y: Any = None) -> Self:
        """Find thresholds and normalization; raises QM7Error if molecules are not some, or a parameter is wrong."""
        del y
        encoding = Encoding(noise=self.noise, step=self.step, center=self.center)
        matrices = self._matrices(molecules, self.atoms)
        rng = stream(draw_seed(self.random_state), 0, Purpose.ENCODER)
        everything = np.arange(len(matrices.X))
        self.encoder_ = Encoder.fit(matrices, everything, encoding.noise, encoding.step, rng, center=encoding.center)
        self.atoms_ = matrices.X.shape[1]
        return self

    def transform(self, molecules: Given) -> NDArray[np.float32]:
        """Draw each molecule and return its features, (molecules, m) float32; raises QM7Error if one is too large."""
        check_is_fitted(self)
        matrices = self._matrices(molecules, self.atoms_)
        rng = stream(draw_seed(self.random_state), 0, Purpose.PERMUTATIONS)
        return self.encoder_.draw(matrices, np.arange(len(matrices.X)), rng)

    @property
    def _n_features_out(self) -> int:
        return len(self.encoder_.mean)

    def _matrices(self, given: Given, n: int | None) -> Matrices:
        """Return the Coulomb matrices of molecules, with room for n atoms, as many as the largest has if it is None."""
        molecules = as_molecules(given)
        if not molecules:
            raise QM7Error("there are no molecules")
        largest = max(molecules, key=lambda molecule: len(molecule.Z))
        n = n or len(largest.Z)
        if len(largest.Z) > n:
            reason = f"{len(largest.Z)} atoms, more than the {n} that there is room for"
            raise QM7Error(f"{largest.name}: {reason}; RandomSortedCoulomb(atoms=...) makes more")
        X = np.stack([molecule.coulomb_matrix(n) for molecule in molecules])
        return Matrices.of(reorder_atoms(X, canonical_order(X)))


def draw_seed(random_state: int | np.random.RandomState | None) -> int:
    """Return a seed, an int itself; a RandomState is advanced, and None gives another one every time."""
    if isinstance(random_state, Integral):
        return int(random_state)
    return int(check_random_state(random_state).randint(2**31 - 1))
