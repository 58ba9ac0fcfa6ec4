"""What all pictures of a comparison share: what can be chosen, the groups that they show, panels and notes."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from qm7cli.analysis.compare import Comparison
from qm7cli.analysis.figure_style import INCH, WIDTH, Look, add_note, looks
from qm7cli.analysis.groups import NAMED, Group, Key, group_name, order
from qm7cli.core.errors import QM7Error
from qm7cli.runs.collect import RunFold

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NOTHING: Final = "there is nothing to draw: no fold is complete"
RATIO: Final = 10  # errors that differ by as much need a logarithmic axis
TOGETHER: Final = 4  # lines in one panel; more are spread over panels


class Options(NamedTuple):
    """What may be chosen of a picture: its width in mm, its title, and whether it says below what it shows.

    `log` is whether the axis of errors is logarithmic, None as suits the picture; `setting` the dotted key of that on
    the axis, None for the one numeric setting that differs; `reference` the group from which others differ.
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


class Line(NamedTuple):
    """What has a name and a look of its own in a picture: folds of one group, or of several along a setting."""

    name: str
    settings: Mapping[str, Any]
    folds: Sequence[RunFold]

    @property
    def method(self) -> str:
        """The rule or the baseline that the folds share; empty if they have several."""
        found = {fold.run.settings.get("baseline.model") or fold.run.settings["variant"] for fold in self.folds}
        return found.pop() if len(found) == 1 else ""


class Place(NamedTuple):
    """Where a line is drawn, what it is called there, and how it looks."""

    axes: "Axes"
    name: str
    look: Look


def drawable(comparison: Comparison, limit: float = math.inf) -> list[Group]:
    """Return the groups that have a complete fold; raises QM7Error if there are none, or more than a picture holds."""
    groups = [group for group in comparison.groups if group.folds]
    if not groups:
        raise QM7Error(NOTHING)
    if len(groups) > limit:
        raise QM7Error(f"there are {len(groups)} groups, more than this picture can hold ({limit}); choose fewer runs")
    return groups


def group_line(group: Group) -> Line:
    """Return a group as a line."""
    folds = list(group.ended.values())
    return Line(group.name, {key: group.settings[key] for key in group.settings if key in folds[0].run.settings}, folds)


def lay_out(figure: "Figure", lines: Sequence[Line], x: str, y: str) -> list[Place]:
    """Return where each line goes: all in one panel, or more than `TOGETHER` in several.

    There is a panel for each combination of the settings that are neither rule nor baseline, with the same axes, and as
    many beside each other as the figure has columns of a paper.
    """
    places = []
    for line in lines:
        others, rule = (
            {key: line.settings[key] for key in line.settings if (key in NAMED) is own} for own in (False, True)
        )
        places.append((group_name(others, [*others], short=True), group_name(rule, [*rule])))
    ranks = [[order(key, value) for key, value in line.settings.items() if key not in NAMED] for line in lines]
    titles = list(dict.fromkeys(panel for _, (panel, _) in sorted(zip(ranks, places, strict=True))))
    methods = [line.method for line in lines]
    if not TOGETHER < len(lines) == len(set(places)) > len(titles) > 1:
        axes = figure.subplots()
        axes.set(xlabel=x, ylabel=y)
        return [Place(axes, line.name, look) for line, look in zip(lines, looks(methods), strict=True)]
    columns = min(len(titles), max(1, round(figure.get_figwidth() * INCH / WIDTH)))
    rows = math.ceil(len(titles) / columns)
    figure.set_figheight(figure.get_figheight() + (rows - 1) * 1.45)
    grid = list(figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).flat)
    for unused in grid[len(titles) :]:
        unused.remove()
    panels = dict(zip(titles, grid, strict=False))
    for title, axes in panels.items():
        axes.set_title(title)
    for axes in grid[len(titles) - columns : len(titles)]:
        axes.set_xlabel(x)
        axes.tick_params(labelbottom=True)
    figure.supylabel(y, fontsize=8)
    own = [looks([each])[0] for each in methods]
    return [Place(panels[panel], name, look) for (panel, name), look in zip(places, own, strict=True)]


def explain(figure: "Figure", comparison: Comparison, options: Options, *notes: str, diverged: bool = True) -> None:
    """Say below a picture what it shows, and which folds diverged: these have no error to draw."""
    without = ", and is drawn without these"
    told = [
        f"{each.name} {each.divergence}{without if each.folds else ''}" for each in comparison.groups if each.diverged
    ]
    add_note(figure, "; ".join(filter(None, [*notes, *(told if diverged else ())])) if options.caption else "")


def deviation_note(comparison: Comparison, what: str) -> str:
    """Say what shows the standard deviation over folds, if a group has several."""
    several = any(len({key[0] for key in group.folds}) > 1 for group in comparison.groups)
    return f"{what}: one standard deviation over folds to each side" if several else ""


def mean_over_folds(errors: Mapping[Key, Any]) -> tuple[Any, Any]:
    """Return the mean and the population standard deviation over folds of errors: numbers, or arrays of one shape.

    A fold's error is its mean over seeds, and over whatever else differs.
    """
    by_fold: dict[int, list[Any]] = {}
    for key, value in errors.items():
        by_fold.setdefault(key[0], []).append(value)
    means = [np.mean(values, axis=0) for values in by_fold.values()]
    return np.mean(means, axis=0), np.std(means, axis=0)
