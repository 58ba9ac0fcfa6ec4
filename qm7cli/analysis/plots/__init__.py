"""Pictures of a comparison: ``save(KINDS["curves"].draw(comparison, Options()), Path("curves.pdf"))``."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

from qm7cli.analysis.compare import Comparison
from qm7cli.analysis.figure_style import Options
from qm7cli.analysis.plots.curves import curves, differences
from qm7cli.analysis.plots.folds import folds
from qm7cli.analysis.plots.parity import parity
from qm7cli.analysis.plots.setting import setting

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Kind(NamedTuple):
    """A kind of picture: what draws it, what it shows, and what to look for in it."""

    draw: Callable[[Comparison, Options], "Figure"]
    shows: str
    look_for: str


KINDS: Final[dict[str, Kind]] = {
    "curves": Kind(
        curves,
        "Test MAE against training iterations",
        "Look for a line that ends below the others, outside of their bands.",
    ),
    "differences": Kind(
        differences,
        "Test MAE minus the reference's against training iterations",
        "Look for a band that ends above or below zero: that is more than chance alone.",
    ),
    "folds": Kind(
        folds,
        "Test MAE of each fold, and the mean",
        "Look whether the thin lines go the same way in every fold: the folds themselves differ more.",
    ),
    "setting": Kind(
        setting,
        "Test MAE against a setting",
        "Look for the lowest point of each line, and for crosses, where training diverged.",
    ),
    "parity": Kind(
        parity,
        "Predicted against true energies, and the errors",
        "Look for dots away from the line, and for errors that all have one sign at one end.",
    ),
}
