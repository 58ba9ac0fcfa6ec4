"""A command does the same in the process of the tests, where most of them run it, as in one of its own."""

import pytest

from conftest import run_alone, run_here
from qm7cli.cli import main

TRAIN = "train --set network.hidden=[20] --iterations 20 --set evaluation.draws=2 --fold 0 --out run --quiet"


@pytest.mark.parametrize("lines", [["info --data none.mat"], ["--cite"], [TRAIN, "compare run --format json"]])
def test_output_and_exit_status_are_those_of_a_process_of_its_own(tmp_path, mat, lines):
    both = []
    for start in (run_alone, run_here):
        path = tmp_path / start.__name__
        path.mkdir()
        for line in lines:
            done = start(line.split(), path, QM7_DATA=str(mat))
        both.append((done.returncode, done.stdout, done.stderr))
    assert both[0] == both[1]


def test_a_bug_is_not_taken_for_a_shortage_and_told_in_a_sentence(monkeypatch):
    def fail(*_):
        raise RuntimeError("list changed during iteration")

    monkeypatch.setattr("qm7cli.data.soundness.describe", fail)
    with pytest.raises(RuntimeError, match="list changed"):
        main.run(["info", "--data", "gfn7"])
