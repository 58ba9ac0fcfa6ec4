"""A picture of errors at the end against a setting: an offset, a learning rate, the number of training molecules."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from qm7cli.analysis.compare import Comparison
from qm7cli.analysis.figure_style import Look, add_legend, drawing, looks, plain_ticks
from qm7cli.analysis.groups import Key, group_name
from qm7cli.analysis.plots.common import (
    NOTHING,
    RATIO,
    USUAL,
    Options,
    arrange,
    explain,
    make_panels,
    mean_over_folds,
    method,
    own_settings,
    refuse_too_many,
)
from qm7cli.core.errors import QM7Error
from qm7cli.core.validation import suggestion
from qm7cli.model.metrics import METRICS
from qm7cli.runs.collect import Run, RunFold, differing_settings
from qm7cli.runs.experiment import RESUMABLE_SETTINGS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SCHEDULE: Final = "training.schedule"
TRAIN_SIZE: Final = "split.train_size"
LABELS: Final = {  # of axes, for people
    SCHEDULE: "Last learning rate",
    TRAIN_SIZE: "Training molecules",
    "encoding.noise": "Noise on the row norms (hartree)",
    "encoding.step": "Distance of the thresholds (hartree)",
    "network.bias": "Standard deviation of the initial biases",
    "network.offset": "Constant added to each hidden unit",
    "training.batch_size": "Molecules per minibatch",
    "training.iterations": "Training iterations",
}
NO_MEASURE: Final = RESUMABLE_SETTINGS | {"seed", "split.seed"}  # along which errors are looked at only on demand
LIMIT: Final = 35  # lines
CROSS: Final = 5  # points, the height of a row of crosses


class NotSweptError(QM7Error):
    """The runs were not made for this picture: they do not differ in what would be its axis."""


class Line(NamedTuple):
    """Folds that agree in all settings but one, by the value of that one."""

    settings: dict[str, Any]
    complete: dict[float, dict[Key, RunFold]]
    diverged: dict[float, dict[Key, RunFold]]

    @property
    def method(self) -> str:
        """The rule or the baseline of the folds."""
        return method(fold for own in (self.complete | self.diverged).values() for fold in own.values())


def setting(comparison: Comparison, options: Options = USUAL) -> "Figure":
    """Draw the test MAE against a numeric setting, a line per group: mean and standard deviation over folds.

    A schedule counts by its last rate, and a training on all molecules by their number. More than four lines are spread
    over panels, where each has a rule or baseline. A cross above the frame is where folds diverged; the point of the
    folds that did not is hollow. A line along training molecules has its slope, both axes logarithmic, in the legend.
    Raises NotSweptError if there is no setting to draw against, and QM7Error if there are several and none is chosen.
    """
    key = _find_setting(comparison, options.setting)
    lines = _make_lines(comparison, key)
    means = [_mean(folds)[0] for line in lines for folds in line.complete.values()]
    if not means:
        raise QM7Error(NOTHING)
    refuse_too_many(len(lines), LIMIT, "groups")
    places = {place for line in lines for place in (*line.complete, *line.diverged)}
    wide = key == TRAIN_SIZE or max(places) >= RATIO * min(places) > 0
    scale = "log" if key == TRAIN_SIZE and options.log is None else options.scale(means)
    named = arrange([line.settings for line in lines])
    labels = named or [("", _name(line, lines)) for line in lines]
    styles = [looks([line.method])[0] for line in lines] if named else looks([line.method for line in lines])
    rows = list(dict.fromkeys(name for (_, name), line in zip(labels, lines, strict=True) if line.diverged))
    titles = list(dict.fromkeys(panel for panel, _ in labels))
    with drawing(2.2, **options.frame) as figure:
        panels = make_panels(figure, titles, x=LABELS.get(key, key), y=METRICS["mae"].axis_label)
        panels[0].set(xscale="log" if wide else "linear", yscale=scale)
        for (panel, name), line, look in zip(labels, lines, styles, strict=True):
            axes, order = panels[titles.index(panel)], [*dict.fromkeys(each for _, each in labels)]
            slope = _slope(line) if key == TRAIN_SIZE else ""
            _draw_line(figure, axes, line, f"{name}{slope}", look, order.index(name) - (len(order) - 1) / 2)
            if line.diverged:
                _draw_crosses(figure, axes, list(line.diverged), look, rows.index(name))
        for axes, title in zip(panels, titles, strict=True):
            axes.set_title(title, pad=6 + CROSS * len(rows))
        if wide:
            plain_ticks(panels[0].xaxis)
        elif len(places) <= 6:
            panels[0].set_xticks(sorted(places), [f"{place:g}" for place in sorted(places)])
        if scale == "log":
            plain_ticks(panels[0].yaxis)
        add_legend(figure)
        hollow = any(line.complete.keys() & line.diverged.keys() for line in lines)
        crosses = f"crosses: folds diverged{'; hollow: the mean of those that did not' if hollow else ''}"
        bars = "bar: one standard deviation over folds to each side" if _has_bars(lines) else ""
        explain(figure, comparison._replace(groups=[]), options, bars, crosses if rows else "")
    return figure


def _find_setting(comparison: Comparison, wanted: str | None) -> str:
    """Return the setting that is wanted, or the one numeric setting in which the runs differ."""
    folds = [fold for group in comparison.groups for fold in (group.folds | group.diverged).values()]
    runs = list({fold.run.path: fold.run for fold in folds}.values())
    if not runs:
        raise QM7Error(NOTHING)
    if wanted is not None:
        known = {key for run in runs for key in run.settings}
        if wanted not in known:
            raise QM7Error(f"there is no setting {wanted}{suggestion(wanted, sorted(known))}")
        return wanted
    candidates = [
        key
        for key in differing_settings(runs)
        if key not in NO_MEASURE and all(_is_number(run.settings.get(key), key) for run in runs)
    ]
    if not candidates:
        raise NotSweptError("there is no axis to draw along: the runs differ in no numeric setting")
    if len(candidates) > 1:
        differ = f"the runs differ in {' and '.join(candidates)}"
        raise QM7Error(f"{differ}: choose the one to draw along, as qm7 plot --kind setting --x {candidates[0]}")
    return candidates[0]


def _is_number(value: Any, key: str) -> bool:
    if isinstance(value, list) or value is None:
        return key == (TRAIN_SIZE if value is None else SCHEDULE)
    return isinstance(value, int | float) and not isinstance(value, bool)


def _make_lines(comparison: Comparison, key: str) -> list[Line]:
    """Merge the groups that agree in all settings but one, and sort their folds by that one.

    Raises QM7Error if two folds that nothing else tells apart are at one place.
    """
    lines: dict[str, Line] = {}
    folds = [(k, fold) for group in comparison.groups for k, fold in (group.folds | group.diverged).items()]
    most = max(fold.result.train_molecules or 0 for _, fold in folds)
    for number, fold in folds:
        settings = own_settings(fold, [each for each in comparison.groups[0].settings if each != key])
        line = lines.setdefault(json.dumps(settings), Line(settings, {}, {}))
        by_place = line.diverged if fold.result.status == "diverged" else line.complete
        at = by_place.setdefault(_place(fold.run, key, most), {})
        if number in at:
            both = f"{at[number].run.path} and {fold.run.path}"
            raise QM7Error(f"{both} have the same place along {key}: choose one of them")
        at[number] = fold
    return list(lines.values())


def _place(run: Run, key: str, most: int) -> float:
    """Return a setting as a number, `most` for all training molecules; raises QM7Error if it is not one."""
    value: Any = run.settings.get(key)
    if not _is_number(value, key):
        raise QM7Error(f"{key} of {run.path} is {json.dumps(value)}, not a number to draw along")
    return float(most if value is None else value[-1][1] if isinstance(value, list) else value)


def _name(line: Line, lines: Sequence[Line]) -> str:
    """Return a line's name, short where that tells the lines apart; empty where there is one alone."""
    short = [group_name(each.settings, [*each.settings], short=True) for each in lines]
    distinct = len(set(short)) == len(lines)
    return group_name(line.settings, [*line.settings], short=distinct) if line.settings else ""


