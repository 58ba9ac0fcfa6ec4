"""The pages of docs/: what they show is run, and what is generated is current."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import make_reference
import pytest
import sessions
import yaml

from conftest import children, wait_for
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


@pytest.fixture
def shell(tmp_path, mat):
    """Runs a script with the installed qm7 and the small data set, for 30 iterations or as many as it is told."""

    def start(script, iterations=30, **environment):
        short = re.sub(r"--iterations \d+", f"--iterations {iterations}", script)
        assert short != script
        return subprocess.Popen(
            ["bash", "-c", short],
            cwd=tmp_path,
            env={
                **os.environ,
                "QM7_DATA": str(mat),
                "PATH": f"{tmp_path}/bin:{Path(sys.executable).parent}:{os.environ['PATH']}",
                **environment,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


def trained(tmp_path):
    """Return the complete folds of each run, and the bytes of the models."""
    results = {path.parent.name: yaml.safe_load(path.read_text()) for path in tmp_path.glob("runs/*/results.yaml")}
    folds = {name: [f["fold"] for f in run["folds"] if f["status"] == "complete"] for name, run in results.items()}
    return folds, {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.glob("runs/*/fold-*/model.npz")}


def finish(process):
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 0, stderr


def test_the_shell_ways_to_run_many_folds_do_so_and_with_the_same_bits(shell, tmp_path):
    found = []
    for script in snippets("sweeps.md", "sh"):
        program = script.split()[0]
        if program == "parallel" and not shutil.which(program):
            continue  # the others are run all the same
        finish(shell(script.replace("0 1 2 3 4", "0 3")))
        found.append(trained(tmp_path))
        shutil.rmtree(tmp_path / "runs")
    assert len(found) >= 2
    assert found[0][0] == {f"small-{variant}-seed0": [0, 1, 2, 3, 4] for variant in VARIANTS}
    assert found[1][0] == {f"small-{variant}-seed0": [0, 3] for variant in VARIANTS}
    assert found[1][1].items() <= found[0][1].items()
    assert all(other == found[1] for other in found[2:])


def test_the_slurm_script_survives_preemption_and_requeue(shell, tmp_path):
    (script,) = snippets("sweeps.md", "bash")
    (tmp_path / "bin").mkdir()
    for name, body in (("srun", 'exec "$@"'), ("scontrol", 'echo "$@" >> requeued')):
        (tmp_path / "bin" / name).write_text(f"#!/bin/bash\n{body}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    task = {"SLURM_ARRAY_TASK_ID": "8", "SLURM_ARRAY_JOB_ID": "77"}  # corrected, fold 3
    fold = tmp_path / "runs/small-corrected-seed0/fold-3"
    process = shell(script, iterations=2000, **task)
    result = fold / "result.yaml"
    wait_for(lambda: result.exists() and "iteration: [1000" in result.read_text(), process)
    os.kill(next(iter(children(process))), signal.SIGTERM)  # what srun passes on
    process.communicate(timeout=60)
    assert process.returncode == 143
    assert (tmp_path / "requeued").read_text() == "requeue 77_8\n"
    assert 1000 <= yaml.safe_load(result.read_text())["iterations"] < 2000
    finish(shell(script, iterations=2000, **task))
    requeued = trained(tmp_path)
    assert requeued[0] == {"small-corrected-seed0": [3]}
    shutil.rmtree(tmp_path / "runs")
    finish(shell(script, iterations=2000, **task))
    assert trained(tmp_path) == requeued


def test_the_sweep_files_and_the_recipes_for_clusters_are_what_they_should_be(tmp_path):
    shutil.copy(DOCS.parent / "experiments/paper.yaml", tmp_path)
    for text in snippets("sweeps.md", "yaml"):
        (tmp_path / "sweep.yaml").write_text(text)
        assert len(read_sweep(tmp_path / "sweep.yaml")) > 1
    for recipe in snippets("sweeps.md", "python"):
        compile(recipe, "sweeps.md", "exec")
