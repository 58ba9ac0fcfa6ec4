"""The pages of docs/: what they show is run, and what is generated is current."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import make_reference
import pytest
import sessions

from conftest import qm7_path
from qm7cli.runs.access import read_config
from qm7cli.training.sweep import read_sweep

DOCS = Path(__file__).parents[1] / "docs"


def snippets(page, language):
    return re.findall(rf"```{language}\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)


@pytest.mark.parametrize("page", ["../README", "tutorial", "index", "predict", "data", "centering", "results"])
def test_no_sentence_of_a_page_has_more_than_30_words(page):
    text = re.sub(
        r"^```.*?^```|^    .*?$|^\|.*?$|^!.*?$|\]\(\S*?\)",
        "",
        (DOCS / f"{page}.md").read_text(),
        flags=re.MULTILINE | re.DOTALL,
    )
    sentences = re.split(r"(?<=[.!?])\s+|\n\n|\n(?:- |\d+\. |#+ )", re.sub(r"`[^`]*`", "code", text))
    assert [sentence for sentence in sentences if len(sentence.split()) > 30] == []


@pytest.mark.parametrize("page", make_reference.PAGES)
def test_a_page_of_the_reference_is_what_the_code_says(page):
    told = (DOCS / page).read_text()
    assert told == make_reference.PAGES[page](), f"make reference writes {page} anew"
    rows = re.findall(r"^\| `[^|]*\| *(.*?) *\|", told, re.MULTILINE)
    assert len(rows) > 25
    assert all(rows)  # everything has a meaning


def test_the_tutorial_goes_as_it_is_told_its_first_trainings_in_a_fifth_of_the_iterations(tmp_path):
    page = (DOCS / "tutorial.md").read_text()
    page = re.sub(r"--iterations (\d+)", lambda told: f"--iterations {int(told[1]) // 5}", page)
    for shown, done in zip(sessions.steps(page), sessions.run(page, tmp_path), strict=True):
        assert sessions.differences(shown.printed, done.printed) == [], shown.command
    assert (tmp_path / "tutorial.png").read_bytes().startswith(b"\x89PNG")


def test_a_session_that_goes_otherwise_is_noticed():
    told = "MAE  RMSE\n6.06  9.93\n"
    assert not sessions.differences(told, "MAE   RMSE\n16.06  9.99\n")
    assert sessions.differences(told, "MAE  bias\n6.06  9.93\n")
    assert sessions.differences(told, told + "done\n")


def test_one_s_own_rule_goes_from_the_function_to_the_comparison_in_few_iterations(installed, tmp_path):
    (package,) = installed.parent.glob("lib/python*/site-packages/qm7cli")
    shutil.copytree(package, tmp_path / "site/qm7cli")
    (rule,), (commands,) = snippets("own-rule.md", "python"), snippets("own-rule.md", "sh")
    with (tmp_path / "site/qm7cli/model/variants.py").open("a") as variants:
        variants.write(rule)
    environment = {**os.environ, "PATH": f"{installed}:{os.environ['PATH']}", "PYTHONPATH": str(tmp_path / "site")}
    script = ["bash", "-ec", commands.replace("1000", "20 --quiet")]
    done = subprocess.run(script, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout.count("half-speed       0.00   x 1.000") == 1
    assert re.search(r"^half-speed against original is ", done.stdout, re.MULTILINE)


def test_another_library_learns_from_an_augmented_set(command, small, tmp_path):
    (commands,) = snippets("python.md", "sh")
    for line in commands.splitlines():
        assert line.startswith("qm7 ")
        command(*line.split()[1:])
    (program,) = (text for text in snippets("python.md", "python") if "train.npz" in text and "sklearn" in text)
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stderr == ""
    mae = float(re.fullmatch(r"test MAE (\d+\.\d\d) kcal/mol\n", done.stdout)[1])
    assert mae < small.T.std() / 2  # it has learnt something


def test_predictions_of_another_library_are_imported_and_compared_as_the_page_shows(tmp_path):
    pytest.importorskip("sklearn")
    (program,) = snippets("results.md", "python")
    (tmp_path / "krr.py").write_text(program)
    assert sessions.problems((DOCS / "results.md").read_text(), tmp_path, {"QM7_DATA": str(tmp_path / "none")}) == []


def test_the_sweep_files_and_the_scripts_and_recipes_for_clusters_are_what_they_should_be(tmp_path):
    shutil.copy(DOCS.parent / "experiments/paper.yaml", tmp_path)
    for text in snippets("sweeps.md", "yaml"):
        (tmp_path / "sweep.yaml").write_text(text)
        assert len(read_sweep(tmp_path / "sweep.yaml")) > 1
    for recipe in snippets("clusters.md", "python"):
        compile(recipe, "clusters.md", "exec")
    for script in snippets("sweeps.md", "sh") + snippets("clusters.md", "sh"):
        subprocess.run(["bash", "-n"], input=script, text=True, check=True)


def test_a_task_of_the_slurm_array_trains_its_fold_and_one_whose_time_is_up_is_queued_again(mat, tmp_path):
    (script,) = snippets("clusters.md", "bash")
    stub = f'srun() {{ {Path(qm7_path()).parent}/"$@" && return ${{STATUS:-0}}; }}\nscontrol() {{ echo "$@"; }}\n'
    script = stub + script.replace("--iterations 200000", "--iterations 5 --quiet --out run")
    slurm = {"SLURM_ARRAY_TASK_ID": "7", "SLURM_ARRAY_JOB_ID": "31", "QM7_DATA": str(mat)}
    for status in (0, 143):
        env = {**os.environ, **slurm, "STATUS": str(status)}
        done = subprocess.run(
            ["bash", "-c", script], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (status, "")
        assert done.stdout.endswith("requeue 31_7\n") == (status == 143)
    config = read_config(tmp_path / "run").experiment
    assert (config.variant, config.split.folds) == ("corrected", [2])
