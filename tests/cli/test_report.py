"""`qm7 report`."""

import re

import pytest


@pytest.fixture
def page(command, three_variants, tmp_path):
    """The page of the runs."""
    done = command("report", three_variants, "--output", "report.html")
    assert (done.stdout, done.stderr) == ("report.html\n", "")
    return tmp_path / "report.html"


def test_the_reference_the_groups_and_the_margin_are_chosen_and_in_its_command(command, three_variants, tmp_path):
    options = ("--by", "variant", "--reference", "variant=corrected", "--margin", "0.5")
    command("report", three_variants, "--output", "x.html", *options)
    text = (tmp_path / "x.html").read_text()
    assert re.findall(r"<p>([\w-]+) (?:is better than|is worse than|against) ([\w-]+)[ :]", text) == [
        ("original", "corrected"),
        ("no-prebias", "corrected"),
    ]
    assert f"{' '.join(options)} --output FILE.html</code>" in text


def test_what_was_there_stays_when_it_fails(command, page, three_variants):
    before = page.read_bytes()
    command("report", three_variants, "--output", "report.html", "--reference", "variant=none", status=1)
    command("report", "nowhere", "--output", "report.html", status=1)
    assert page.read_bytes() == before
