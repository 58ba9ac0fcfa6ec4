"""What shells complete: Typer's answers, asked for as the scripts do that it installs."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from conftest import QUICK, qm7_path

BIN = str(Path(qm7_path()).parent)


@pytest.fixture
def ask(tmp_path):
    """Asks qm7, as bash, zsh or fish does, what completes a command line; returns what bash would put there."""
    for name in ("small-original-seed0", "group/small-corrected-seed0-network.offset=0.5"):
        (tmp_path / "runs" / name / "fold-0").mkdir(parents=True)
    (tmp_path / "mine.yaml").write_text("training: {iterations: 5}")
    (tmp_path / "grid.yaml").write_text("grid: {seed: [0, 1]}")

    def ask(words, shell="bash"):
        if shell == "bash":
            parts = words.replace("=", "\n=\n").replace(" ", "\n").replace("\n\n", "\n").split("\n")
            parts = parts[:-1] if words.endswith("=") else parts  # bash is at the sign then
            asked = {"COMP_WORDS": "\n".join(parts), "COMP_CWORD": str(len(parts) - 1)}
        else:
            asked = {"_TYPER_COMPLETE_ARGS": words, "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
        done = subprocess.run(
            [qm7_path()],
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], "_QM7_COMPLETE": f"complete_{shell}", **asked},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.stderr == ""
        return done.stdout.splitlines()

    return ask


@pytest.mark.parametrize(
    ("words", "completions"),
    [
        ("qm7 tr", ["train"]),
        ("qm7 train --var", ["--variant"]),
        ("qm7 train --variant ", ["original", "corrected", "no-prebias", "uncompensated"]),
        ("qm7 train --variant=c", ["corrected"]),
        ("qm7 plot --kind f", ["folds"]),
        ("qm7 train --split s", ["stratified"]),
        ("qm7 eval --data g", ["gfn7"]),
        ("qm7 train --config q", ["quick"]),
        ("qm7 train --config m", ["mine.yaml"]),
        ("qm7 sweep g", ["grid.yaml"]),
        ("qm7 sweep v", ["variants"]),
        ("qm7 collect ", [
            "runs/group", "runs/group/small-corrected-seed0-network.offset=0.5", "runs/small-original-seed0",
        ]),
        ("qm7 clean runs/group/small-corrected-seed0-network.offset=", ["0.5"]),
        ("qm7 train --set network.", ["network.hidden", "network.offset", "network.bias"]),
        ("qm7 train --set training.it", ["training.iterations=", "training.iterations=1000000"]),
        ("qm7 train --set variant=or", ["original"]),
        ("qm7 train --set encoding.centre=", ["true", "false"]),
        ("qm7 train --set split.scheme=r", ["random"]),
        ("qm7 compare --by training.b", ["training.batch_size"]),
        ("qm7 --cite b", ["bibtex"]),
        ("qm7 train --fold x --jobs y --kind", []),
        ("qm7 collect elsewhere/", []),
    ],
)  # fmt: skip
def test_bash_gets_what_follows_the_part_of_the_word_that_it_has(ask, words, completions):
    assert ask(words) == completions


@pytest.mark.parametrize(
    ("words", "completions"),
    [
        ("qm7 train --set variant=or", ["variant=original"]),
        ("qm7 train --variant=c", ["--variant=corrected"]),
        ("qm7 train --variant c", ["corrected"]),
    ],
)
def test_fish_and_zsh_get_the_whole_word(ask, words, completions):
    assert ask(words, "fish") == completions
    assert ask(words, "zsh") == [f"_arguments '*: :((\"{word}\"))'" for word in completions]


def test_every_setting_is_completed_with_its_default(ask):
    found = ask("qm7 train --set ")
    assert {assignment.partition("=")[0] for assignment in QUICK} <= set(found)
    assert "split.sha256" not in found


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_takes_the_script_that_it_is_shown(tmp_path, shell):
    if not shutil.which(shell):
        pytest.skip(f"there is no {shell}")
    env = {"PATH": f"{BIN}:{os.environ['PATH']}", "HOME": str(tmp_path), "_QM7_TEST": ""}
    shown = subprocess.run(  # ":" keeps the shell from being replaced by its last command
        [shell, "-c", "qm7 --show-completion; :"], env=env, capture_output=True, text=True, timeout=120, check=True
    ).stdout
    assert "_QM7_COMPLETE=complete_" + shell in shown
    subprocess.run([shell, "-n"], input=shown, capture_output=True, text=True, timeout=60, check=True)


def test_bash_completes_with_the_installed_script(tmp_path):
    if not shutil.which("bash"):
        pytest.skip("there is no bash")
    env = {"PATH": f"{BIN}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    subprocess.run(["bash", "-c", "qm7 --install-completion; :"], env=env, capture_output=True, timeout=120, check=True)
    script = (
        "source ~/.bashrc; COMP_WORDS=(qm7 train --set variant = or); COMP_CWORD=5; _qm7_completion qm7;"
        ' printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(["bash", "-c", script], env=env, capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout == "original\n"
