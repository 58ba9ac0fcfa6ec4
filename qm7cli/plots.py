"""Pictures of a comparison, as wide as a column of a paper (85 mm), with letters of 7 and 8 points.

    figure = KINDS["curves"](comparison)
    save(figure, Path("curves.pdf"))

The colours are Okabe & Ito's, which colour-blind people can tell apart; line styles and markers differ as well, for a
print in grey. A user's own settings of matplotlib change nothing: the same runs give the same bytes.
"""

import io
import math
import re
import textwrap
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from qm7cli.compare import Comparison
from qm7cli.errors import QM7Error, UsageError
from qm7cli.files import write_output
from qm7cli.groups import Group, Key
from qm7cli.history import read_history
from qm7cli.metrics import METRICS
from qm7cli.predictions import Predictions, read_predictions

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

WIDTH: Final = 85 / 25.4  # inches
ROW: Final = 9.5 / 72  # inches, a line of small letters
LETTERS: Final = 50  # small ones in a row, beside the sample in a legend
PAPER_MAE: Final = 3.51  # kcal/mol, on QM7 (Montavon et al. 2012)
WORST: Final = 5  # molecules named of a group
COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
LINES: Final = ("-", "--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)))
MARKERS: Final = ("o", "s", "^", "D", "v", "P", "X", "<")
GROUP_STYLES: Final[list[dict[str, Any]]] = [  # of the groups in turn; 35 that differ in colour or line style
    {"color": COLOURS[k % len(COLOURS)], "linestyle": LINES[k % len(LINES)], "marker": MARKERS[k % len(MARKERS)]}
    for k in range(len(COLOURS) * len(LINES))
]
OMITTED_METADATA: Final = ("Date", "Creator", "Format", "Type")
FORMATS: Final = {"png": (), "svg": OMITTED_METADATA, "pdf": ("CreationDate",)}  # with the metadata that is left out
STYLE: Final[dict[str, Any]] = {
    "font.size": 8,
    **dict.fromkeys(("axes.titlesize", "legend.fontsize", "xtick.labelsize", "ytick.labelsize"), 7),
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "lines.linewidth": 1.1,
    "lines.markersize": 3,
    "legend.frameon": False,
    "savefig.dpi": 300,
    "pdf.fonttype": 42,  # TrueType, which journals ask for
    "svg.fonttype": "path",  # shapes: letters in another font, where this one is missing, would overlap or be cut off
    "svg.hashsalt": "qm7",
    "text.parse_math": False,  # a name may have dollar signs
}


def load_matplotlib() -> ModuleType:
    """Return matplotlib; raises QM7Error if it is not installed."""
    try:
        import matplotlib.figure  # noqa: PLC0415 - an extra, and slow to import
    except ImportError as error:
        raise QM7Error("pictures are drawn by matplotlib, which is missing: pip install 'qm7cli[plots]'") from error
    return matplotlib


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
                axes.axhline(level, label=_shown(group.name), color=look["color"], linestyle=look["linestyle"])
                continue
            iterations, mean, deviation = curve
            band = {"color": look["color"], "alpha": 0.2, "linewidth": 0}
            axes.fill_between(iterations, mean - deviation, mean + deviation, **band)
            axes.plot(iterations, mean, label=_shown(group.name), markevery=math.ceil(len(mean) / 12), **look)
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
    titles = [_shown(group.name, LETTERS // 2) if len(groups) > 1 else "" for group in groups]
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
        "\n  ".join((_shown(f"Largest errors of {group.name}"), *_largest_errors(group, by_key)))
        for group, by_key in zip(groups, predictions, strict=True)
    )
    with drawing(2.3 + (named.count("\n") + 1) * ROW) as figure:
        axes = figure.subplots()
        for group, values, look in zip(groups, differences, GROUP_STYLES, strict=False):
            line = {"color": look["color"], "linestyle": look["linestyle"], "label": _shown(group.name)}
            axes.stairs(np.histogram(values, edges)[0], edges, **line)
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
            axes.plot(places, maes, look["marker"], color=look["color"], label=_shown(group.name))
            middle, half = len(numbers) + aside, min(0.4 * step, 0.15)
            axes.hlines(np.mean(maes), middle - half, middle + half, look["color"])
        axes.axvline(len(numbers) - 0.5, color="0.8", linewidth=0.6)
        axes.set_xticks(range(len(numbers) + 1), [*map(str, numbers), "mean"])
        axes.set(xlabel="Fold", ylabel=METRICS["mae"].axis_label, xlim=(-0.6, len(numbers) + 0.6))
        add_legend(figure, axes)
    return figure


Draw = Callable[[Comparison], "Figure"]
KINDS: Final[dict[str, Draw]] = {"curves": curves, "parity": parity, "errors": errors, "folds": folds}


def _predictions(group: Group) -> dict[Key, Predictions]:
    """Return the predictions of a group's folds; raises QM7Error if some are missing or damaged."""
    return {key: read_predictions(fold.run.path, fold.result) for key, fold in group.folds.items()}


def _largest_errors(group: Group, predictions: Mapping[Key, Predictions]) -> list[str]:
    """Return the molecules of a group with the largest errors, each error the mean over seeds, the largest first.

    A molecule's name is its row in the data set; its error is the predicted less the true energy.
    """
    found: dict[tuple[str, int, int], list[float]] = {}
    for key, fold in group.folds.items():
        for molecule, error in zip(predictions[key].molecules.tolist(), predictions[key].errors, strict=True):
            found.setdefault((fold.run.results.dataset.sha256, molecule, key[0]), []).append(error)
    means = [(float(np.mean(values)), molecule, fold) for (_, molecule, fold), values in found.items()]
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


def image_format(path: Path) -> str:
    """Return the format that a file's name asks for; raises QM7Error if it is none of `FORMATS`."""
    name = path.suffix.removeprefix(".").lower()
    if name not in FORMATS:
        raise UsageError(f"{path} is no name of a picture: it should end in .png, .svg or .pdf")
    return name


def save(figure: "Figure", path: Path) -> None:
    """Write a picture in the format that the file's name asks for; raises QM7Error if it is none or cannot be written.

    The same picture gives the same bytes.
    """
    content = _rendered(figure, image_format(path))
    write_output(path, lambda file: file.write(content))


def as_svg(figure: "Figure", prefix: str) -> str:
    """Return a picture as an element of an HTML page; `prefix` goes before its ids, which are then its own there."""
    text = _rendered(figure, "svg").decode()
    return re.sub(r'( id="|href="#|url\(#)', rf"\g<1>{prefix}-", text[text.index("<svg ") :])


def _rendered(figure: "Figure", format_: str) -> bytes:
    file = io.BytesIO()
    with _style(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # a sign that the font lacks is a box
        figure.savefig(file, format=format_, metadata=dict.fromkeys(FORMATS[format_]))
    return file.getvalue()


@contextmanager
def _style() -> Iterator[ModuleType]:
    matplotlib = load_matplotlib()
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        yield matplotlib


@contextmanager
def drawing(height: float) -> Iterator["Figure"]:
    """Give an empty figure of a column's width, `height` in inches, that is drawn in the style of this page."""
    with _style() as matplotlib:
        yield matplotlib.figure.Figure(figsize=(WIDTH, height), layout="constrained")


def _shown(name: str, letters: int = LETTERS) -> str:
    """Return a name in lines of so many letters; what is no text in it is escaped."""
    return textwrap.fill(name.encode(errors="backslashreplace").decode(), letters)


def add_legend(figure: "Figure", axes: "Axes") -> None:
    """Put a legend above the axes and make the figure higher by as much; one group needs none."""
    handles, labels = axes.get_legend_handles_labels()
    if len(labels) > 1:
        columns = max(1, (LETTERS + 6) // (max(map(len, labels)) + 6))
        rows = math.ceil(len(labels) / columns) * max(label.count("\n") + 1 for label in labels)
        figure.set_figheight(figure.get_figheight() + rows * ROW)
        figure.legend(handles, labels, loc="outside upper center", ncols=columns, columnspacing=1.2)


def plain_ticks(axis: "Axis", most: int) -> None:
    """Label a logarithmic axis at round numbers, written out, as many as there is room for."""
    low, high = axis.get_view_interval()
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in ((1, 1.5, 2, 3, 4, 5, 7), (1, 2, 3, 5), (1, 2, 5), (1, 3), (1,)):
        ticks = [step * 10.0**power for power in decades for step in steps if low <= step * 10.0**power <= high]
        if len(ticks) <= most:
            break
    if len(ticks) < 2:
        from matplotlib.ticker import MaxNLocator  # noqa: PLC0415

        ticks = [tick for tick in MaxNLocator(5, steps=[1, 2, 5, 10]).tick_values(low, high) if low <= tick <= high]
    ticks = ticks[:: max(1, math.ceil(len(ticks) / most))]
    axis.set_ticks(ticks, [f"{tick:,.10g}" for tick in ticks])
    axis.set_ticks([], minor=True)
