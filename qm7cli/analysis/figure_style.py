"""How all pictures look, and what those of a comparison share.

A rule or a baseline has one color and one marker in every picture (the first seven colors are Okabe & Ito's, which
color-blind people can tell apart); dashed gray is for controls. A user's own settings of matplotlib change nothing.
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
from numpy.typing import NDArray

from qm7cli.analysis.compare import Comparison
from qm7cli.analysis.groups import Group, Key, group_name
from qm7cli.core.errors import QM7Error, UsageError, import_extra, printable
from qm7cli.core.files import write_file
from qm7cli.model.baseline_names import HYPERPARAMETERS
from qm7cli.model.variants import CONTROLS, RULES, display_name
from qm7cli.runs.collect import RunFold

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Look = dict[str, Any]  # color, line style and marker, as matplotlib takes them
Placed = tuple[str, str, Look]  # title of a group's panel, its name in the legend, and its look
WIDTH: Final = 85.0  # mm
INCH: Final = 25.4  # mm
ROW: Final = 9.5 / 72  # inches, a line of small letters
LETTERS: Final = 62  # small ones in a row of `WIDTH`
RATIO: Final = 10  # errors that differ by as much need a logarithmic axis
MOST: Final = 4  # groups in one panel
OKABE_ITO: Final = ("#0072B2", "#D55E00", "#000000", "#CC79A7", "#009E73", "#E69F00", "#56B4E9")
COLORS: Final = (*OKABE_ITO, "#882255", "#44AA99", "#332288", "#AA4499", "#117733")  # and five of Tol's
LINES: Final = ("-", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (10, 1)))
MARKERS: Final = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "h", "8")
FILLS: Final = ("full", "none", "left", "bottom")
NETWORKS: Final = [rule for rule in RULES if rule not in CONTROLS]
METHODS: Final = [*NETWORKS[:3], *filter(None, HYPERPARAMETERS), *NETWORKS[3:]]  # a new rule changes no color
METHOD_KEYS: Final = ("variant", "baseline.", "imported")  # begin settings that make no panel
PHRASES: Final = {  # of settings in the titles of panels, for people
    "encoding.center": "features centered: {}",
    "network.offset": "offset {:g}",
    "target.subtract": "{} subtracted",
    "training.iterations": "{:,} iterations",
}
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


def looks(methods: Sequence[str], titles: Sequence[str] = ()) -> list[Look]:
    """Return the look of each group by its rule or baseline, which sets color and marker; "" is that of several.

    Several groups of one rule in the panel of one title differ in opacity, line style and the marker's filling. Later
    rules are drawn smaller, so that they do not hide what they coincide with.
    """
    seen, known = Counter[Any](), [*METHODS]
    made: list[Look] = []
    for place, (method, title) in enumerate(zip(methods, titles or [""] * len(methods), strict=True)):
        name = method or f" {place}"
        known += [name] * (name not in known and name not in CONTROLS)
        k = seen[name, title]
        seen[name, title] += 1
        index = known.index(name) if name in known else 1
        color, marker, line = (own[index % len(own)] for own in (COLORS, MARKERS, LINES[k:] + LINES[:k]))
        if name in CONTROLS:
            color, marker, line = "#999999", "*", line if k else "--"
        size = max(3 - index, 0) / 2
        look: Look = {"color": color, "linestyle": line, "marker": marker, "alpha": 1 - 0.25 * (k % 4)}
        made.append(look | {"fillstyle": FILLS[k % 4], "markersize": 3 + size, "linewidth": 1 + size / 2})
    return made


def looks_of(groups: Iterable[Iterable[RunFold]], titles: Sequence[str] = ()) -> list[Look]:
    """Return the look of each of some groups of folds, as `looks` does."""
    keys = ("imported", "baseline.model", "variant")
    found = [{next(filter(None, map(fold.run.settings.get, keys))) for fold in folds} for folds in groups]
    return looks([own.pop() if len(own) == 1 else "" for own in found], titles)


def image_format(path: Path) -> str:
    """Return the format that a file's name asks for; raises UsageError if it is none of `FORMATS`."""
    name = path.suffix.removeprefix(".").lower()
    if name not in FORMATS:
        raise UsageError(f"{path} is not the name of a figure: it should end in .png, .svg or .pdf")
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
    matplotlib = import_extra("matplotlib", "plots", "figures need")
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        yield


@contextmanager
def drawing(height: float, width: float = WIDTH) -> Iterator["Figure"]:
    """Give an empty figure, `height` in inches and `width` in mm, in this style; legend and note add to its height."""
    with _style():
        figure = import_extra("matplotlib.figure", "plots", "figures need").Figure
        yield figure(figsize=(width / INCH, height), layout="constrained")


def in_panels(drawn: Sequence[tuple[str, Mapping[str, Any], Iterable[RunFold]]]) -> list[Placed]:
    """Return where and how groups are drawn, which are given as name, settings and folds.

    Up to `MOST` groups have one panel, "". More have a panel, with its title, for each difference besides the rule;
    baselines are then in all of them.
    """
    rows = [own for _, own, _ in drawn]
    keys = [key for key in dict.fromkeys(key for own in rows for key in own) if not key.startswith(METHOD_KEYS)]
    keys = [key for key in keys if len({str(own[key]) for own in rows if own.get(key) is not None}) > 1]
    titles = [""] * len(rows)
    if len(rows) > MOST:
        shown = [{key: own[key] for key in keys if own.get(key) is not None} for own in rows]
        fixed = [own.get("baseline.model") or own.get("imported") for own in rows]
        titles = ["" if everywhere else _title(own) for own, everywhere in zip(shown, fixed, strict=True)]
    rules = [display_name(own.get("variant") or "") for own in rows]
    names = [rule if title else name for title, rule, (name, *_) in zip(titles, rules, drawn, strict=True)]
    return [*zip(titles, names, looks_of([folds for *_, folds in drawn], titles), strict=True)]


