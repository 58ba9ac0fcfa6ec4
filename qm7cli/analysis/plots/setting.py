"""A picture of errors at the end against a setting: an offset, a learning rate, the number of training molecules."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from qm7cli.analysis import figure_style as style
from qm7cli.analysis.compare import Comparison
from qm7cli.analysis.groups import Key, count_text, group_name
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
    "evaluation.draws": "Draws that predictions are averaged over",
    "baseline.exponent": "Exponent of the distance",
    "baseline.draws": "Draws of each training molecule",
    "network.bias": "Standard deviation of the initial biases",
    "network.offset": "Constant added to each hidden unit",
    "training.averaging": "Fraction of iterations that are averaged",
    "training.batch_size": "Molecules per minibatch",
    "training.iterations": "Training iterations",
}
NO_MEASURE: Final = RESUMABLE_SETTINGS | {"seed", "split.seed"}  # along which errors are looked at only on demand
CROSS: Final = 0.05  # the height of a row of crosses as a part of the frame's


class NotSweptError(QM7Error):
    """The runs were not made for this picture: they do not differ in what would be its axis."""


class Line(NamedTuple):
    """Folds that agree in all settings but one, by the value of that one."""

    settings: dict[str, Any]
    complete: dict[float, dict[Key, RunFold]]
    diverged: dict[float, dict[Key, RunFold]]

    def mean(self, value: float) -> tuple[float, float]:
        """Return the mean and the population standard deviation over folds of the test MAE at a value, kcal/mol."""
        means = style.fold_means({key: fold.mae for key, fold in self.complete[value].items()})
        return float(means.mean()), float(means.std())


def setting(comparison: Comparison, options: style.Options) -> "Figure":
    """Draw the test MAE against a numeric setting, a line per group: mean and standard deviation over folds.

    A cross above the frame is where folds diverged; the point of the folds that did not is hollow. A line along
    training molecules has its slope in the legend. A group with one value is left out where others have more. Raises
    NotSweptError if there is no setting to draw against, and QM7Error if there are several and none is chosen.
    """
    style.drawable(comparison)
    key = _find_setting(comparison, options.setting)
    whole = _sweep(comparison, key)
    swept = [own for own in whole if len({*own.complete, *own.diverged}) > 1] or whole
    ended = [[*own.complete.items(), *own.diverged.items()] for own in swept]
    folds = [[fold for _, at in own for fold in at.values()] for own in ended]
    placed = style.in_panels([*zip(_names(swept), [own.settings for own in swept], folds, strict=True)])
    means = [own.mean(value)[0] for own in swept for value in own.complete]
    values = sorted({value for own in ended for value, _ in own})
    wide = key == TRAIN_SIZE or values[-1] >= style.RATIO * values[0] > 0
    scale = "log" if key == TRAIN_SIZE and options.log is None else options.scale(means)
    crossed = Counter(title for own, (title, *_) in zip(swept, placed, strict=True) if own.diverged)
    rows = max(crossed.values(), default=0)
    with style.drawing(2.2 + 0.07 * rows, options.width) as figure:
        panels = style.add_panels(figure, placed, LABELS.get(key, key), METRICS["mae"].axis_label)
        for axes in figure.axes:
            axes.set(xscale="log" if wide else "linear", yscale=scale)
            if rows:
                axes.set_title(axes.get_title() or " ", pad=5 * rows + 3)  # room for the crosses
            drawn = zip(swept, placed, panels, strict=True)
            lines = [(own, name, look) for own, (_, name, look), places in drawn if axes in places]
            _draw_lines(axes, lines, slopes=key == TRAIN_SIZE)
            if not wide and len(values) <= 6:
                axes.set_xticks(values, [style.minus(f"{value:g}") for value in values])
        style.plain_ticks(figure)
        style.add_legend(figure)
        hollow = any(own.complete.keys() & own.diverged.keys() for own in swept)
        crosses = f"crosses: folds diverged{'; hollow: the mean of those that did not' if hollow else ''}"
        fewer = len(whole) - len(swept)
        notes = [style.deviation_note(comparison, "points", "bars"), crosses if rows else ""]
        notes += [f"not drawn: {count_text(fewer, 'group')} with one value on the axis"] * (fewer > 0)
        style.explain(figure, comparison, options, *notes, diverged=False)
    return figure


def _find_setting(comparison: Comparison, wanted: str | None) -> str:
    """Return the setting that is wanted, or the one numeric setting in which the runs differ."""
    runs = list({fold.run.path: fold.run for group in comparison.groups for fold in group.ended.values()}.values())
    if wanted is not None:
        known = {key for run in runs for key in run.settings}
        if wanted not in known:
            raise QM7Error(f"there is no setting {wanted}{suggestion(wanted, sorted(known))}")
        return wanted
    found = [key for key in differing_settings(runs) if key not in NO_MEASURE]
    found = [key for key in found if all(_number(run, key, 0) is not None for run in runs)]
    if not found:
        raise NotSweptError("there is no axis to draw along: the runs differ in no numeric setting")
    if len(found) > 1:
        advice = f"choose the one to draw along, as qm7 plot --kind setting --x {found[0]}"
        raise QM7Error(f"the runs differ in {' and '.join(found)}: {advice}")
    return found[0]


def _number(run: Run, key: str, most: int) -> float | None:
    """Return a setting as a number: a schedule's last rate, `most` for all training molecules; None if it is none."""
    value: Any = run.settings.get(key)
    if value is None and key == TRAIN_SIZE:
        return float(most)
    if isinstance(value, list) and key == SCHEDULE:
        return float(value[-1][1])
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _sweep(comparison: Comparison, key: str) -> list[Line]:
    """Merge the groups that agree in all settings but one, and sort their folds by that one.

    Raises QM7Error if that one is no number, or two folds that nothing else tells apart are at one place.
    """
    swept: dict[str, Line] = {}
    folds = [(number, fold) for group in comparison.groups for number, fold in group.ended.items()]
    most = max(fold.result.train_molecules for _, fold in folds)
    others = [own for own in comparison.groups[0].settings if own != key]
    for number, fold in folds:
        settings = {own: fold.run.settings[own] for own in others if own in fold.run.settings}
        line = swept.setdefault(json.dumps(settings), Line(settings, {}, {}))
        value = _number(fold.run, key, most)
        if value is None:
            told = json.dumps(fold.run.settings.get(key))
            raise QM7Error(f"{key} of {fold.run.path} is {told}, not a number to draw along")
        at = (line.diverged if fold.result.status == "diverged" else line.complete).setdefault(value, {})
        if number in at:
            raise QM7Error(f"{at[number].run.path} and {fold.run.path} have the same place along {key}: choose one")
        at[number] = fold
    return list(swept.values())


