"""How all pictures look: as wide as a column of a paper (85 mm) or as is asked, with letters of 7 and 8 points.

    with drawing(2.2) as figure:
        axes = figure.subplots()
    save(figure, Path("picture.pdf"))

A rule or a baseline has one color (of Okabe & Ito's, which color-blind people can tell apart), marker and line style in
every picture; dashed gray is for controls. A user's own settings of matplotlib change nothing.
"""

import io
import math
import re
import textwrap
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from qm7cli.core.errors import QM7Error, UsageError, printable
from qm7cli.core.files import write_file
from qm7cli.model.baseline_names import HYPERPARAMETERS
from qm7cli.model.variants import CONTROLS, RULES

if TYPE_CHECKING:
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

Look = dict[str, Any]  # color, line style and marker, as matplotlib takes them
WIDTH: Final = 85.0  # mm
INCH: Final = 25.4  # mm
ROW: Final = 9.5 / 72  # inches, a line of small letters
LETTERS: Final = 50  # small ones in a row of `WIDTH`, beside the sample in a legend
COLORS: Final = ("#0072B2", "#D55E00", "#000000", "#CC79A7", "#009E73", "#E69F00", "#56B4E9")
LINES: Final = ("-", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (10, 1)))
MARKERS: Final = ("o", "s", "^", "D", "v", "P", "X")
PALEST: Final = 0.6  # share of white in the color of the last of several groups of one rule
METHODS: Final = [*(rule for rule in RULES if rule not in CONTROLS), *filter(None, HYPERPARAMETERS)]
FORMATS: Final = {"png": (), "svg": ("Date", "Creator", "Format", "Type"), "pdf": ("CreationDate",)}  # omitted metadata
STYLE: Final[dict[str, Any]] = {
    "font.size": 8,
    **dict.fromkeys(("axes.titlesize", "legend.fontsize", "xtick.labelsize", "ytick.labelsize"), 7),
    "legend.title_fontsize": 8,
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


def looks(methods: Sequence[str]) -> list[Look]:
    """Return the look of each group by its rule or baseline, which sets the color and the marker.

    Several groups of one rule get paler and differ in line style; where all have one rule, they differ in all.
    """
    if len(set(methods)) == 1 < len(methods):
        return [_look(k) for k in range(len(methods))]
    counts, seen, made = Counter(methods), Counter[str](), []
    for method in methods:
        k, index = seen[method], METHODS.index(method) if method in METHODS else len(METHODS)
        look = {"color": "#999999", "linestyle": "--", "marker": "d"} if method in CONTROLS else _look(index, k)
        share = PALEST * k / max(1, counts[method] - 1)
        made.append(look | {"color": _paler(look["color"], share)})
        seen[method] += 1
    return made


def _look(k: int, line: int = 0) -> Look:
    color, marker = COLORS[k % len(COLORS)], MARKERS[k % len(MARKERS)]
    return {"color": color, "linestyle": LINES[(k + line) % len(LINES)], "marker": marker}


def _paler(color: str, share: float) -> str:
    """Return a color, #RRGGBB, mixed with a share of white."""
    parts = (int(color[k : k + 2], 16) for k in (1, 3, 5))
    return "#" + "".join(f"{round(part + (255 - part) * share):02X}" for part in parts)


def load_matplotlib() -> ModuleType:
    """Return matplotlib; raises QM7Error if it is not installed."""
    try:
        import matplotlib.figure  # noqa: PLC0415 - an extra, and slow to import
    except ImportError as error:
        raise QM7Error("pictures are drawn by matplotlib, which is missing: pip install 'qm7cli[plots]'") from error
    return matplotlib


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
def _style() -> Iterator[ModuleType]:
    matplotlib = load_matplotlib()
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        yield matplotlib


@contextmanager
def drawing(height: float, width: float = WIDTH, title: str = "") -> Iterator["Figure"]:
    """Give an empty figure, `height` in inches and `width` in mm, in this style; legend, title and note add to it."""
    with _style() as matplotlib:
        figure = matplotlib.figure.Figure(figsize=(width / INCH, height), layout="constrained")
        if title:
            figure.suptitle(_heighten(figure, title), fontsize=8)
        yield figure


def _heighten(figure: "Figure", text: str, letters: int = LETTERS) -> str:
    """Return a text in lines that a figure can hold, and make the figure higher by as much."""
    wrapped = textwrap.fill(printable(text), int(letters * figure.get_figwidth() * INCH / WIDTH))
    figure.set_figheight(figure.get_figheight() + (wrapped.count("\n") + 1) * ROW)
    return wrapped


def add_legend(figure: "Figure", least: int = 2) -> None:
    """Put a legend of all axes above them, below the title; fewer names than `least` need none."""
    own = {name: handle for axes in figure.axes for handle, name in zip(*axes.get_legend_handles_labels(), strict=True)}
    names = [printable(name) for name in own]
    if len(names) >= least:
        columns = max(1, int(figure.get_figwidth() / (0.45 + 0.055 * max(map(len, names)))))
        figure.set_figheight(figure.get_figheight() + math.ceil(len(names) / columns) * ROW)
        frame: dict[str, Any] = {"loc": "outside upper center", "ncols": columns, "columnspacing": 1.2}
        figure.legend(own.values(), names, title=figure.get_suptitle() or None, **frame)
        figure.suptitle("")  # matplotlib would put both in one place


def add_note(figure: "Figure", text: str) -> None:
    """Say something below a picture."""
    if text:
        figure.supxlabel(_heighten(figure, text[0].upper() + text[1:], 62), x=0.03, ha="left", fontsize=7)


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
