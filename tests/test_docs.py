"""The pages of docs/: what they show is run, and what is generated is current."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import make_reference
import pytest
import sessions

from qm7cli.training.sweep import read_sweep

DOCS = Path(__file__).parents[1] / "docs"
VARIANTS = ("original", "corrected", "no-prebias")


def snippets(page, language):
    return re.findall(rf"```{language}\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)


@pytest.mark.parametrize("page", make_reference.PAGES)
def test_a_page_of_the_reference_is_what_the_code_says(page):
    told = (DOCS / page).read_text()
    assert told == make_reference.PAGES[page](), f"make reference writes {page} anew"
    rows = re.findall(r"^\| `[^|]*\| *(.*?) *\|", told, re.MULTILINE)
    assert len(rows) > 25
    assert all(rows)  # everything has a meaning


def test_the_first_hour_goes_as_it_is_told_in_a_fifth_of_the_iterations(tmp_path):
    page = (DOCS / "first-hour.md").read_text()
    page = re.sub(r"--iterations (\d+)", lambda told: f"--iterations {int(told[1]) // 5}", page)
    for shown, done in zip(sessions.steps(page), sessions.run(page, tmp_path), strict=True):
        if not shown.command.startswith("qm7 compare"):  # whose verdicts differ
            assert sessions.differences(shown.printed, done.printed) == [], shown.command
    assert (tmp_path / "first-hour.png").read_bytes().startswith(b"\x89PNG")


def test_a_session_that_goes_otherwise_is_noticed():
    told = "MAE  RMSE\n6.06  9.93\n"
    assert not sessions.differences(told, "MAE   RMSE\n16.06  9.99\n")
    assert sessions.differences(told, "MAE  bias\n6.06  9.93\n")
    assert sessions.differences(told, told + "done\n")


def test_another_library_learns_from_an_augmented_set(command, small, tmp_path):
    pytest.importorskip("sklearn")
    (commands,) = snippets("augmented-sets.md", "sh")
    for line in commands.splitlines():
        assert line.startswith("qm7 ")
        command(*line.split()[1:])
    (program,) = (text for text in snippets("augmented-sets.md", "python") if "sklearn" in text)
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stderr == ""
    mae = float(re.fullmatch(r"test MAE (\d+\.\d\d) kcal/mol\n", done.stdout)[1])
    assert mae < small.T.std() / 2  # it has learnt something


def test_predictions_of_another_library_are_imported_and_compared_as_the_page_shows(tmp_path):
    pytest.importorskip("sklearn")
    (program,) = snippets("import.md", "python")
    (tmp_path / "krr.py").write_text(program)
    assert sessions.problems((DOCS / "import.md").read_text(), tmp_path, {"QM7_DATA": str(tmp_path / "none")}) == []


def test_the_sweep_files_and_the_scripts_and_recipes_for_clusters_are_what_they_should_be(tmp_path):
    shutil.copy(DOCS.parent / "experiments/paper.yaml", tmp_path)
    for text in snippets("sweeps.md", "yaml"):
        (tmp_path / "sweep.yaml").write_text(text)
        assert len(read_sweep(tmp_path / "sweep.yaml")) > 1
    for recipe in snippets("sweeps.md", "python"):
        compile(recipe, "sweeps.md", "exec")
    for script in (*snippets("sweeps.md", "sh"), *snippets("sweeps.md", "bash")):
        subprocess.run(["bash", "-n"], input=script, text=True, check=True)