def _names(swept: Sequence[Line]) -> list[str]:
    """Return the names of lines, short where these tell them apart, and none for a single one."""
    for short in (True, False):
        names = [group_name(own.settings, [*own.settings], short=short) if own.settings else "" for own in swept]
        if len(set(names)) == len(swept):
            break
    return names


def _slope(line: Line, name: str) -> str:
    """Say by which power of the molecules the mean error goes, by least squares of the logarithms."""
    if len(line.complete) < 2:
        return ""
    means = [line.mean(value)[0] for value in line.complete]
    slope = style.minus(f"{np.polyfit(np.log([*line.complete]), np.log(means), 1)[0]:.2f}")
    return f"{', ' * bool(name)}slope {slope}"


def _draw_lines(axes: "Axes", lines: Iterable[tuple[Line, str, style.Look]], *, slopes: bool) -> None:
    """Draw the mean errors of lines with their bars, hollow where other folds diverged, and crosses in rows above."""
    height = 1.04  # as a part of the frame's
    for line, name, look in lines:
        values, color = sorted(line.complete), look["color"]
        means, deviations = np.array([line.mean(value) for value in values]).reshape(-1, 2).T
        axes.plot(values, means, label=name + (_slope(line, name) if slopes else ""), **look)
        axes.vlines(values, means - deviations, means + deviations, linewidth=look["linewidth"] - 0.4, color=color)
        hollow = [(value, mean) for value, mean in zip(values, means, strict=True) if value in line.diverged]
        axes.plot(*np.array(hollow).reshape(-1, 2).T, look["marker"], color=color, markerfacecolor="w", zorder=3)
        if line.diverged:
            cross = {"linestyle": "", "marker": "x", "color": color, "markersize": 3.5, "clip_on": False}
            axes.plot([*line.diverged], [height] * len(line.diverged), transform=axes.get_xaxis_transform(), **cross)
            height += CROSS
    if height > 1.04 and axes.get_ylabel():
        word = axes.text(-0.02, (1.04 + height - CROSS) / 2, "diverged", transform=axes.transAxes)
        word.set(ha="right", va="center", fontsize=7)
