"""README is short, its links lead somewhere, and its session runs from a wheel, outside of the checkout."""

import os
import re
from pathlib import Path

import sessions

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_its_session_goes_as_it_is_told_from_a_wheel(installed, tmp_path):
    environment = {"PATH": f"{installed}:{os.environ['PATH']}", "QM7_DATA": str(tmp_path / "none"), "PYTHONPATH": ""}
    assert sessions.steps(README)
    assert sessions.problems(README, tmp_path, environment) == []


def test_it_is_short_and_its_links_and_targets_of_make_are_there():
    assert len(README.splitlines()) <= 120
    links = re.findall(r"\]\((?!\w+:)([^)#]+)", README)
    assert len(links) > 15
    assert not [link for link in links if not (ROOT / link).exists()]
    made = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {"run", "test", "docs"} <= set(re.findall(r"make (\w+)", README)) & made
