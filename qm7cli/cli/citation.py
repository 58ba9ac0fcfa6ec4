"""What to cite: this program, and the work that it reproduces and builds on."""

import textwrap
import unicodedata
from collections.abc import Iterator
from typing import Final, Literal, NamedTuple

import qm7cli
from qm7cli.cli.tables import WIDTH

Style = Literal["text", "bibtex"]
_ACCENTS: Final = {"\N{COMBINING ACUTE ACCENT}": "'", "\N{COMBINING DIAERESIS}": '"'}  # and how BibTeX writes them


class Work(NamedTuple):
    """What is cited; `authors` are family and given names, `place` is where it stands, by the fields of BibTeX."""

    kind: Literal["misc", "inproceedings", "article"]
    key: str
    authors: tuple[tuple[str, str], ...]
    title: str
    place: dict[str, str]
    reason: str


WORKS: Final = (
    Work(
        "misc",
        "qm7cli",
        (("The qm7cli developers", ""),),
        "qm7cli",
        {"note": f"version {qm7cli.__version__}"},
        "this program",
    ),
    Work(
        "inproceedings",
        "montavon2012",
        (
            ("Montavon", "Grégoire"),
            ("Hansen", "Katja"),
            ("Fazli", "Siamac"),
            ("Rupp", "Matthias"),
            ("Biegler", "Franziska"),
            ("Ziehe", "Andreas"),
            ("Tkatchenko", "Alexandre"),
            ("von Lilienfeld", "O. Anatole"),
            ("Müller", "Klaus-Robert"),
        ),
        "Learning Invariant Representations of Molecules for Atomization Energy Prediction",
        {"booktitle": "Advances in Neural Information Processing Systems 25", "year": "2012"},
        "the network",
    ),
    Work(
        "article",
        "rupp2012",
        (
            ("Rupp", "Matthias"),
            ("Tkatchenko", "Alexandre"),
            ("Müller", "Klaus-Robert"),
            ("von Lilienfeld", "O. Anatole"),
        ),
        "Fast and Accurate Modeling of Molecular Atomization Energies with Machine Learning",
        {"journal": "Physical Review Letters", "volume": "108", "pages": "058301", "year": "2012"},
        "QM7",
    ),
    Work(
        "article",
        "blum2009",
        (("Blum", "Lorenz C."), ("Reymond", "Jean-Louis")),
        "970 Million Druglike Small Molecules for Virtual Screening in the Chemical Universe Database GDB-13",
        {"journal": "Journal of the American Chemical Society", "volume": "131", "pages": "8732", "year": "2009"},
        "QM7",
    ),
)


def format_citation(style: Style) -> str:
    """Return what to cite as text, an item for each work, or as the entries of a BibTeX file."""
    return "\n".join(map(_bibtex if style == "bibtex" else _text, WORKS))


def _text(work: Work) -> str:
    authors = ", ".join(f"{given} {family}".strip() for family, given in work.authors)
    cited = f"{work.reason}: {authors}. {work.title}. {', '.join(work.place.values())}."
    return textwrap.fill(cited, WIDTH, subsequent_indent="  ", break_on_hyphens=False) + "\n"


def _bibtex(work: Work) -> str:
    def lines() -> Iterator[str]:
        names = [", ".join(filter(None, author)) if author[1] else f"{{{author[0]}}}" for author in work.authors]
        fields = {"title": f"{{{work.title}}}", "author": " and ".join(names), **work.place}
        yield f"@{work.kind}{{{work.key},"
        yield from (f"  {name} = {{{_latex(value)}}}," for name, value in fields.items())
        yield "}"

    return "\n".join(lines()) + "\n"


def _latex(text: str) -> str:
    """Return a text with its accents as commands, which every BibTeX reads."""
    written = ""
    for sign in text:
        apart = unicodedata.normalize("NFD", sign)  # the letter and its accent
        written += f"{{\\{_ACCENTS[apart[1]]}{apart[0]}}}" if len(apart) > 1 else sign
    return written
