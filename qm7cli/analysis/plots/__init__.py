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
    """A kind of picture: what draws it, what to look for in it, and the options that it takes besides the frame's."""

    draw: Callable[[Comparison, Options], "Figure"]
    look_for: str
    takes: frozenset[str] = frozenset()


KINDS: Final[dict[str, Kind]] = {
    "curves": Kind(curves, "Which line is lowest at the end, and by more than the bands are wide?", frozenset({"log"})),
    "differences": Kind(
        differences,
        "A band that leaves out zero at the end is a difference that the test sees there.",
        frozenset({"reference"}),
    ),
    "folds": Kind(folds, "Do the lines between groups all go the same way?", frozenset({"log"})),
    "learning": Kind(learning, "", frozenset({"log"})),
    "rates": Kind(rates, "", frozenset({"log", "setting"})),
    "errors": Kind(errors, "", frozenset({"log"})),
    "parity": Kind(parity, ""),
}
