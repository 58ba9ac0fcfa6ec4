"""Pictures of errors at the end against what was swept: a numeric setting, or the number of training molecules."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

import numpy as np

from qm7cli.analysis.compare import Comparison
from qm7cli.analysis.figure_style import GROUP_STYLES, add_legend, add_note, drawing, plain_ticks, wrap_name
from qm7cli.analysis.groups import NAMED, Group, Key, group_name
from qm7cli.analysis.plots.common import (
    BAND,
    NOTHING,
    RATIO,
    USUAL,
    Options,
    Style,
    explain,
    mean_over_folds,
    refuse_too_many,
    styles,
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
NO_MEASURE: Final = RESUMABLE_SETTINGS | {"seed", "split.seed"}  # along which errors are looked at only on demand
PANELS: Final = 6
CROSS: Final = 0.06  # of the frame's height, what a row of crosses takes


class NotSweptError(QM7Error):
    """The runs were not made for such a picture: they do not differ in what would be its axis."""


class Line(NamedTuple):
    """Folds that agree in all settings but one, by the value of that one; the panel's name may be empty."""

    name: str
    panel: str
    settings: dict[str, Any]
    complete: dict[float, dict[Key, RunFold]]
    diverged: dict[float, dict[Key, RunFold]]


def rates(comparison: Comparison, options: Options = USUAL) -> "Figure":
    """Draw the test MAE against a numeric setting, a line a group: mean and standard deviation over folds.

    A schedule counts by its last rate. Variants and baselines are lines, and each combination of the other settings
    that make the groups has a panel. A cross at the top of the frame is where folds diverged; the point of the folds
    that did not is hollow. Raises NotSweptError if there is no setting to draw against, and QM7Error if there are
    several and none is chosen.
    """
    setting = _find_setting(comparison, options.setting)
    panels: dict[str, list[Line]] = {}
    for line in _make_lines(comparison, setting, lambda run: _number(run, setting), panelled=True):
        panels.setdefault(line.panel, []).append(line)
    if len(panels) > PANELS:
        raise QM7Error(f"there are {len(panels)} panels, more than this picture can hold ({PANELS}); choose fewer runs")
    lines = [line for own in panels.values() for line in own]
    names = {line.name: line.settings for line in lines}
    refuse_too_many(len(names), len(GROUP_STYLES))
    looks = dict(zip(names, styles(names.values()), strict=True))
    means = [_mean(folds)[0] for line in lines for folds in line.complete.values()]
    if not means:
        raise QM7Error(NOTHING)
    places = {place for line in lines for place in (*line.complete, *line.diverged)}
    diverged = [name for name in names if any(line.diverged for line in lines if line.name == name)]
    scales = {"yscale": options.scale(means), "xscale": "log" if max(places) >= RATIO * min(places) > 0 else "linear"}
    with drawing(len(panels) * (2.0 if len(panels) == 1 else 1.4) + 0.3, **options.frame) as figure:
        column = list(figure.subplots(len(panels), sharex=True, sharey=True, squeeze=False)[:, 0])
        for axes, (panel, own) in zip(column, panels.items(), strict=True):
            axes.set(title=wrap_name(panel), **scales)
            for line in own:
                _draw_line(axes, line, looks[line.name], list(names).index(line.name) - (len(names) - 1) / 2)
        _draw_crosses(column, list(panels.values()), diverged, looks)
        _label_axis(column[-1], setting, sorted(places))
        figure.supylabel(METRICS["mae"].axis_label, fontsize=8)
        if scales["yscale"] == "log":
            plain_ticks(column[-1].yaxis, 6)
        add_legend(figure, column[0])
        if diverged:
            hollow = any(line.complete.keys() & line.diverged.keys() for line in lines)
            told = "; hollow: the mean of those that did not" if hollow else ""
            add_note(figure, f"Crosses, a row a group: folds diverged{told}")
    return figure


