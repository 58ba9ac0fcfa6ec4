import subprocess
from pathlib import Path

import qm7cli
from qm7cli.runs.results import current_environment


def test_the_environment_is_plain_and_names_what_gives_the_digits():
    found = current_environment()
    assert all(value is None or type(value) in {str, int} for value in found.model_dump().values())
    assert "openblas" in found.blas
    assert found.qm7cli == qm7cli.__version__
    assert found.cpu


def test_the_commit_is_that_of_the_checkout():
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        assert current_environment().git is None
        return
    command = ["git", "-C", str(root), "rev-parse", "HEAD"]
    head = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert head.startswith(current_environment().git.removesuffix("-dirty"))
