"""`qm7 --cite`."""

from pathlib import Path

import yaml

import qm7cli

CITATION = yaml.safe_load((Path(__file__).parents[2] / "CITATION.cff").read_text())


def test_it_prints_what_the_citation_file_lists_as_bibtex(command):
    text = command("--cite").stdout
    assert f"version {qm7cli.__version__}" in text
    assert CITATION["version"] == qm7cli.__version__
    assert text.isascii()
    assert text.count("{") == text.count("}")
    assert text.count("@") == 1 + len(CITATION["references"])
    for reference in CITATION["references"]:
        assert f"{{{reference['title']}}}" in text
        assert f"{{{reference['year']}}}" in text
        assert f"{reference['authors'][1]['family-names']}, {reference['authors'][1]['given-names']}" in text
