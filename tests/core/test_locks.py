import subprocess
import sys

import pytest

from qm7cli.core import locks
from qm7cli.core.errors import BusyError, QM7Error, StoppedError, notices_to


def test_a_lock_is_refused_while_another_process_has_it_and_free_when_that_is_dead(tmp_path):
    path = tmp_path / ".lock"
    program = (
        "import sys; from pathlib import Path; from qm7cli.core.locks import lock\n"
        "with lock(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    )
    assert not locks.is_held(path)
    holder = subprocess.Popen([sys.executable, "-c", program, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout.readline() == b"held\n"
    assert locks.is_held(path)
    with pytest.raises(BusyError, match="it is busy"), locks.lock(path, busy="it is busy"):
        pass
    holder.kill()
    holder.communicate()
    assert not locks.is_held(path)
    with locks.lock(path, busy="it is busy"):
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


def test_a_lock_where_there_is_no_directory_is_one_sentence(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(QM7Error, match=r"cannot lock .*file/x: "), locks.lock(tmp_path / "file/x"):
        pass
