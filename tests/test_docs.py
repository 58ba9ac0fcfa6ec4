"""The pages of docs/: what they show is run."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"


def snippets(page, language):
    return re.findall(rf"```{language}\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)


@pytest.mark.parametrize("library", ["sklearn", "torch"])
def test_other_libraries_learn_from_an_augmented_set(command, small, tmp_path, library):
    if not importlib.util.find_spec(library):
        pytest.skip(f"{library} is not installed")
    (commands,) = snippets("augmented-sets.md", "sh")
    for line in commands.splitlines():
        assert line.startswith("qm7 ")
        command(*line.split()[1:])
    (program,) = (text for text in snippets("augmented-sets.md", "python") if library in text)
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stderr == ""
    mae = float(re.fullmatch(r"test MAE (\d+\.\d\d) kcal/mol\n", done.stdout)[1])
    assert mae < small.T.std() / 2  # it has learnt something