def _mean(folds: Mapping[Key, RunFold]) -> tuple[float, float]:
    """Return the mean and the population standard deviation over folds of the test MAE, kcal/mol."""
    mean, deviation = mean_over_folds({key: fold.mae for key, fold in folds.items()})
    return float(mean), float(deviation)


def _slope(line: Line) -> str:
    """Say by which power of the place the mean error goes, by least squares of the logarithms."""
    if len(line.complete) < 2:
        return ""
    means = [_mean(folds)[0] for folds in line.complete.values()]
    return f"{', ' if line.settings else ''}slope {np.polyfit(np.log([*line.complete]), np.log(means), 1)[0]:.2f}"


def _has_bars(lines: Sequence[Line]) -> bool:
    return any(len({key[0] for key in folds}) > 1 for line in lines for folds in line.complete.values())


def _draw_line(figure: "Figure", axes: "Axes", line: Line, name: str, look: Look, aside: float) -> None:
    """Draw the mean errors of a line and their bars, so many points aside; hollow where other folds diverged."""
    from matplotlib.transforms import offset_copy  # noqa: PLC0415 - an extra

    places = sorted(line.complete)
    means, deviations = np.array([_mean(line.complete[place]) for place in places]).reshape(-1, 2).T
    low, high = means - deviations, means + deviations
    shifted = {"transform": offset_copy(axes.transData, figure, aside, units="points"), "color": look["color"]}
    axes.plot(places, means, label=name, **look | shifted)
    axes.vlines(places, low, high, linewidth=0.6, **shifted)
    axes.update_datalim(np.array([[*places, *places], [*low, *high]]).T)  # what is shifted does not count
    axes.autoscale_view()
    hollow = [(place, mean) for place, mean in zip(places, means, strict=True) if place in line.diverged]
    axes.plot(*np.array(hollow).reshape(-1, 2).T, look["marker"], markerfacecolor="white", zorder=3, **shifted)


def _draw_crosses(figure: "Figure", axes: "Axes", places: Sequence[float], look: Look, row: int) -> None:
    """Draw a row of crosses above the frame."""
    from matplotlib.transforms import offset_copy  # noqa: PLC0415 - an extra

    above = offset_copy(axes.get_xaxis_transform(), figure, 0, 4 + CROSS * row, units="points")
    axes.plot(places, [1] * len(places), "x", color=look["color"], transform=above, clip_on=False)