def learning(comparison: Comparison, options: Options = USUAL) -> "Figure":
    """Draw the test MAE against the number of training molecules, both logarithmic: mean over folds, and a band.

    The band is one population standard deviation over folds to each side. The legend has the slope: the power of the
    number of molecules by which the mean error goes, by least squares of the logarithms. Raises NotSweptError if no
    group was trained on two numbers of molecules, and QM7Error if a result does not tell the number.
    """
    lines = [line for line in _make_lines(comparison, TRAIN_SIZE, _train_size) if line.complete]
    if not lines:
        raise QM7Error(NOTHING)
    if all(len(line.complete) == 1 for line in lines):
        raise NotSweptError("there is no learning curve to draw: no group was trained on two numbers of molecules")
    refuse_too_many(len(lines), len(GROUP_STYLES))
    with drawing(2.2, **options.frame) as figure:
        axes = figure.subplots()
        for line, look in zip(lines, styles(line.settings for line in lines), strict=True):
            ordered = [line.complete[size] for size in sorted(line.complete)]
            sizes = [_mean_train_molecules(folds) for folds in ordered]
            mean, deviation = np.array([_mean(folds) for folds in ordered]).T  # (sizes,) each
            name = line.name
            if len(sizes) > 1:
                slope = np.polyfit(np.log(sizes), np.log(mean), 1)[0]
                name = f"{name}{', ' * bool(name)}slope {slope:.2f}".replace("-0.", "\N{MINUS SIGN}0.")
            for edge in (mean - deviation, mean + deviation):
                axes.plot(sizes, edge, color=look["color"], linestyle=look["linestyle"], linewidth=0.4)
            axes.plot(sizes, mean, label=name, **look)
        scale = "linear" if options.log is False else "log"
        axes.set(xscale="log", yscale=scale, xlabel="Training molecules", ylabel=METRICS["mae"].axis_label)
        plain_ticks(axes.xaxis, 6)
        if scale == "log":
            plain_ticks(axes.yaxis, 7)
        add_legend(figure, axes)
        explain(figure, comparison, BAND)
    return figure


def _find_setting(comparison: Comparison, wanted: str | None) -> str:
    """Return the setting that is wanted, or the one numeric setting in which the runs differ."""
    runs = list({fold.run.path: fold.run for group in comparison.groups for fold in _all_folds(group)}.values())
    if not runs:
        raise QM7Error(NOTHING)
    if wanted is not None:
        known = {key for run in runs for key in run.settings}
        if wanted not in known:
            raise QM7Error(f"there is no setting {wanted}{suggestion(wanted, sorted(known))}")
        return wanted
    numeric = [key for key in differing_settings(runs) if all(_is_number(run.settings.get(key), key) for run in runs)]
    candidates = [key for key in numeric if key not in NO_MEASURE]
    if not candidates:
        raise NotSweptError("there is no axis to draw along: the runs differ in no numeric setting")
    if len(candidates) > 1:
        raise QM7Error(
            f"the runs differ in {' and '.join(candidates)}: choose the one to draw along, "
            f"as qm7 plot --kind rates --x {candidates[0]}"
        )
    return candidates[0]


def _is_number(value: Any, key: str) -> bool:
    return (
        key == SCHEDULE if isinstance(value, list) else isinstance(value, int | float) and not isinstance(value, bool)
    )


def _number(run: Run, setting: str) -> float:
    """Return a setting as a number; raises QM7Error if it is not one."""
    value: Any = run.settings.get(setting)
    if not _is_number(value, setting):
        raise QM7Error(f"{setting} of {run.path} is {json.dumps(value)}, not a number to draw along")
    return float(value[-1][1] if isinstance(value, list) else value)


def _train_size(run: Run) -> float:
    return math.inf if run.settings.get(TRAIN_SIZE) is None else run.settings[TRAIN_SIZE]


def _make_lines(
    comparison: Comparison, setting: str, place: Callable[[Run], float], *, panelled: bool = False
) -> list[Line]:
    """Merge the groups that agree in all settings but one, and sort their folds by the `place` of their run.

    If `panelled`, a line is named by its variant or baseline, where there is one, and its panel by the other settings.
    Raises QM7Error if two folds that nothing else tells apart are at one place.
    """
    keys = [key for key in comparison.groups[0].settings if key != setting]
    named = [key for key in keys if key in NAMED] if panelled else []
    others = [key for key in keys if key not in named]
    parts = (named, others) if named else (others, [])
    folds = [fold for group in comparison.groups for fold in _all_folds(group)]
    short = {_names(fold.run, parts): _names(fold.run, parts, short=True) for fold in folds}
    distinct = len(set(short.values())) == len(short)
    lines: dict[tuple[str, str], Line] = {}
    for group in comparison.groups:
        for key, fold in (*group.folds.items(), *group.diverged.items()):
            names = _names(fold.run, parts)
            name, panel = short[names] if distinct else names
            line = lines.setdefault(names, Line(name, panel, group.settings, {}, {}))
            by_place = line.complete if fold.result.status == "complete" else line.diverged
            at = by_place.setdefault(place(fold.run), {})
            if key in at:
                both = f"{at[key].run.path} and {fold.run.path}"
                raise QM7Error(f"{both} have the same place along {setting}: choose one of them")
            at[key] = fold
    return list(lines.values())


