"""`qm7 --cite`."""

import re
from pathlib import Path

import pytest
import yaml

import qm7cli
from qm7cli.cli.citation import WORKS

CITATION = yaml.safe_load((Path(__file__).parents[2] / "CITATION.cff").read_text())


def test_it_cites_what_the_citation_file_lists():
    assert CITATION["version"] == qm7cli.__version__
    own, *others = WORKS
    assert [author["name"] for author in CITATION["authors"]] == [family for family, _ in own.authors]
    assert [work.title for work in others] == [reference["title"] for reference in CITATION["references"]]
    for work, reference in zip(others, CITATION["references"], strict=True):
        assert [{"family-names": family, "given-names": given} for family, given in work.authors] == reference[
            "authors"
        ]
        names = {"collection-title": "booktitle", "start": "pages"}
        fields = {
            names.get(key, key): str(value)
            for key, value in reference.items()
            if key not in {"type", "title", "authors"}
        }
        assert work.place == fields


def test_as_text_it_has_every_title_and_the_version_in_80_columns(command):
    text = command("--cite").stdout
    assert text == command("--cite", "text").stdout
    assert all(work.title in " ".join(text.split()) for work in WORKS)
    assert f"version {qm7cli.__version__}" in text
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize("form", [["--cite", "bibtex"], ["--cite=bibtex"]])
def test_as_bibtex_it_is_plain_ascii_with_balanced_braces(command, form):
    text = command(*form).stdout
    assert text.isascii()
    assert re.findall(r"^@(\w+)\{(\w+),$", text, re.MULTILINE) == [(work.kind, work.key) for work in WORKS]
    assert text.count("{") == text.count("}")
    assert r"Montavon, Gr{\'e}goire and Hansen, Katja" in text
    assert r"M{\"u}ller, Klaus-Robert" in text
