import shutil
import subprocess
import sys

import pytest

from qm7cli.core import files, locks
from qm7cli.core.errors import BusyError, QM7Error, StoppedError
from qm7cli.core.notices import notices_to


def test_a_lock_is_refused_while_another_process_has_it_and_free_when_that_is_dead(tmp_path):
    program = (
        "import sys; from pathlib import Path; from qm7cli.core.locks import lock\n"
        "with lock(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / ".lock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdout.readline() == b"held\n"
    with pytest.raises(QM7Error, match="it is busy"), locks.lock(tmp_path / ".lock", busy="it is busy"):
        pass
    holder.kill()
    holder.communicate()
    with locks.lock(tmp_path / ".lock", busy="it is busy"):
        pass


@pytest.mark.parametrize("anew", [False, True])
@pytest.mark.parametrize("change", [
    lambda path: files.write_text(path / "x", "text"),
    lambda path: files.write_text(path.parent / "elsewhere", "text"),
    lambda path: files.remove_file(path / "x"),
])  # fmt: skip
def test_who_has_lost_a_lock_writes_and_removes_nothing_more(tmp_path, anew, change):
    path = tmp_path / "run"
    path.mkdir()
    with locks.lock(path / ".lock"):
        files.write_text(path / "x", "ours")
        shutil.rmtree(path)
        if anew:
            path.mkdir()
            (path / ".lock").touch()
            (path / "x").write_text("theirs")
        before = sorted(tmp_path.rglob("*"))
        with pytest.raises(QM7Error, match="run was removed or replaced while this process worked there"):
            change(path)
        assert sorted(tmp_path.rglob("*")) == before
        assert not anew or (path / "x").read_text() == "theirs"
    files.write_text(tmp_path / "x", "text")  # other threads may write


def test_who_loses_a_lock_while_writing_does_not_put_the_file_in_place(tmp_path):
    def write(file):
        (tmp_path / ".lock").unlink()
        (tmp_path / ".lock").touch()
        file.write(b"ours")

    with locks.lock(tmp_path / ".lock"), pytest.raises(QM7Error, match="was removed or replaced"):
        files.write_file(tmp_path / "x", write)
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_a_lock_is_that_of_the_file_that_bears_its_name_when_it_is_held(tmp_path, monkeypatch):
    path, try_lock = tmp_path / ".lock", locks.try_lock

    def too_late(descriptor):
        monkeypatch.undo()
        path.unlink()
        return try_lock(descriptor)

    monkeypatch.setattr(locks, "try_lock", too_late)
    with locks.lock(path):
        files.write_text(tmp_path / "x", "text")
        with pytest.raises(QM7Error, match="it is busy"), locks.lock(path, busy="it is busy"):
            pass


def test_a_stop_ends_the_wait_for_a_lock_and_it_is_said_what_is_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "SAY_AFTER", 0)
    monkeypatch.setattr(locks, "GIVE_UP_AFTER", 0.2)
    said = []
    with (
        locks.lock(tmp_path / "x"),
        notices_to(said.append),
        pytest.raises(StoppedError, match=f"stopped while another process held the lock {tmp_path}/x"),
        locks.lock(tmp_path / "x", stopped=lambda: bool(said)),
    ):
        pass
    assert said == [f"waiting for the lock {tmp_path}/x, which another process holds"]


def test_a_lock_that_is_free_is_had_after_a_stop_too_and_one_that_must_not_be_waited_for_is_busy_at_once(tmp_path):
    with locks.lock(tmp_path / "x", stopped=lambda: True), pytest.raises(BusyError, match="in use"):  # noqa: SIM117
        with locks.lock(tmp_path / "x", busy="in use", stopped=lambda: False):
            pass