def _names(run: Run, parts: tuple[Sequence[str], Sequence[str]], *, short: bool = False) -> tuple[str, str]:
    """Return a run's names by two parts of the settings, its line's and its panel's; empty where there are none."""
    given = [{key: run.settings[key] for key in part if key in run.settings} for part in parts]
    line, panel = (group_name(own, list(own), short=short) if own else "" for own in given)
    return line, panel


def _all_folds(group: Group) -> list[RunFold]:
    return [*group.folds.values(), *group.diverged.values()]


def _mean(folds: Mapping[Key, RunFold]) -> tuple[float, float]:
    """Return the mean and the population standard deviation over folds of the test MAE, kcal/mol."""
    mean, deviation = mean_over_folds({key: fold.mae for key, fold in folds.items()})
    return float(mean), float(deviation)


def _mean_train_molecules(folds: Mapping[Key, RunFold]) -> float:
    """Return how many molecules folds were trained on; raises QM7Error if a result does not tell."""
    for fold in folds.values():
        if fold.result.train_molecules is None:
            raise QM7Error(f"{fold.run.path} does not tell how many molecules fold {fold.result.fold} was trained on")
    return float(np.mean([fold.result.train_molecules for fold in folds.values()]))


def _draw_line(axes: "Axes", line: Line, look: Style, aside: float) -> None:
    """Draw the mean errors of a line and a bar of a standard deviation to each side; hollow where folds diverged.

    All is drawn so many points aside, that the bars of several lines can be seen.
    """
    from matplotlib.transforms import ScaledTranslation  # noqa: PLC0415 - an extra

    places = sorted(line.complete)
    means, deviations = np.array([_mean(line.complete[place]) for place in places]).reshape(-1, 2).T
    scale = cast("Figure", axes.get_figure()).dpi_scale_trans
    shifted = {"transform": axes.transData + ScaledTranslation(aside / 72, 0, scale), "color": look["color"]}
    axes.plot(places, means, label=line.name, **look | shifted)
    ends = np.array([means - deviations, means + deviations])
    axes.vlines(places, *ends, linewidth=0.6, **shifted)
    axes.update_datalim([(place, end) for k, place in enumerate(places) for end in ends[:, k]])
    axes.autoscale_view()
    hollow = [(place, mean) for place, mean in zip(places, means, strict=True) if place in line.diverged]
    if hollow:
        axes.plot(*zip(*hollow, strict=True), look["marker"], markerfacecolor="white", zorder=3, **shifted)


def _draw_crosses(
    frames: Sequence["Axes"], panels: Sequence[Sequence[Line]], diverged: Sequence[str], looks: Mapping[str, Style]
) -> None:
    """Draw a row of crosses for each name that has diverged folds, and leave room for the rows above all else."""
    if not diverged:
        return
    axis = frames[0].yaxis
    low, high = axis.get_transform().transform(axis.get_view_interval())
    high += (high - low) * CROSS * len(diverged) / (1 - CROSS * len(diverged))
    frames[0].set_ylim(*axis.get_transform().inverted().transform([low, high]))
    for axes, lines in zip(frames, panels, strict=True):
        axes.plot([0, 1], [1 - CROSS * len(diverged)] * 2, color="0.8", linewidth=0.6, transform=axes.transAxes)
        for line in lines:
            if line.diverged:
                height = 1 - CROSS * (diverged.index(line.name) + 0.5)
                place: dict[str, Any] = {"transform": axes.get_xaxis_transform(), "linestyle": "none", "marker": "x"}
                place["color"] = looks[line.name]["color"]
                axes.plot(list(line.diverged), [height] * len(line.diverged), **place)


def _label_axis(axes: "Axes", setting: str, places: Sequence[float]) -> None:
    """Name the setting, and mark its values where there is room for all."""
    axes.set_xlabel("Last learning rate (training.schedule)" if setting == SCHEDULE else setting)
    if axes.get_xscale() == "log":
        plain_ticks(axes.xaxis, 6)
    elif len(places) <= 6:
        axes.set_xticks(places, [f"{place:g}" for place in places])
