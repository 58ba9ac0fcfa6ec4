"""Pictures of a comparison: ``save(KINDS["curves"].draw(comparison, Options()), Path("curves.pdf"))``."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

from qm7cli.analysis.compare import Comparison
from qm7cli.analysis.plots.against_setting import learning, rates
from qm7cli.analysis.plots.common import Options
from qm7cli.analysis.plots.folds import folds
from qm7cli.analysis.plots.predictions import errors, parity
from qm7cli.analysis.plots.training import curves, differences

__all__ = ["KINDS", "Kind", "Options"]

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Kind(NamedTuple):
    """A kind of picture: what draws it, what it shows, what to look for in it, and what it takes besides the frame."""

    draw: Callable[[Comparison, Options], "Figure"]
    shows: str
    look_for: str
    takes: frozenset[str] = frozenset()


KINDS: Final[dict[str, Kind]] = {
    "curves": Kind(
        curves,
        "Test MAE against training iterations",
        "Look for a line that ends lower than the others by more than the thin lines are apart.",
        frozenset({"log"}),
    ),
    "differences": Kind(
        differences,
        "Test MAE less the reference's against training iterations",
        "Look for a group whose two thin lines end on one side of the level: that is more than chance alone.",
        frozenset({"reference"}),
    ),
    "folds": Kind(
        folds,
        "Test MAE of each fold, and the mean",
        "Look whether the thin lines go the same way in every fold: the folds themselves differ more.",
        frozenset({"log"}),
    ),
    "learning": Kind(
        learning,
        "Test MAE against the number of training molecules",
        "Look at the slopes: the steeper line gains more from more molecules.",
        frozenset({"log"}),
    ),
    "rates": Kind(
        rates,
        "Test MAE against the setting that was swept",
        "Look for the lowest point of each line, and for the crosses, where training diverged.",
        frozenset({"log", "setting"}),
    ),
    "errors": Kind(
        errors,
        "How many test molecules err by how much",
        "Look at the ends: a few molecules with large errors raise the RMSE more than the MAE.",
        frozenset({"log"}),
    ),
    "parity": Kind(
        parity,
        "Predicted against true energies, and the errors",
        "Look for dots away from the line, and for errors that all have one sign at one end.",
    ),
}
