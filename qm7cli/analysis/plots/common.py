"""What all pictures of a comparison share: what can be chosen, the groups that they show, panels and notes."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from qm7cli.analysis.compare import Comparison
from qm7cli.analysis.figure_style import INCH, WIDTH, add_note
from qm7cli.analysis.groups import NAMED, Group, Key, group_name
from qm7cli.core.errors import QM7Error
from qm7cli.runs.collect import RunFold

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NOTHING: Final = "there is nothing to draw: no fold is complete"
RATIO: Final = 10  # errors that differ by as much need a logarithmic axis
TOGETHER: Final = 4  # lines in one panel; more are spread over panels
PANELS: Final = 9


class Options(NamedTuple):
    """What may be chosen of a picture.

    Attributes
    ----------
    width : float
        Of the picture, mm.
    title : str
        Above it; may be empty.
    caption : bool
        Whether it says below what it shows, and what diverged.
    log : bool, optional
        Whether the axis of errors is logarithmic; default None, as suits the picture.
    setting : str, optional
        The dotted key of the setting along the axis; default None, the one numeric setting that differs.
    reference : str, optional
        The group from which others differ, as `qm7cli.analysis.groups.find_reference` takes it.
    """

    width: float = WIDTH
    title: str = ""
    caption: bool = True
    log: bool | None = None
    setting: str | None = None
    reference: str | None = None

    @property
    def frame(self) -> dict[str, Any]:
        """What `qm7cli.analysis.figure_style.drawing` takes of it."""
        return {"width": self.width, "title": self.title}

    def scale(self, errors: Iterable[float]) -> str:
        """Return ``log`` or ``linear``, for an axis of such errors, kcal/mol."""
        known = list(errors)
        return "log" if (max(known) >= RATIO * min(known) > 0 if self.log is None else self.log) else "linear"


USUAL: Final = Options()


def drawable(comparison: Comparison, limit: int) -> list[Group]:
    """Return the groups that have a complete fold; raises QM7Error if there are none, or more than a picture holds."""
    groups = [group for group in comparison.groups if group.folds]
    if not groups:
        raise QM7Error(NOTHING)
    refuse_too_many(len(groups), limit, "groups")
    return groups


def refuse_too_many(number: int, limit: int, what: str) -> None:
    """Raise QM7Error if there are more groups or panels than a picture can hold."""
    if number > limit:
        raise QM7Error(f"there are {number} {what}, more than this picture can hold ({limit}); choose fewer runs")


def method(folds: Iterable[RunFold]) -> str:
    """Return the rule or the baseline that folds share; empty if they have several."""
    found = {fold.run.settings.get("baseline.model") or fold.run.settings["variant"] for fold in folds}
    return found.pop() if len(found) == 1 else ""


def arrange(settings: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]] | None:
    """Return the panel and the name of each line by its settings; None where they share one panel.

    More than `TOGETHER` have a panel for each combination of what is neither rule nor baseline.
    """
    names = []
    for own in settings:
        others, rule = ({key: own[key] for key in own if (key in NAMED) is named} for named in (False, True))
        names.append((group_name(others, [*others], short=True), group_name(rule, [*rule])))
    panels = {panel for panel, _ in names}
    spread = len(settings) > TOGETHER and 1 < len(panels) < len(settings) == len(set(names))
    return names if spread else None


def make_panels(figure: "Figure", titles: Sequence[str], *, x: str, y: str) -> list["Axes"]:
    """Return axes with shared scales, in as many columns as have the width of a paper's, and label the outer ones."""
    refuse_too_many(len(titles), PANELS, "panels")
    columns = max(1, min(len(titles), round(figure.get_figwidth() * INCH / WIDTH)))
    rows = math.ceil(len(titles) / columns)
    figure.set_figheight(figure.get_figheight() + (rows - 1) * 1.45)
    panels = list(figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).flat)
    for unused in panels[len(titles) :]:
        unused.remove()
    panels = panels[: len(titles)]
    for axes, title in zip(panels, titles, strict=True):
        axes.set_title(title)
    for axes in panels[-columns:]:
        axes.set_xlabel(x)
        axes.tick_params(labelbottom=True)
    if rows == 1:
        panels[0].set_ylabel(y)
    else:
        figure.supylabel(y, fontsize=8)
    return panels


def explain(figure: "Figure", comparison: Comparison, options: Options, *notes: str) -> None:
    """Say below a picture what it shows, and which folds diverged: these have no error to draw."""
    without = ", and is drawn without these"
    diverged = [
        f"{group.name} {group.divergence}{without if group.folds else ''}"
        for group in comparison.groups
        if group.diverged
    ]
    add_note(figure, "; ".join(filter(None, [*notes, *diverged])) if options.caption else "")


def mean_over_folds(errors: Mapping[Key, Any]) -> tuple[Any, Any]:
    """Return the mean and the population standard deviation over folds of errors: numbers, or arrays of one shape.

    A fold's error is its mean over seeds, and over whatever else differs.
    """
    by_fold: dict[int, list[Any]] = {}
    for key, value in errors.items():
        by_fold.setdefault(key[0], []).append(value)
    means = [np.mean(values, axis=0) for values in by_fold.values()]
    return np.mean(means, axis=0), np.std(means, axis=0)


def own_settings(fold: RunFold, keys: Iterable[str]) -> dict[str, Any]:
    """Return those of some settings that a fold's run has."""
    return {key: fold.run.settings[key] for key in keys if key in fold.run.settings}


def any_fold(group: Group) -> RunFold:
    """Return a fold of a group."""
    return next(iter((group.folds | group.diverged).values()))
