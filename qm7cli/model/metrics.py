"""The errors by which a model is judged, one line each.

Results, tables and pictures take their names, units and order from here.
"""

from collections.abc import Iterable
from typing import Final, Literal, NamedTuple


class Metric(NamedTuple):
    """An error of a model on one part of the molecules."""

    key: str  # its name in results, as ``train_mae``
    part: Literal["test", "train"]  # the molecules: held out, or trained on
    measure: str  # the field of `qm7cli.model.model.Evaluation` that has it, as ``mae``
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


def describe_units(keys: Iterable[str] = tuple(METRICS)) -> str:
    """Say in what units some metrics are, as ``MAE and RMSE in kcal/mol``."""
    names: dict[str, dict[str, None]] = {}  # by unit
    for key in keys:
        names.setdefault(METRICS[key].unit, {})[METRICS[key].name] = None
    return "; ".join(f"{' and '.join(own)} in {unit}" for unit, own in names.items())
