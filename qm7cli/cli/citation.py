"""What to cite, as BibTeX: this program, and the work that it reproduces and builds on."""

from importlib.resources import files


def citation() -> str:
    """Return the entries of the file that comes with the program."""
    return files("qm7cli").joinpath("data/bundled/qm7cli.bib").read_text(encoding="utf-8")
