"""No command writes into a run, or over what it reads; what was there stays."""

import re
import shutil

import pytest

from qm7cli.cli.main import app
from qm7cli.core.errors import QM7Error

WATER = "3\nenergy=-200\nO 0 0 0\nH 0 0 0.96\nH 0.93 0 -0.24\n" * 2
COMMANDS = {  # but for the output
    "eval": "eval run --output",
    "predict": "predict --run run water.xyz --output",
    "split": "split --scheme random --output",
    "gradcheck": "gradcheck --output",
    "augment": "augment --output",
    "collect": "collect run --output",
    "compare": "compare run --output",
    "plot": "plot run --kind curves --output",
    "report": "report run --output",
    "centering": "centering run --output",
    "centering's plot": "centering run --plot",
    "convert": "convert water.xyz --energy-key energy --count 2 --force --output",
    "download": "download --url http://127.0.0.1:1/ --sha256 any --force --dest",
}
ENDINGS = {"split": ".yaml", "plot": ".svg", "centering's plot": ".png", "convert": ".npz"}
INPUTS = {
    "eval": "data.mat",
    "predict": "water.xyz",
    "split": "data.yaml",
    "gradcheck": "data.mat",
    "augment": "data.mat",
    "collect": "bare/results.yaml",
    "compare": "bare/results.yaml",
    "report": "bare/results.yaml",
    "centering": "data.mat",
    "centering's plot": "data.png",
}


@pytest.fixture
def refused(tmp_path, three_variants, mat, monkeypatch):
    """Runs a command with an output, and gives the sentence that refuses it."""
    for name in ("run", "other"):
        shutil.copytree(three_variants / "original", tmp_path / name)
    (tmp_path / "water.xyz").write_text(WATER)
    (tmp_path / "link").symlink_to("other/fold-0")
    (tmp_path / "bare").mkdir()
    shutil.copy(three_variants / "original/results.yaml", tmp_path / "bare")
    monkeypatch.chdir(tmp_path)

    def run(command, output, data="data.mat"):
        shutil.copy(mat, data)
        monkeypatch.setenv("QM7_DATA", data)
        before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
        with pytest.raises(QM7Error) as error:
            app([*command.split(), output], standalone_mode=False)
        assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
        return str(error.value)

    return run


@pytest.mark.parametrize("place", ["run", "other/fold-1", "link"])
@pytest.mark.parametrize("name", COMMANDS)
def test_an_output_anywhere_in_any_run_is_refused(refused, tmp_path, name, place):
    output = f"{place}/x{ENDINGS.get(name, '')}"
    (tmp_path / output).write_text("of the run")
    sentence = refused(COMMANDS[name], output)
    run = "run" if place == "run" else "(/.*/)?other"
    assert re.fullmatch(f"{re.escape(output)} lies in the run {run}; choose another output", sentence)


@pytest.mark.parametrize("name", INPUTS)
def test_an_output_over_what_is_read_is_refused(refused, name):
    read = INPUTS[name]
    command = COMMANDS[name].replace(" run ", f" {'bare' if 'bare' in read else 'run'} ")
    sentence = refused(command, read, data=read if read.startswith("data") else "data.mat")
    reason = "lies in the run bare" if "bare" in read else "is also read here"
    assert sentence == f"{read} {reason}; choose another output"


@pytest.mark.parametrize(
    "command", ["split --scheme folds.yaml --output", "augment --fold 0 --split folds.yaml --output"]
)
def test_a_split_file_that_is_read_is_not_written_over(refused, command):
    app(["split", "--scheme", "random", "--output", "folds.yaml", "--data", "gfn7"], standalone_mode=False)
    assert refused(f"{command}", "folds.yaml") == "folds.yaml is also read here; choose another output"


def test_molecules_that_are_read_are_not_written_over(refused, tmp_path):
    (tmp_path / "water.npz").write_text(WATER)
    sentence = refused(COMMANDS["convert"].replace(".xyz", ".npz"), "water.npz")
    assert sentence == "water.npz is also read here; choose another output"
