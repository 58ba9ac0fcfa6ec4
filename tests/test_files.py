import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from qm7cli import files
from qm7cli.errors import QM7Error


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


def test_the_same_arrays_give_the_same_bytes(tmp_path):
    for name in ("one", "two"):
        files.write_arrays(tmp_path / name, {"a": np.arange(3), "b": np.array("text")})
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_arrays_read_back_and_nothing_is_unpickled(tmp_path):
    files.write_arrays(tmp_path / "x", {"a": np.arange(3)})
    np.testing.assert_array_equal(files.read_arrays(tmp_path / "x")["a"], np.arange(3))
    np.savez(tmp_path / "p.npz", a=np.array([{}], dtype=object))
    with pytest.raises(QM7Error, match="is damaged"):
        files.read_arrays(tmp_path / "p.npz")


@pytest.mark.parametrize(
    "damage", [lambda b: b[:-30], lambda b: b[:60] + b"?" + b[61:], lambda _: b"", lambda _: b"x" * 99]
)
def test_damaged_arrays_are_one_sentence(tmp_path, damage):
    path = tmp_path / "x"
    files.write_arrays(path, {"a": np.arange(300.0)})
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(QM7Error, match="x is damaged"):
        files.read_arrays(path)


def test_floats_in_csv_read_back_the_same():
    numbers = [0.1 + 0.2, np.float64(1 / 3), -1e-300]
    line = files.format_csv(["a", "b", "c"], [numbers]).splitlines()[1]
    assert [float(cell) for cell in line.split(",")] == numbers


def test_a_lock_is_refused_while_another_process_has_it_and_free_when_that_is_dead(tmp_path):
    program = (
        "import sys; from pathlib import Path; from qm7cli.files import lock\n"
        "with lock(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / ".lock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdout.readline() == b"held\n"
    with pytest.raises(QM7Error, match="it is busy"), files.lock(tmp_path / ".lock", busy="it is busy"):
        pass
    holder.kill()
    holder.communicate()
    with files.lock(tmp_path / ".lock", busy="it is busy"):
        pass


def test_a_directory_where_a_file_is_is_one_sentence(tmp_path):
    (tmp_path / "x").write_text("")
    with pytest.raises(QM7Error, match="x is a file, not a directory"):
        files.make_directory(tmp_path / "x")
    with pytest.raises(QM7Error, match="cannot make the directory"):
        files.make_directory(tmp_path / "x" / "y")


def test_only_what_is_half_written_is_stale(tmp_path):
    (tmp_path / f".model.npz.{os.getpid()}.tmp").write_text("half")
    (tmp_path / "model.npz").write_text("whole")
    files.remove_stale(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["model.npz"]


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
