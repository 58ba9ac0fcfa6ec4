import csv
import errno
import io
import os
import signal
import stat
import sys
from pathlib import Path

import numpy as np
import pytest

from conftest import within
from kills import deaths
from qm7cli.core import files, locks
from qm7cli.core.errors import QM7Error


def test_a_failed_write_leaves_what_was_there_and_nothing_else(tmp_path):
    path = tmp_path / "x"
    files.write_text(path, "before")

    def write(file):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(QM7Error, match=r"cannot write .*x: No space left on device"):
        files.write_file(path, write)
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_in_a_missing_directory_is_one_sentence(tmp_path):
    with pytest.raises(QM7Error, match=r"cannot write .*: No such file or directory"):
        files.write_text(tmp_path / "none" / "x", "text")


def test_pipes_and_devices_are_refused_at_once_and_whatever_is_too_large(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    with within(10):
        for path in (Path("/dev/zero"), tmp_path / "fifo"):
            with pytest.raises(QM7Error, match=rf"cannot read {path}: it is a pipe or a device; put its content into"):
                files.read_text(path)
    with (tmp_path / "large").open("wb") as file:
        file.truncate(files.LARGEST_TEXT + 1)
    with pytest.raises(QM7Error, match=r"cannot read .*large: it has 32000001 bytes, more than 32000000"):
        files.read_text(tmp_path / "large")
    with pytest.raises(QM7Error, match=r"cannot read .*: Is a directory"):
        files.read_text(tmp_path)


def test_floats_in_csv_read_back_the_same():
    numbers = [0.1 + 0.2, np.float64(1 / 3), -1e-300]
    line = files.format_csv(["a", "b", "c"], [numbers]).splitlines()[1]
    assert [float(cell) for cell in line.split(",")] == numbers


def test_texts_that_a_spreadsheet_would_take_for_formulas_get_an_apostrophe_and_numbers_do_not():
    texts = ["=1+2", "+1", "-1.5", "@SUM(A1)", "\t=1", "\r=1", "'=1", "'", "a=1", "runs/-1", "", "\uff1d1"]
    numbers = [-1.5, -1, np.float64(-2.5), None, True]
    written = files.format_csv(["x"] * 17, [[*texts, *numbers]])
    (row,) = list(csv.reader(io.StringIO(written, newline="")))[1:]
    assert [cell.startswith("'") for cell in row] == [cell[:1] in tuple("=+-@\t\r'\uff1d") for cell in texts] + [
        False
    ] * 5
    assert [cell.removeprefix("'") for cell in row] == [*texts, "-1.5", "-1", "-2.5", "", "True"]


def test_a_directory_where_a_file_is_is_one_sentence(tmp_path):
    (tmp_path / "x").write_text("")
    with pytest.raises(QM7Error, match="x is a file, not a directory"):
        files.make_directory(tmp_path / "x")
    with pytest.raises(QM7Error, match="cannot make the directory"):
        files.make_directory(tmp_path / "x" / "y")


def names(directory):
    return sorted(path.name for path in directory.iterdir())


def test_a_write_killed_before_any_change_leaves_the_old_or_the_new_and_the_next_one_there_clears_up(tmp_path):
    (tmp_path / ".x.1.tmp").write_text("another program's")
    files.write_text(tmp_path / "x", "old")
    left = set()
    for _ in deaths(lambda: files.write_text(tmp_path / "x", "new")):
        assert (tmp_path / "x").read_text() in {"old", "new"}
        left.add(len(names(tmp_path)))
        files.write_text(tmp_path / "y", "another")
        assert names(tmp_path) == [".x.1.tmp", "x", "y"]
    assert 3 in left
    assert (tmp_path / "x").read_text() == "new"
    assert names(tmp_path) == [".x.1.tmp", "x", "y"]


def test_two_who_write_a_file_at_once_each_write_it_whole_even_with_the_same_process_id(tmp_path):
    path = tmp_path / "x"

    def write(file):
        file.write(b"a" * 100_000)
        file.flush()
        half = [name for name in names(tmp_path) if name != "x"]
        files.write_text(path, "b")
        assert path.read_text() == "b"
        assert names(tmp_path) == [*half, "x"]  # a living process's file is left alone
        file.write(b"a")

    files.write_file(path, write)
    assert path.read_text() == 100_001 * "a"
    assert names(tmp_path) == ["x"]


def test_what_a_planted_link_leads_to_is_not_written_over(tmp_path, monkeypatch):
    (tmp_path / "precious").write_text("precious")
    drawn = [bytes([k]) * 8 for k in range(3)]
    planted, hard, _ = (tmp_path / f".qm7-{token.hex()}.tmp" for token in drawn)
    monkeypatch.setattr(os, "urandom", lambda _: drawn.pop(0))
    monkeypatch.setattr(files, "remove_stale", lambda _: None)  # they are planted after it
    for name in (planted, tmp_path / f".x.{os.getpid()}.tmp"):
        name.symlink_to("precious")
    hard.hardlink_to(tmp_path / "precious")
    files.write_text(tmp_path / "x", "text")
    assert (tmp_path / "x").read_text() == "text"
    assert (tmp_path / "precious").read_text() == "precious"
    assert not drawn


def test_a_temporary_file_that_is_taken_for_a_dead_process_s_before_it_is_locked_is_made_again(tmp_path, monkeypatch):
    try_lock = files.try_lock

    def too_late(descriptor):
        monkeypatch.undo()
        files.remove_stale(tmp_path)
        return try_lock(descriptor)

    monkeypatch.setattr(files, "try_lock", too_late)
    files.write_text(tmp_path / "x", "text")
    assert names(tmp_path) == ["x"]


def test_where_there_are_no_locks_files_are_written_and_none_is_taken_for_a_dead_process_s(tmp_path, monkeypatch):
    def flock(*_):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr("fcntl.flock", flock)
    maybe_living = tmp_path / f".qm7-{bytes(8).hex()}.tmp"
    maybe_living.write_text("half")
    files.write_text(tmp_path / "x", "text")
    assert names(tmp_path) == [maybe_living.name, "x"]
    with (
        pytest.raises(QM7Error, match=r"cannot lock .*\.lock: Function not implemented"),
        locks.lock(tmp_path / ".lock"),
    ):
        pass


def test_a_file_keeps_its_mode_and_a_new_one_has_that_of_any_new_file(tmp_path):
    for name in ("plain", "new"):
        (tmp_path / name).write_text("")
    (tmp_path / "new").unlink()
    (tmp_path / "private").touch(mode=0o600)
    (tmp_path / "shared").touch()
    (tmp_path / "shared").chmod(0o664)
    modes = {}
    for name in ("new", "plain", "private", "shared"):
        files.write_text(tmp_path / name, "text")
        modes[name] = stat.S_IMODE((tmp_path / name).stat().st_mode)
    assert modes == {"new": modes["plain"], "plain": modes["plain"], "private": 0o600, "shared": 0o664}
    assert modes["new"] & 0o400


def test_a_link_and_a_device_keep_their_place(tmp_path):
    (tmp_path / "target").write_text("before")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    files.write_text(tmp_path / "link", "after")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == "after"
    read, write = os.pipe()
    files.write_text(Path(f"/dev/fd/{write}"), "through a pipe")
    assert os.read(read, 100) == b"through a pipe"
    for end in (read, write):
        os.close(end)
    (tmp_path / "round").symlink_to(tmp_path / "round")
    if sys.version_info < (3, 13):  # later ones replace such a link
        with pytest.raises(QM7Error, match=r"cannot write .*round: Symlink loop"):
            files.write_text(tmp_path / "round", "text")
    files.write_text(Path("/dev/null"), "gone")
    assert Path("/dev/null").is_char_device()
    with pytest.raises(QM7Error, match=r"cannot write .*: Is a directory"):
        files.write_text(tmp_path, "text")


def test_a_signal_that_ends_the_program_leaves_no_temporary_file_even_when_that_was_just_made(tmp_path, monkeypatch):
    def open_and_be_ended(*args, really=os.open):
        os.close(really(*args))
        signal.raise_signal(signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    monkeypatch.setattr(os, "open", open_and_be_ended)
    try:
        with pytest.raises(SystemExit):
            files.write_text(tmp_path / "x.txt", "new")
    finally:
        signal.signal(signal.SIGTERM, before)
        monkeypatch.undo()
    assert not list(tmp_path.iterdir())


def test_a_file_is_on_the_disk_before_it_takes_its_place(tmp_path, monkeypatch):
    done = []

    def noted(name, really):
        return lambda *args: (done.append(name), really(*args))[1]

    monkeypatch.setattr(os, "fsync", noted("fsync", os.fsync))
    monkeypatch.setattr(Path, "replace", noted("replace", Path.replace))
    files.write_text(tmp_path / "x", "text")
    assert done == ["fsync", "replace"]


@pytest.mark.parametrize(
    "write", [lambda path: files.write_output(path, None), lambda path: files.write_output_text(path, "")]
)
def test_an_output_in_a_run_is_refused_where_it_is_written(tmp_path, write):
    (tmp_path / "run/fold-0").mkdir(parents=True)
    (tmp_path / "run/config.yaml").touch()
    with pytest.raises(QM7Error, match="lies in the run"):
        write(tmp_path / "run/fold-0/model.npz")
    assert not list((tmp_path / "run/fold-0").iterdir())
