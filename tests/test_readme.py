"""README is short, its links lead somewhere, and its session runs from a wheel, outside of the checkout."""

import os
import re
import sys
from pathlib import Path

import sessions

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_its_session_goes_as_it_is_told_from_a_wheel(wheel, tmp_path):
    path = f"{wheel / 'bin'}:{os.environ['PATH']}"
    environment = {"PATH": path, "PYTHONPATH": str(wheel / "site"), "QM7_DATA": str(tmp_path / "none")}
    where = "$ python3 -c 'import qm7cli; print(qm7cli.__file__)'\n".replace("python3", sys.executable)
    (step,) = sessions.run(f"```console\n{where}```\n", tmp_path, environment)
    assert step.printed.startswith(str(wheel))
    assert sessions.steps(README)
    assert sessions.problems(README, tmp_path, environment) == []


def test_it_is_short_and_its_links_lead_somewhere():
    assert len(README.splitlines()) <= 120
    links = re.findall(r"\]\((?!\w+:)([^)#]+)", README)
    assert len(links) > 15
    assert not [link for link in links if not (ROOT / link).exists()]


def test_its_two_commands_are_targets_of_make():
    made = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {"run", "test", "docs"} <= set(re.findall(r"make (\w+)", README)) & made
