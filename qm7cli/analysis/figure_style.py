"""How all pictures look: as wide as a column of a paper (85 mm) or as is asked, with letters of 7 and 8 points.

    with drawing(2.2) as figure:
        axes = figure.subplots()
    save(figure, Path("picture.pdf"))

The colours are Okabe & Ito's, which colour-blind people can tell apart, in an order in which neighbours are not the
same grey; line styles and markers differ as well. Dashed grey is for controls. A user's own settings of matplotlib
change nothing: the same runs give the same bytes.
"""

import io
import math
import re
import textwrap
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from qm7cli.core.errors import QM7Error, UsageError
from qm7cli.core.files import write_output

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

WIDTH: Final = 85.0  # mm
INCH: Final = 25.4  # mm
DPI: Final = 300
ROW: Final = 9.5 / 72  # inches, a line of small letters
LETTERS: Final = 50  # small ones in a row of `WIDTH`, beside the sample in a legend
COLOURS: Final = ("#0072B2", "#D55E00", "#000000", "#CC79A7", "#009E73", "#E69F00", "#56B4E9")
LINES: Final = ("-", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (10, 1)))
MARKERS: Final = ("o", "s", "^", "D", "v", "P", "X", "<")
GROUP_STYLES: Final[list[dict[str, Any]]] = [  # of the groups in turn; 35 that differ in colour or line style
    {"color": COLOURS[k % len(COLOURS)], "linestyle": LINES[k % len(LINES)], "marker": MARKERS[k % len(MARKERS)]}
    for k in range(len(COLOURS) * len(LINES))
]
CONTROL_STYLES: Final[list[dict[str, Any]]] = [  # of controls in turn
    {"color": "0.6", "linestyle": "--", "marker": marker} for marker in ("d", "*", "p", "h", "|", "_")
]
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
    "savefig.dpi": DPI,
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


def image_format(path: Path) -> str:
    """Return the format that a file's name asks for; raises QM7Error if it is none of `FORMATS`."""
    name = path.suffix.removeprefix(".").lower()
    if name not in FORMATS:
        raise UsageError(f"{path} is not the name of a picture: it should end in .png, .svg or .pdf")
    return name


def save(figure: "Figure", path: Path, dpi: int = DPI) -> None:
    """Write a picture in the format that the file's name asks for; raises QM7Error if it cannot.

    What is made of dots has `dpi` of them per inch. The same picture gives the same bytes.
    """
    content = _rendered(figure, image_format(path), dpi)
    write_output(path, lambda file: file.write(content))


def as_svg(figure: "Figure", prefix: str) -> str:
    """Return a picture as an element of an HTML page, its letters as text that can be found and read aloud.

    `prefix` goes before its ids, which are then its own there. Where the font is missing, others are narrower.
    """
    text = _rendered(figure, "svg", svg_letters="none").decode()
    return re.sub(r'( id="|href="#|url\(#)', rf"\g<1>{prefix}-", text[text.index("<svg ") :])


def _rendered(figure: "Figure", format_: str, dpi: int = DPI, svg_letters: str = "path") -> bytes:
    file = io.BytesIO()
    with _style() as matplotlib, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # a sign that the font lacks is a box
        matplotlib.rcParams["svg.fonttype"] = svg_letters
        figure.savefig(file, format=format_, dpi=dpi, metadata=dict.fromkeys(FORMATS[format_]))
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
    """Give an empty figure, `height` in inches and `width` in mm, that is drawn in the style of this page.

    A title stands above it and makes it higher.
    """
    with _style() as matplotlib:
        figure = matplotlib.figure.Figure(figsize=(width / INCH, height), layout="constrained")
        if title:
            figure.suptitle(wrap_name(title, _letters(figure)), fontsize=8)
            _heighten(figure, figure.get_suptitle(), ROW * 8 / 7)
        yield figure


def _letters(figure: "Figure") -> int:
    """Return how many small letters a row of a figure holds."""
    return int(LETTERS * figure.get_figwidth() * INCH / WIDTH)


def _heighten(figure: "Figure", text: str, row: float = ROW) -> None:
    figure.set_figheight(figure.get_figheight() + (text.count("\n") + 1) * row)


def wrap_name(name: str, letters: int = LETTERS) -> str:
    """Return a name in lines of so many letters; bytes that are not text are escaped."""
    return textwrap.fill(name.encode(errors="backslashreplace").decode(), letters)


def add_legend(figure: "Figure", axes: "Axes", least: int = 2) -> None:
    """Put a legend above the axes and make the figure higher by as much; fewer groups than `least` need none."""
    handles, names = axes.get_legend_handles_labels()
    letters = _letters(figure)
    if len(names) >= least:
        labels = [wrap_name(name, letters) for name in names]
        columns = max(1, (letters + 6) // (max(map(len, labels)) + 6))
        rows = math.ceil(len(labels) / columns) * max(label.count("\n") + 1 for label in labels)
        figure.set_figheight(figure.get_figheight() + rows * ROW)
        legend = figure.legend(handles, labels, loc="outside upper center", ncols=columns, columnspacing=1.2)
        if figure.get_suptitle():  # matplotlib would put both in one place
            legend.set_title(figure.get_suptitle())
            legend.get_title().set_fontsize(8)
            figure.suptitle("")


def add_note(figure: "Figure", text: str) -> None:
    """Say something below a picture, and below the label that its axes share, and make the figure higher by as much."""
    if text:
        note, label = wrap_name(text[0].upper() + text[1:], int(1.2 * _letters(figure))), figure.get_supxlabel()
        if label:
            figure.supxlabel(f"{label}\n{note}", fontsize=7)
        else:
            figure.supxlabel(note, x=0.03, ha="left", fontsize=7)
        _heighten(figure, note)


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
