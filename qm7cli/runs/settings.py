"""The sections of a `qm7cli.runs.experiment.Experiment`: its settings with their ranges and defaults."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Any, Final, Self

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_core import InitErrorDetails

from qm7cli.core.validation import Real, Section, Whole, refusal
from qm7cli.data.soundness import Subtract
from qm7cli.model.activations import ActivationName, Units
from qm7cli.model.baseline_names import HYPERPARAMETERS, Kernel, Kind, RepresentationName

MOST_DRAWS: Final = 1_000_000
Deviation = Annotated[Real, Field(ge=0, le=1e3)]


class Encoding(Section):
    """The randomly sorted Coulomb matrix and its tanh expansion.

    Attributes
    ----------
    noise : float
        Standard deviation of the noise on the row norms, hartree, 0 to 1e6; 0 sorts without noise; default 1.
    step : float
        Distance of the thresholds of the expansion, hartree, 0.001 to 1000; default 1.
    center : bool
        Whether to subtract the mean of each feature; default true.
    """

    noise: Annotated[Real, Field(ge=0, le=1e6)] = 1.0
    step: Annotated[Real, Field(ge=1e-3, le=1e3)] = 1.0
    center: bool = True


class TargetSettings(Section):
    """What a model learns to predict (`qm7cli.model.target`).

    Attributes
    ----------
    subtract : str
        What is subtracted from the energies: their ``mean``, or a least-squares fit to the ``composition``, one
        energy per element; default ``mean``.
    """

    subtract: Subtract = "mean"


class Architecture(Section):
    """The network's layers.

    Attributes
    ----------
    hidden : list of int
        Sizes of the hidden layers, 1 to 100,000 each; default [400, 100].
    activation : str
        Activation of the hidden units: ``tanh``, 1.5 tanh(z / 1.5); ``relu``, max(z, 0); or ``logistic``,
        3 / (1 + exp(-4 z / 3)), which is ``tanh`` plus 1.5; default ``tanh``.
    offset : float
        Constant added to the activation of every hidden unit, -1000 to 1000; default 0.
    bias : float or list of float
        Standard deviation of the initial B of the hidden layers, one number or one per layer, 0 to 1000; default 0.
    """

    hidden: list[Annotated[Whole, Field(ge=1, le=100_000)]] = Field(default=[400, 100])
    activation: ActivationName = "tanh"
    offset: Annotated[Real, Field(ge=-1e3, le=1e3)] = 0.0
    bias: Deviation | list[Deviation] = 0.0

    @model_validator(mode="after")
    def _one_a_layer(self) -> Self:
        if isinstance(self.bias, list) and len(self.bias) != len(self.hidden):
            reason = refusal(f"{len(self.hidden)} hidden layers take one number, or {len(self.hidden)} of them")
            detail = InitErrorDetails(type=reason, loc=("bias",), input=self.bias)
            raise ValidationError.from_exception_data("Architecture", [detail])
        return self

    @property
    def units(self) -> Units:
        """The hidden units."""
        return Units(self.activation, self.offset)

    @property
    def bias_of_layers(self) -> list[float]:
        """Standard deviation of the initial B of each hidden layer."""
        return self.bias if isinstance(self.bias, list) else [self.bias] * len(self.hidden)


class Training(Section):
    """Stochastic gradient descent and the averaging of the parameters.

    Attributes
    ----------
    iterations : int
        Number of minibatches in all, 1 to 1e12; default 1,000,000.
    batch_size : int
        Molecules per minibatch, drawn with replacement, 1 to 100,000; default 25.
    schedule : list of (int, float)
        Pairs of an iteration (1 and up) and the learning rate from there on, above 0; default 0.001, from 501 on
        0.0025, from 2,501 on 0.005, from 12,501 on 0.01.
    averaging : float
        Fraction of the past iterations in the running average of the parameters, 1e-6 to 1; default 0.1.
    checkpoint_every : int
        Iterations between checkpoints, 1 or more; default 10,000.
    """

    iterations: Annotated[Whole, Field(ge=1, le=10**12)] = 1_000_000
    batch_size: Annotated[Whole, Field(ge=1, le=100_000)] = 25
    schedule: list[tuple[Whole, Annotated[Real, Field(gt=0)]]] = Field(
        default=[(1, 0.001), (501, 0.0025), (2_501, 0.005), (12_501, 0.01)]
    )
    averaging: Annotated[Real, Field(ge=1e-6, le=1)] = 0.1
    checkpoint_every: Annotated[Whole, Field(ge=1)] = 10_000

    @field_validator("schedule")
    @classmethod
    def _increasing(cls, schedule: list[tuple[int, float]]) -> list[tuple[int, float]]:
        starts = [start for start, _ in schedule]
        if starts[:1] != [1] or any(later <= start for start, later in pairwise(starts)):
            raise refusal("a schedule is a list of [iteration, rate] that starts at iteration 1 and goes up")
        return schedule


class Evaluation(Section):
    """How predictions are averaged, and when a network is evaluated in training.

    Attributes
    ----------
    draws : int
        Randomly sorted matrices per molecule; a prediction is their mean, 1 to 1,000,000; default 10.
    every : int, optional
        Iterations between evaluations, 1 or more; others are at 1, 2 and 5 times 1,000, 10,000, ...; null for none
        before the end; default 25,000.
    """

    draws: Annotated[Whole, Field(ge=1, le=MOST_DRAWS)] = 10
    every: Annotated[Whole, Field(ge=1)] | None = 25_000


class Baseline(Section):
    """A simpler model instead of the network (`qm7cli.training.baselines`).

    Settings that the model does not take are null. Of those that it takes, `neighbours`, `scale` and `ridge` are found
    by inner cross-validation if they are null.

    Attributes
    ----------
    model : str, optional
        Mean energy, nearest neighbors, ridge regression or kernel ridge regression; default null, the network.
    representation : str, optional
        Input of the model: four forms of the Coulomb matrix, or the ``composition``; default ``sorted``, but null
        for the mean.
    exponent : float, optional
        Exponent of the distance in ``bag-of-bonds``, Z_i Z_j / r^exponent, 0.1 to 12; default 1.
    kernel : str, optional
        Kernel of ``krr``; default ``gaussian``.
    draws : int, optional
        Matrices per training molecule for ``random``, 1 to 1,000,000; default 4.
    neighbours : int, optional
        Number of neighbors of ``knn``, 1 or more; default null.
    scale : float, optional
        Sigma of the kernel of ``krr``, hartree, 1e-6 to 1e9; default null.
    ridge : float, optional
        Ridge of ``krr``, or of ``linear`` in the squared unit of the representation, 0 to 1e9; default null.
    memory : float
        Memory that a fold may take, GB, above 0; default 8.
    """

    model: Kind | None = None
    representation: RepresentationName | None = None
    exponent: Annotated[Real, Field(ge=0.1, le=12)] | None = None
    kernel: Kernel | None = None
    draws: Annotated[Whole, Field(ge=1, le=MOST_DRAWS)] | None = None
    neighbours: Annotated[Whole, Field(ge=1)] | None = None
    scale: Annotated[Real, Field(ge=1e-6, le=1e9)] | None = None
    ridge: Annotated[Real, Field(ge=0, le=1e9)] | None = None
    memory: Annotated[Real, Field(gt=0)] = 8.0

    @model_validator(mode="before")
    @classmethod
    def _completed(cls, given: Any) -> Any:
        """Fill in the defaults of what the model takes."""
        if not isinstance(given, dict):
            return given
        takes = _takes(given.get("model"), given.get("representation"))
        return {**given, **{key: default for key, default in takes.items() if given.get(key) is None}}

    @model_validator(mode="after")
    def _takes_all(self) -> Self:
        """Refuse what the model does not take."""
        takes = _takes(self.model, self.representation)
        reason = refusal(f"{self.model or 'the network'} takes none{', only ' if takes else ''}{', '.join(takes)}")
        refused = [
            InitErrorDetails(type=reason, loc=(key,), input=value)
            for key, value in self.model_dump(exclude={"model", "memory"}, exclude_none=True).items()
            if key not in takes
        ]
        if refused:
            raise ValidationError.from_exception_data("Baseline", refused)
        return self

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy with other values; what another model does not take is left behind."""
        new = {**dict(self), **(update or {})}
        stays = {"model", "memory", *_takes(new["model"], new["representation"]), *(update or {})}
        return super().model_copy(update={key: new[key] if key in stays else None for key in new}, deep=deep)


def _takes(model: Any, representation: Any) -> dict[str, Any]:
    """Return what a baseline takes besides its memory, with the defaults; None is found."""
    takes: dict[str, Any] = dict.fromkeys(HYPERPARAMETERS.get(model if isinstance(model, str) else None, ()))
    if model in (None, "mean"):
        return takes
    takes["representation"] = "sorted"
    if model == "krr":
        takes["kernel"] = "gaussian"
    if representation == "random":
        takes["draws"] = 4
    if representation == "bag-of-bonds":
        takes["exponent"] = 1.0
    return takes
