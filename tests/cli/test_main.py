"""A command does the same in the process of the tests, where most of them run it, as in one of its own."""

import pytest

from conftest import run_alone, run_here
from qm7cli.cli import main
from qm7cli.cli.main import COMMANDS as NAMES
from qm7cli.data.molecules import BOHR

TRAIN = "train --set network.hidden=[20] --iterations 20 --set evaluation.draws=2 --fold 0 --out run --quiet"
COMMANDS = [
    "--version",
    "--help",
    "info",
    "info --data none.mat",
    "split --scheme random --output folds.yaml",
    "augment --fold 0 --draws 2 --encode --output set.npz --quiet",
    "train --print-config",
    TRAIN,
    "baseline --model linear --fold 0 --out linear --quiet",
    "sweep sweep.yaml --quiet --jobs 1",
    "eval run --part both",
    "collect run --format csv",
    "compare run",
    "plot run --kind folds --output folds.svg",
    "report run --output report.html",
    "experiments",
    "status run",
    "--cite",
    "gradcheck --format yaml",
    "centering run --format json",
    "predict run water.xyz",
    "convert water.xyz --energy-key energy --count 2 --output mine.npz",
    "download --dest x.mat --url http://127.0.0.1:1/x --quiet",
]


def test_every_command_is_among_them():
    assert {line.split()[0] for line in COMMANDS if line} >= NAMES.keys()


@pytest.fixture
def directory(tmp_path, mat):
    """Makes a directory with what the commands read."""

    def make(name):
        path = tmp_path / name
        path.mkdir()
        (path / "sweep.yaml").write_text(
            "{base: {network: {hidden: [20]}, training: {iterations: 20}, split: {folds: [0]}}, grid: {seed: [0, 1]}}"
        )
        frame = f"3\nenergy=-232.8\nO 0 0 0\nH 0 0 {1.8 * BOHR}\nH 0 {1.8 * BOHR} 0\n"
        (path / "water.xyz").write_text(2 * frame)
        (path / "x.mat").write_bytes(mat.read_bytes())
        return path

    return make


@pytest.mark.parametrize("line", COMMANDS)
def test_output_and_exit_status_are_those_of_a_process_of_its_own(directory, mat, line):
    both = []
    for own in (True, False):
        path = directory(str(own))
        for arguments in (TRAIN, line) if " run" in line and line != TRAIN else (line,):
            done = (run_alone if own else run_here)(arguments.split(), path, QM7_DATA=str(mat))
        both.append((done.returncode, done.stdout, done.stderr))
    assert both[0] == both[1]


def test_a_bug_is_not_taken_for_a_shortage_and_told_in_a_sentence(monkeypatch):
    def fail(*_):
        raise RuntimeError("list changed during iteration")

    monkeypatch.setattr("qm7cli.data.soundness.describe", fail)
    with pytest.raises(RuntimeError, match="list changed"):
        main.run(["info", "--data", "gfn7"])