def _title(settings: Mapping[str, Any]) -> str:
    return ", ".join(
        minus(PHRASES[key].format(value)) if key in PHRASES else group_name({key: value}, [key], short=True)
        for key, value in settings.items()
    )


def add_panels(figure: "Figure", placed: Iterable[Placed], x: str, y: str) -> list[list["Axes"]]:
    """Return the axes of each group, with the labels `x` and `y` and the same scales; without a title it is in all."""
    titles = [title for title, *_ in placed]
    names = [*dict.fromkeys(filter(None, titles))] or [""]
    columns = min(len(names), max(1, int(figure.get_figwidth() * INCH / 42)))
    rows = math.ceil(len(names) / columns)
    figure.set_figheight(figure.get_figheight() * (1 + 0.75 * (rows - 1)))
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    letters = int(0.85 * LETTERS * figure.get_figwidth() * INCH / WIDTH / columns)
    for k, (axes, name) in enumerate(zip(grid, names, strict=False)):
        axes.set_title(textwrap.fill(printable(name[:1].upper() + name[1:]), letters))
        axes.set_ylabel((y.replace(" (", "\n(") if rows > 1 else y) if k % columns == 0 else "")
        axes.set_xlabel(textwrap.fill(x, max(letters, 12)) if k + columns >= len(names) else "")
        axes.tick_params(labelbottom=k + columns >= len(names))
    for unused in grid[len(names) :]:
        unused.remove()
    return [[figure.axes[names.index(title)]] if title else figure.axes for title in titles]


def minus(text: str) -> str:
    """Return a number's text with a minus sign in place of a hyphen before a digit."""
    return re.sub(r"(?<![\w.])-(?=[\d.])", "\N{MINUS SIGN}", text)


def add_legend(figure: "Figure", least: int = 2) -> None:
    """Put a legend of all axes above them; fewer names than `least` need none."""
    own = {name: handle for axes in figure.axes for handle, name in zip(*axes.get_legend_handles_labels(), strict=True)}
    names = [printable(name) for name in own]
    if len(names) < least:
        return
    for rows in range(1, len(names) + 1):
        widest = [max(map(len, names[k : k + rows])) for k in range(0, len(names), rows)]
        if sum(0.45 + 0.055 * letters for letters in widest) <= figure.get_figwidth():
            break
    figure.set_figheight(figure.get_figheight() + rows * ROW)
    figure.legend(own.values(), names, loc="outside upper center", ncols=len(widest), columnspacing=1.2)


def plain_ticks(figure: "Figure") -> None:
    """Label the logarithmic axes of panels with numbers written out, no more than there is room for."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator  # noqa: PLC0415 - an extra

    every = [(axes.xaxis, len(figure.axes) > 1) for axes in figure.axes] + [(axes.yaxis, False) for axes in figure.axes]
    for axis, narrow in every:
        if axis.get_scale() == "log":
            low, high = axis.get_view_interval()
            decades = int(math.log10(high / low)) + 2 * narrow
            steps = {0: (1, 2, 3, 5, 7), 1: (1, 2, 5), 2: (1, 3)}.get(decades, (1,))
            axis.set_major_locator(LogLocator(subs=steps) if high > 2 * low else MaxNLocator(5))
            axis.set_minor_locator(NullLocator())
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))


def drawable(comparison: Comparison, limit: float = math.inf) -> list[Group]:
    """Return the groups that have a complete fold; raises QM7Error if there are none, or more than a picture holds."""
    groups = [group for group in comparison.groups if group.folds]
    if not groups:
        raise QM7Error("there is nothing to draw: no fold is complete")
    if len(groups) > limit:
        raise QM7Error(f"there are {len(groups)} groups, more than this figure can hold ({limit}); choose fewer runs")
    return groups


def explain(figure: "Figure", comparison: Comparison, options: Options, *notes: str, diverged: bool = True) -> None:
    """Say below a picture, which becomes higher by as much, what it shows, and which folds have no error to draw."""
    without = ", and is drawn without these"
    gone = [each for each in comparison.groups if each.diverged and diverged]
    told = [f"{each.name} {each.divergence}{without if each.folds else ''}" for each in gone]
    text = "; ".join(filter(None, [*notes, *told]))
    if options.caption and text:
        wrapped = textwrap.fill(printable(text), int(LETTERS * figure.get_figwidth() * INCH / WIDTH))
        figure.set_figheight(figure.get_figheight() + (wrapped.count("\n") + 1) * ROW)
        figure.supxlabel(wrapped[0].upper() + wrapped[1:], x=0.03, ha="left", fontsize=7)


def deviation_note(comparison: Comparison, mean: str, bar: str) -> str:
    """Say what shows the mean and what the standard deviation over folds, if a group has several."""
    count = max(len({key[0] for key in group.folds}) for group in comparison.groups)
    return f"{mean}: mean over {count} folds; {bar}: \N{PLUS-MINUS SIGN} SD over folds" if count > 1 else ""


def fold_means(errors: Mapping[Key, Any]) -> NDArray[np.float64]:
    """Return the mean error of each fold over seeds, and whatever else differs: (folds,), or (folds, ...) of arrays."""
    by_fold: dict[int, list[Any]] = {}
    for key, value in errors.items():
        by_fold.setdefault(key[0], []).append(value)
    return np.array([np.mean(values, axis=0) for values in by_fold.values()])
