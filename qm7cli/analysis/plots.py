"""Pictures of a comparison: ``save(KINDS["curves"](comparison), Path("curves.pdf"))``."""

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from qm7cli.analysis.compare import Comparison
from qm7cli.analysis.figure_style import (
    COLOURS,
    GROUP_STYLES,
    LETTERS,
    ROW,
    WIDTH,
    add_legend,
    drawing,
    plain_ticks,
    wrap_name,
)
from qm7cli.analysis.groups import Group, Key
from qm7cli.core.errors import QM7Error
from qm7cli.model.metrics import METRICS
from qm7cli.runs.history import read_history
from qm7cli.runs.predictions import Predictions, read_predictions

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PAPER_MAE: Final = 3.51  # kcal/mol, on QM7 (Montavon et al. 2012)
WORST: Final = 5  # molecules named of a group


def curves(comparison: Comparison) -> "Figure":
    """Draw the test MAE against the iterations, both logarithmic: a group's mean over folds, and a band around it.

    The band is one population standard deviation over folds to each side. A fold's error is its mean over seeds, and
    only iterations at which all folds of a group were evaluated are drawn. A baseline, which has no iterations, is a
    level line. The paper's error is another, for QM7. Raises QM7Error if a ``history.csv`` is missing or damaged, a
    group's folds have no iteration in common, or there is no curve.
    """
    groups = _drawable(comparison, len(GROUP_STYLES))
    trained = [any(fold.result.iterations for fold in group.folds.values()) for group in groups]
    if not any(trained):
        raise QM7Error("there is no curve to draw: baselines are fitted at once")
    means = [_mean_curve(group) if curved else None for group, curved in zip(groups, trained, strict=True)]
    with drawing(2.2) as figure:
        axes = figure.subplots()
        for group, curve, look in zip(groups, means, GROUP_STYLES, strict=False):
            if curve is None:
                level = float(np.mean([fold.mae for fold in group.folds.values()]))
                axes.axhline(level, **_line(group, look))
                continue
            iterations, mean, deviation = curve
            band = {"color": look["color"], "alpha": 0.2, "linewidth": 0}
            axes.fill_between(iterations, mean - deviation, mean + deviation, **band)
            axes.plot(iterations, mean, label=wrap_name(group.name), markevery=math.ceil(len(mean) / 12), **look)
        axes.set(xscale="log", yscale="log", xlabel="Training iterations", ylabel=METRICS["mae"].axis_label)
        if all(fold.run.results.dataset.name == "qm7" for group in groups for fold in group.folds.values()):
            axes.axhline(PAPER_MAE, color="0.4", linewidth=0.6)
            place: dict[str, Any] = {"xy": (0, PAPER_MAE), "xycoords": axes.get_yaxis_transform(), "xytext": (3, 2)}
            axes.annotate(f"{PAPER_MAE}, Montavon et al. 2012", **place, textcoords="offset points", fontsize=7)
        plain_ticks(axes.xaxis, 5)
        plain_ticks(axes.yaxis, 7)
        add_legend(figure, axes)
    return figure


