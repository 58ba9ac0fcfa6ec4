"""What all pictures of a comparison share: the choices of who asks for one, and the groups that it shows."""

import itertools
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from qm7cli.analysis.compare import Comparison
from qm7cli.analysis.figure_style import CONTROL_STYLES, GROUP_STYLES, WIDTH, add_note
from qm7cli.analysis.groups import Group, Key
from qm7cli.core.errors import QM7Error
from qm7cli.model.variants import CONTROLS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Style = dict[str, Any]  # colour, line style and marker, as matplotlib takes them
NOTHING: Final = "there is nothing to draw: no fold is complete"
BAND: Final = "thick: mean over folds; thin: one standard deviation over folds to each side"
RATIO: Final = 10  # errors that differ by as much need a logarithmic axis


class Options(NamedTuple):
    """What may be chosen of a picture.

    Attributes
    ----------
    width : float
        Of the picture, mm.
    title : str
        Above it; may be empty.
    log : bool, optional
        Whether the axis of errors is logarithmic; default None, as suits the picture.
    setting : str, optional
        The dotted key of the setting along the axis; default None, the one numeric setting that differs.
    reference : str, optional
        The group from which others differ, as `qm7cli.analysis.groups.find_reference` takes it.
    """

    width: float = WIDTH
    title: str = ""
    log: bool | None = None
    setting: str | None = None
    reference: str | None = None

    @property
    def frame(self) -> dict[str, Any]:
        """What `qm7cli.analysis.figure_style.drawing` takes of it."""
        return {"width": self.width, "title": self.title}

    def scale(self, errors: Iterable[float]) -> str:
        """Return ``log`` or ``linear``, for an axis of such errors."""
        known = list(errors)
        return "log" if (max(known) >= RATIO * min(known) > 0 if self.log is None else self.log) else "linear"


USUAL: Final = Options()


def styles(settings: Iterable[Mapping[str, Any]]) -> list[Style]:
    """Return the look of each group in turn, by its settings: a control is dashed and grey."""
    usual, controls = itertools.cycle(GROUP_STYLES), itertools.cycle(CONTROL_STYLES)
    return [next(controls if own.get("variant") in CONTROLS else usual) for own in settings]


def drawable(comparison: Comparison, limit: int) -> list[tuple[Group, Style]]:
    """Return the groups that have a complete fold, each with its look, which is the same in every picture.

    Raises QM7Error if there are none, or more than the picture can hold.
    """
    looks = styles(group.settings for group in comparison.groups)
    drawn = [(group, look) for group, look in zip(comparison.groups, looks, strict=True) if group.folds]
    if not drawn:
        raise QM7Error(NOTHING)
    refuse_too_many(len(drawn), limit)
    return drawn


def explain(figure: "Figure", comparison: Comparison, *notes: str) -> None:
    """Say below a picture what it shows, and which folds diverged: these have no error to draw."""
    without = ", and is drawn without these"
    diverged = [
        f"{group.name} {group.divergence}{without if group.folds else ''}"
        for group in comparison.groups
        if group.diverged
    ]
    add_note(figure, "; ".join(filter(None, [*notes, *diverged])))


def refuse_too_many(groups: int, limit: int) -> None:
    """Raise QM7Error if there are more groups than a picture can hold."""
    if groups > limit:
        raise QM7Error(f"there are {groups} groups, more than this picture can hold ({limit}); choose fewer runs")


def mean_over_folds(errors: Mapping[Key, Any]) -> tuple[Any, Any]:
    """Return the mean and the population standard deviation over folds of errors: numbers, or arrays of one shape.

    A fold's error is its mean over seeds, and over whatever else differs.
    """
    by_fold: dict[int, list[Any]] = {}
    for key, value in errors.items():
        by_fold.setdefault(key[0], []).append(value)
    means = [np.mean(values, axis=0) for values in by_fold.values()]
    return np.mean(means, axis=0), np.std(means, axis=0)
