"""`qm7 clean`: checkpoints of finished folds."""

import io
import os
import pty
import shutil

import pytest

from conftest import qm7_path
from qm7cli.core.errors import QM7Error
from qm7cli.core.locks import lock
from qm7cli.runs.checkpoints import find_checkpoints, remove_checkpoint


@pytest.fixture
def run(three_variants, tmp_path):
    """A run of 300 iterations, two folds."""
    shutil.copytree(three_variants / "original", tmp_path / "run")
    return tmp_path / "run"


def tree(run):
    return {path.relative_to(run): path.read_bytes() for path in run.rglob("*") if path.is_file()}


def test_it_removes_the_checkpoints_and_nothing_else(command, run):
    before = tree(run)
    done = command("clean", "run", "--yes")
    assert done.stdout.startswith("removed: 2 checkpoints of 1 run, ")
    removed = before.keys() - tree(run).keys()
    assert {str(path) for path in removed} == {"fold-0/checkpoint.npz", "fold-1/checkpoint.npz"}
    assert {path: before[path] for path in tree(run)} == tree(run)
    assert command("clean", "run", "--yes").stdout == "nothing to remove: no finished fold has a checkpoint\n"


def test_a_fold_without_its_checkpoint_is_complete_and_cannot_go_on(command, run, quick_flags):
    command("clean", "run", "--yes")
    again = ["train", *quick_flags, "--fold", "0", "--out", "run", "--quiet"]
    command(*again)
    before = tree(run)
    done = command(*again, "--iterations", "400", status=1)
    assert done.stderr == (
        "qm7: run/fold-0/checkpoint.npz is missing, as qm7 clean leaves a fold: the 300 iterations that are done "
        "cannot go on to 400; --overwrite trains it from the start\n"
    )
    assert tree(run) == before
    command(*again, "--iterations", "400", "--overwrite")
    assert (run / "fold-0/checkpoint.npz").exists()


def test_without_a_terminal_to_ask_on_it_removes_nothing(command, run, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    before = tree(run)
    done = command("clean", "run", status=1)
    assert done.stderr.startswith("qm7: nothing is removed: there is no terminal to ask on")
    assert "2 checkpoints of 1 run" in done.stderr
    assert tree(run) == before


@pytest.mark.parametrize(("answer", "left"), [(b"y\n", 0), (b"n\n", 2), (b"\n", 2), (b"\x04", 2)])
def test_it_asks_on_a_terminal(run, tmp_path, answer, left):
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(tmp_path)
        os.execv(qm7_path(), ["qm7", "clean", "run"])  # noqa: S606
    shown = b""
    while b"[y/N] " not in shown:
        shown += os.read(terminal, 10_000)
    assert b"could not go on to more iterations" in shown
    os.write(terminal, answer)
    try:
        while text := os.read(terminal, 10_000):
            shown += text
    except OSError:  # the terminal is gone with its process
        pass
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert len(list(run.glob("fold-*/checkpoint.npz"))) == left
    assert (b"nothing is removed" in shown) == (left == 2)


def test_folds_that_are_held_or_unfinished_keep_their_checkpoints(command, run):
    with lock(run / "fold-0/.lock"):
        done = command("clean", "run", "--yes")
    assert "1 unfinished fold keeps its checkpoint" in done.stderr
    assert [path.parent.name for path in run.glob("fold-*/checkpoint.npz")] == ["fold-0"]
    text = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(text.replace("iterations: 300", "iterations: 400"))
    assert "1 unfinished fold keeps its checkpoint" in command("clean", "run", "--yes").stderr
    (run / "config.yaml").write_text(text)
    (run / "fold-0/model.npz").unlink()
    assert "1 unfinished fold keeps its checkpoint" in command("clean", "run", "--yes").stderr
    assert (run / "fold-0/checkpoint.npz").exists()


def test_what_began_to_train_since_it_was_looked_at_is_not_touched(run):
    (first, second), others = find_checkpoints(run)
    assert (others, first.size) == (0, first.path.stat().st_size)
    with lock(run / "fold-0/.lock"), pytest.raises(QM7Error, match="trained by another process"):
        remove_checkpoint(first)
    config = run / "config.yaml"
    config.write_text(config.read_text().replace("iterations: 300", "iterations: 400"))
    with pytest.raises(QM7Error, match="not finished any more"):
        remove_checkpoint(second)
    assert first.path.exists()
    assert second.path.exists()
