import os
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from conftest import within
from kills import deaths
from qm7cli.core import files
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
    with pytest.raises(QM7Error, match=r"cannot read .*: it is a directory"):
        files.read_text(tmp_path)


def test_csv_is_data_whose_floats_read_back_the_same():
    numbers = [0.1 + 0.2, np.float64(1 / 3), -1e-300]
    header, line = files.format_csv(["a,b", "=b", "'c"], [numbers]).splitlines()
    assert header == '"a,b",=b,\'c'
    assert [float(cell) for cell in line.split(",")] == numbers


def test_a_directory_where_a_file_is_is_one_sentence(tmp_path):
    (tmp_path / "x").write_text("")
    with pytest.raises(QM7Error, match="x is a file, not a directory"):
        files.make_directory(tmp_path / "x")
    with pytest.raises(QM7Error, match="cannot make the directory"):
        files.make_directory(tmp_path / "x" / "y")


def test_a_write_killed_before_any_change_leaves_the_old_or_the_new(tmp_path):
    files.write_text(tmp_path / "x", "old")
    for _ in deaths(lambda: files.write_text(tmp_path / "x", "new")):
        assert (tmp_path / "x").read_text() in {"old", "new"}
    assert (tmp_path / "x").read_text() == "new"


def test_two_who_write_a_file_at_once_each_write_it_whole(tmp_path):
    path = tmp_path / "x"

    def write(file):
        file.write(b"a" * 100_000)
        files.write_text(path, "b")
        assert path.read_text() == "b"
        file.write(b"a")

    files.write_file(path, write)
    assert path.read_text() == 100_001 * "a"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_and_a_device_keep_their_place(tmp_path):
    (tmp_path / "target").write_text("before")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    files.write_text(tmp_path / "link", "after")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == "after"
    files.write_text(Path("/dev/null"), "gone")
    assert Path("/dev/null").is_char_device()
    with pytest.raises(QM7Error, match=r"cannot write .*: Is a directory"):
        files.write_text(tmp_path, "text")


def test_a_file_is_on_the_disk_before_it_takes_its_place(tmp_path, monkeypatch):
    done = []

    def noted(name, really):
        return lambda *args: (done.append(name), really(*args))[1]

    monkeypatch.setattr(os, "fsync", noted("fsync", os.fsync))
    monkeypatch.setattr(Path, "replace", noted("replace", Path.replace))
    files.write_text(tmp_path / "x", "text")
    assert done == ["fsync", "replace"]


class One(files.About):
    kind: Literal["one"] = "one"
    number: float


class Two(files.About):
    kind: Literal["two"] = "two"


@pytest.fixture
def path(tmp_path):
    """A file of arrays."""
    files.save_arrays(tmp_path / "x.npz", One(number=0.1), {"a": np.arange(300.0)})
    return tmp_path / "x.npz"


def test_arrays_read_back_as_what_they_are_and_the_same_ones_give_the_same_bytes(path, tmp_path):
    about, read = files.load_arrays(path, Two, One)
    assert about == files.load_about(path, One) == One(number=0.1)
    np.testing.assert_array_equal(read.pop("a"), np.arange(300.0))
    assert not read
    files.save_arrays(tmp_path / "y.npz", about, {"a": np.arange(300.0)})
    assert (tmp_path / "y.npz").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("damage", [lambda b: b[:-30], lambda b: b[:200] + b"?" + b[201:], lambda _: b"x" * 99])
def test_a_damaged_file_or_one_of_another_kind_is_one_sentence(path, damage):
    sentence = r"x.npz is damaged or from another version; --overwrite trains it again"
    with pytest.raises(QM7Error, match=sentence):
        files.load_arrays(path, Two)
    path.write_bytes(damage(path.read_bytes()))
    for read in (files.load_arrays, files.load_about):
        with pytest.raises(QM7Error, match=sentence):
            read(path, One)