def parity(comparison: Comparison) -> "Figure":
    """Draw predicted against true energies of the test molecules, a panel for each group, four at most."""
    groups = _drawable(comparison, 4)
    tables = [np.hstack([predicted[1:] for predicted in _predictions(group).values()]) for group in groups]
    ends = [min(table.min() for table in tables), max(table.max() for table in tables)]
    rows, columns = math.ceil(len(groups) / 2), min(2, len(groups))
    titles = [wrap_name(group.name, LETTERS // 2) if len(groups) > 1 else "" for group in groups]
    lines = max(len(title.splitlines()) for title in titles)
    with drawing(rows * ((WIDTH - 0.6) / columns + 0.25 + lines * ROW) + 0.2) as figure:
        panels = list(figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).flat)
        for panel, title, table, look in zip(panels, titles, tables, GROUP_STYLES, strict=False):
            panel.plot(ends, ends, color="0.4", linewidth=0.6)
            dots = {"color": look["color"], "markersize": 1.5, "markeredgewidth": 0, "rasterized": True}
            panel.plot(*table, ".", **dots)
            panel.set_box_aspect(1)
            panel.locator_params(nbins=6 - 2 * columns)
            panel.set_title(title)
        for panel in panels[len(groups) :]:
            panel.remove()
            panels[1].tick_params(labelbottom=True)
        figure.supxlabel("True energy (kcal/mol)", fontsize=8)
        figure.supylabel("Predicted energy (kcal/mol)", fontsize=8)
    return figure


def errors(comparison: Comparison) -> "Figure":
    """Draw how many test predictions of each group err by how much, and name its molecules with the largest errors."""
    groups = _drawable(comparison, len(COLOURS))
    predictions = [_predictions(group) for group in groups]
    differences = [np.concatenate([own.errors for own in by_key.values()]) for by_key in predictions]
    edges = np.histogram_bin_edges(np.concatenate(differences), 60)
    named = "\n".join(
        "\n  ".join((wrap_name(f"Largest errors of {group.name}"), *_largest_errors(group, by_key)))
        for group, by_key in zip(groups, predictions, strict=True)
    )
    with drawing(2.3 + (named.count("\n") + 1) * ROW) as figure:
        axes = figure.subplots()
        for group, values, look in zip(groups, differences, GROUP_STYLES, strict=False):
            axes.stairs(np.histogram(values, edges)[0], edges, **_line(group, look))
        axes.set(yscale="log", xlabel="Predicted minus true energy (kcal/mol)", ylabel="Number of test predictions")
        axes.set_ylim(bottom=0.7)
        plain_ticks(axes.yaxis, 6)
        add_legend(figure, axes)
        figure.supxlabel(named, x=0.03, ha="left", fontsize=7)
    return figure


def folds(comparison: Comparison) -> "Figure":
    """Draw the test MAE of every fold, the groups beside each other, and each group's mean as a short line."""
    groups = _drawable(comparison, 21)
    numbers = sorted({key[0] for group in groups for key in group.folds})
    step = 0.8 / len(groups)
    with drawing(2.2) as figure:
        axes = figure.subplots()
        for k, (group, look) in enumerate(zip(groups, GROUP_STYLES, strict=False)):
            aside = (k - (len(groups) - 1) / 2) * step
            places = [numbers.index(key[0]) + aside for key in group.folds]
            maes = [fold.mae for fold in group.folds.values()]
            axes.plot(places, maes, look["marker"], color=look["color"], label=wrap_name(group.name))
            middle, half = len(numbers) + aside, min(0.4 * step, 0.15)
            axes.hlines(np.mean(maes), middle - half, middle + half, look["color"])
        axes.axvline(len(numbers) - 0.5, color="0.8", linewidth=0.6)
        axes.set_xticks(range(len(numbers) + 1), [*map(str, numbers), "mean"])
        axes.set(xlabel="Fold", ylabel=METRICS["mae"].axis_label, xlim=(-0.6, len(numbers) + 0.6))
        add_legend(figure, axes)
    return figure


Draw = Callable[[Comparison], "Figure"]
KINDS: Final[dict[str, Draw]] = {"curves": curves, "parity": parity, "errors": errors, "folds": folds}


def _line(group: Group, look: dict[str, Any]) -> dict[str, Any]:
    return {"color": look["color"], "linestyle": look["linestyle"], "label": wrap_name(group.name)}


def _predictions(group: Group) -> dict[Key, Predictions]:
    """Return the predictions of a group's folds; raises QM7Error if some are missing or damaged."""
    return {key: read_predictions(fold.run.path, fold.result) for key, fold in group.folds.items()}


def _largest_errors(group: Group, predictions: Mapping[Key, Predictions]) -> list[str]:
    """Return the molecules of a group with the largest errors, each error the mean over seeds, the largest first.

    A molecule's name is its row in the data set; its error is the predicted less the true energy.
    """
    by_molecule: dict[tuple[str, int, int], list[float]] = {}
    for key, fold in group.folds.items():
        for molecule, error in zip(predictions[key].molecules.tolist(), predictions[key].errors, strict=True):
            by_molecule.setdefault((fold.run.results.dataset.sha256, molecule, key[0]), []).append(error)
    means = [(float(np.mean(values)), molecule, fold) for (_, molecule, fold), values in by_molecule.items()]
    largest = sorted(means, key=lambda each: -abs(each[0]))[:WORST]
    return [f"molecule {molecule} (fold {fold}): {error:+.1f} kcal/mol" for error, molecule, fold in largest]


def _mean_curve(group: Group) -> tuple[NDArray[np.intp], NDArray[np.float64], NDArray[np.float64]]:
    """Return iterations, and the mean and population standard deviation over folds of the test MAE."""
    histories = {
        key: {row.iteration: row.test_mae for row in read_history(fold.run.path, fold.result)}
        for key, fold in group.folds.items()
    }
    shared = sorted(set.intersection(*map(set, histories.values())))
    if not shared:
        raise QM7Error(f"the folds of {group.name} were evaluated at no iteration in common")
    by_fold: dict[int, list[list[float]]] = {}
    for key, history in histories.items():
        by_fold.setdefault(key[0], []).append([history[iteration] for iteration in shared])
    values = np.array([np.mean(seeds, axis=0) for seeds in by_fold.values()])  # (folds, iterations)
    return np.array(shared), values.mean(axis=0), values.std(axis=0)


def _drawable(comparison: Comparison, limit: int) -> list[Group]:
    """Return the groups that have a fold; raises QM7Error if there are none, or more than the picture can hold."""
    groups = [group for group in comparison.groups if group.folds]
    if not groups:
        raise QM7Error("there is nothing to draw: no fold is complete")
    if len(groups) > limit:
        raise QM7Error(f"there are {len(groups)} groups, more than this picture can hold ({limit}); choose fewer runs")
    return groups
