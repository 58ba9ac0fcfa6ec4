"""How all pictures look, and what those of a comparison share.

A rule or a baseline has one color (of Okabe & Ito's, which color-blind people can tell apart) in every picture; dashed
gray is for controls. A user's own settings of matplotlib change nothing.
"""

import io
import math
import re
import textwrap
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from qm7cli.analysis.compare import Comparison
from qm7cli.analysis.groups import Group, Key
from qm7cli.core.errors import QM7Error, UsageError, import_extra, printable
from qm7cli.core.files import write_file
from qm7cli.model.baseline_names import HYPERPARAMETERS
from qm7cli.model.variants import CONTROLS, RULES
from qm7cli.runs.collect import RunFold

if TYPE_CHECKING:
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

Look = dict[str, Any]  # color, line style and marker, as matplotlib takes them
WIDTH: Final = 85.0  # mm
INCH: Final = 25.4  # mm
ROW: Final = 9.5 / 72  # inches, a line of small letters
LETTERS: Final = 62  # small ones in a row of `WIDTH`
RATIO: Final = 10  # errors that differ by as much need a logarithmic axis
COLORS: Final = ("#0072B2", "#D55E00", "#000000", "#CC79A7", "#009E73", "#E69F00", "#56B4E9")
LINES: Final = ("-", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (10, 1)))
MARKERS: Final = ("o", "s", "^", "D", "v", "P", "X")
METHODS: Final = [*(rule for rule in RULES if rule not in CONTROLS), *filter(None, HYPERPARAMETERS)]
FORMATS: Final = {"png": (), "svg": ("Date", "Creator", "Format", "Type"), "pdf": ("CreationDate",)}  # omitted metadata
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
    "svg.fonttype": "none",  # text, which can be found, edited and read aloud
    "svg.hashsalt": "qm7",
    "text.parse_math": False,  # a name may have dollar signs
}


class Options(NamedTuple):
    """What may be chosen of a picture."""

    width: float = WIDTH  # mm
    caption: bool = True  # whether it says below what it shows
    log: bool | None = None  # whether the axis of errors is logarithmic; None as suits the picture
    setting: str | None = None  # dotted key of that on the axis; None for the one numeric setting that differs
    reference: str | None = None  # the group from which others differ

    def scale(self, errors: Iterable[float]) -> str:
        """Return ``log`` or ``linear``, for an axis of such errors, kcal/mol."""
        known = list(errors)
        return "log" if (max(known) >= RATIO * min(known) > 0 if self.log is None else self.log) else "linear"


def looks(methods: Sequence[str]) -> list[Look]:
    """Return the look of each group by its rule or baseline, which sets the color.

    Several groups of one rule differ in line style and marker; where all have one rule, in color as well.
    """
    seen, made = Counter[str](), []
    alone = len(set(methods)) == 1 < len(methods)
    for method in methods:
        index = METHODS.index(method) if method in METHODS else len(METHODS)
        k = seen[method] + (0 if alone else index)
        color, line = COLORS[(k if alone else index) % len(COLORS)], LINES[k % len(LINES)]
        if method in CONTROLS and not alone:
            color, line = "#999999", "--"
        made.append({"color": color, "linestyle": line, "marker": MARKERS[k % len(MARKERS)]})
        seen[method] += 1
    return made


def looks_of(groups: Iterable[Iterable[RunFold]]) -> list[Look]:
    """Return the look of each of some groups of folds, as `looks` does."""
    methods = []
    for folds in groups:
        keys = ("imported", "baseline.model", "variant")
        found = {next(filter(None, map(fold.run.settings.get, keys))) for fold in folds}
        methods.append(found.pop() if len(found) == 1 else "")
    return looks(methods)


def image_format(path: Path) -> str:
    """Return the format that a file's name asks for; raises UsageError if it is none of `FORMATS`."""
    name = path.suffix.removeprefix(".").lower()
    if name not in FORMATS:
        raise UsageError(f"{path} is not the name of a picture: it should end in .png, .svg or .pdf")
    return name


def save(figure: "Figure", path: Path) -> None:
    """Write a picture in the format that the file's name asks for; the same picture gives the same bytes."""
    content = _rendered(figure, image_format(path))
    write_file(path, lambda file: file.write(content))


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
def _style() -> Iterator[None]:
    matplotlib = import_extra("matplotlib", "plots", "pictures need")
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        yield


@contextmanager
def drawing(height: float, width: float = WIDTH) -> Iterator["Figure"]:
    """Give an empty figure, `height` in inches and `width` in mm, in this style; legend and note add to its height."""
    with _style():
        figure = import_extra("matplotlib.figure", "plots", "pictures need").Figure
        yield figure(figsize=(width / INCH, height), layout="constrained")


def _heighten(figure: "Figure", rows: int) -> None:
    figure.set_figheight(figure.get_figheight() + rows * ROW)


def add_legend(figure: "Figure", least: int = 2) -> None:
    """Put a legend of all axes above them; fewer names than `least` need none."""
    own = {name: handle for axes in figure.axes for handle, name in zip(*axes.get_legend_handles_labels(), strict=True)}
    names = [printable(name) for name in own]
    if len(names) >= least:
        columns = max(1, int(figure.get_figwidth() / (0.45 + 0.055 * max(map(len, names)))))
        _heighten(figure, math.ceil(len(names) / columns))
        figure.legend(own.values(), names, loc="outside upper center", ncols=columns, columnspacing=1.2)


def plain_ticks(axis: "Axis") -> None:
    """Label an axis, if it is logarithmic, with numbers written out, no more than there is room for."""
    if axis.get_scale() != "log":
        return
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator  # noqa: PLC0415 - an extra

    low, high = axis.get_view_interval()
    steps = {0: (1, 2, 3, 5, 7), 1: (1, 2, 5), 2: (1, 3)}.get(int(math.log10(high / low)), (1,))
    axis.set_major_locator(LogLocator(subs=steps) if high > 2 * low else MaxNLocator(5))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))


def drawable(comparison: Comparison, limit: float = math.inf) -> list[Group]:
    """Return the groups that have a complete fold; raises QM7Error if there are none, or more than a picture holds."""
    groups = [group for group in comparison.groups if group.folds]
    if not groups:
        raise QM7Error("there is nothing to draw: no fold is complete")
    if len(groups) > limit:
        raise QM7Error(f"there are {len(groups)} groups, more than this picture can hold ({limit}); choose fewer runs")
    return groups


def explain(figure: "Figure", comparison: Comparison, options: Options, *notes: str, diverged: bool = True) -> None:
    """Say below a picture, which becomes higher by as much, what it shows, and which folds have no error to draw."""
    without = ", and is drawn without these"
    told = [
        f"{each.name} {each.divergence}{without if each.folds else ''}" for each in comparison.groups if each.diverged
    ]
    text = "; ".join(filter(None, [*notes, *(told if diverged else ())]))
    if options.caption and text:
        wrapped = textwrap.fill(printable(text), int(LETTERS * figure.get_figwidth() * INCH / WIDTH))
        _heighten(figure, wrapped.count("\n") + 1)
        figure.supxlabel(wrapped[0].upper() + wrapped[1:], x=0.03, ha="left", fontsize=7)


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
