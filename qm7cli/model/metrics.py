"""The errors by which a model is judged, one line each.

Results, tables and pictures take their names, units and order from here.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qm7cli.data.splits import Part
from qm7cli.model.conformal import Interval


class Metric(NamedTuple):
    """An error of a model on one part of the molecules."""

    key: str  # its name in results, as ``train_mae``
    part: Part  # the molecules: held out, or trained on
    measure: str  # the field of `Evaluation` that has it, as ``mae``
    name: str  # for people, as ``MAE``
    unit: str = "kcal/mol"

    @property
    def label(self) -> str:
        """The title of a column, as ``train MAE``."""
        return f"{self.part} {self.name}"

    @property
    def axis_label(self) -> str:
        """The label of an axis, as ``Train MAE (kcal/mol)``."""
        return f"{self.part.title()} {self.name} ({self.unit})"


METRICS: Final = {  # by key, in the order of results and tables
    metric.key: metric
    for metric in (
        Metric("mae", "test", "mae", "MAE"),
        Metric("rmse", "test", "rmse", "RMSE"),
        Metric("train_mae", "train", "mae", "MAE"),
        Metric("train_rmse", "train", "rmse", "RMSE"),
    )
}
TEST_METRICS: Final = tuple(key for key, metric in METRICS.items() if metric.part == "test")


def describe_units(*, with_mean: bool = False) -> str:
    """Say in what unit the metrics are, as ``MAE and RMSE in kcal/mol``, and of their mean what its ``+-`` is."""
    names = " and ".join(dict.fromkeys(metric.name for metric in METRICS.values()))
    return f"{names} in kcal/mol{', mean +- SD over folds' if with_mean else ''}"


class Evaluation(NamedTuple):
    """A model's predictions for the molecules of one part; errors are those of the mean over the draws, in kcal/mol."""

    molecules: NDArray[np.intp]
    predictions: NDArray[np.float64]  # (draws, molecules)
    targets: NDArray[np.float32]  # the true energies, (molecules,)

    @property
    def residuals(self) -> NDArray[np.float64]:
        """Predicted minus true energies, kcal/mol, (molecules,)."""
        residuals: NDArray[np.float64] = self.predictions.mean(axis=0) - self.targets
        return residuals

    @property
    def mae(self) -> float:
        """Mean absolute error."""
        return float(np.abs(self.residuals).mean())

    @property
    def rmse(self) -> float:
        """Root mean square error."""
        return float(np.sqrt(np.square(self.residuals).mean()))

    @property
    def spreads(self) -> NDArray[np.float64] | None:
        """Sample standard deviations over draws, kcal/mol, (molecules,); None for a single draw."""
        return self.predictions.std(axis=0, ddof=1) if len(self.predictions) > 1 else None

    @property
    def interval(self) -> Interval:
        """The interval calibrated on these molecules, if they were not trained on."""
        return Interval.of(self.residuals, self.spreads)

    def errors(self, part: Part) -> dict[str, float]:
        """Return the errors by their names in results, being those of `part`."""
        return {key: getattr(self, metric.measure) for key, metric in METRICS.items() if metric.part == part}
