"""No command writes into a run, or over what it reads; what was there stays."""

import shutil

import pytest

from qm7cli.cli.main import app
from qm7cli.core.errors import QM7Error

PLACES = {  # of an output that is refused, by the command but for it
    "eval run --output": ("run/x", "data.mat"),
    "collect run --output": ("run/fold-0/predictions.csv",),
    "compare run --output": ("run/results.yaml", "link/x"),
    "plot run --kind curves --output": ("run/x.svg",),
    "report run --output": ("run/x.html",),
    "centering run --output": ("run/x", "data.mat"),
}


@pytest.mark.parametrize(("command", "output"), [(line, place) for line, own in PLACES.items() for place in own])
def test_an_output_over_what_is_read_is_refused(tmp_path, three_variants, mat, monkeypatch, command, output):
    shutil.copytree(three_variants / "original", tmp_path / "run")
    (tmp_path / "link").symlink_to("run/fold-0")
    data = output if output.startswith("data") else "data.mat"
    shutil.copy(mat, tmp_path / data)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("QM7_DATA", data)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(QM7Error) as error:
        app([*command.split(), output], standalone_mode=False)
    reason = "is also read here" if output == data else "lies in the run run"
    assert str(error.value) == f"{output} {reason}; choose another output"
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
