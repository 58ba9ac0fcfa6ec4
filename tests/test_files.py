import csv
import errno
import io
import os
import shutil
import signal
import stat
import struct
import subprocess
import sys
import zipfile
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import yaml

from conftest import within
from kills import deaths
from qm7cli import files
from qm7cli.errors import BusyError, QM7Error, StoppedError
from qm7cli.notices import notices_to


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


@pytest.mark.parametrize(
    ("shape", "descr", "reason"),
    [
        ((299,), "<f8", "cannot reshape array of size 300 into shape"),
        ((10**15,), "<f8", "cannot reshape array of size 300 into shape"),
        ((300, 0), "<f8", "cannot reshape array of size 300 into shape"),
        ((300,), "<f4", "cannot reshape array of size 600 into shape"),
        ((300,), "<U7", "buffer size must be a multiple of element size"),
        ((300,), "<U0", "itemsize cannot be zero in type"),
        ((300,), "|O", "cannot create an OBJECT array"),
    ],
)
def test_an_array_has_the_bytes_of_its_shape_and_no_others(tmp_path, shape, descr, reason):
    path = tmp_path / "x"
    with zipfile.ZipFile(path, "w") as archive, archive.open("a.npy", "w") as member:
        header = {"descr": descr, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(member, header)
        member.write(bytes(2400))
    with pytest.raises(QM7Error, match=rf"x is damaged: it cannot be read as an .npz file \({reason}"):
        files.read_arrays(path)


def test_nothing_compressed_is_unpacked_of_an_archive_of_ours(tmp_path):
    path = tmp_path / "x"
    files.write_arrays(path, {"a": np.arange(3)})
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive, archive.open("bomb.npy", "w") as member:
        for _ in range(100):
            member.write(bytes(10**6))
    with pytest.raises(QM7Error, match="bomb is compressed as this file's arrays are not"):
        files.read_arrays(path)
    assert list(files.parse_arrays(path.read_bytes(), ["a"])) == ["a"]
    with pytest.raises(QM7Error, match="its arrays have 100000000 bytes, more than 1000"):
        files.parse_arrays(path.read_bytes(), ["bomb"], 1000)


def test_two_members_in_the_same_bytes_are_not_read_twice(tmp_path):
    path = tmp_path / "x"
    files.write_arrays(path, {"a": np.arange(1000), "b": np.arange(1000)})
    content = path.read_bytes()
    start = content.index(b"PK\1\2")
    entry = content[start : content.index(b"PK\1\2", start + 4)]
    entries = b"".join(entry.replace(b"a.npy", b"%c.npy" % letter) for letter in b"abcdefgh")
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 8, 8, len(entries), start, 0)
    path.write_bytes(content[:start] + entries + end)
    with pytest.raises(QM7Error, match="its arrays have 65024 bytes, more than "):
        files.read_arrays(path)


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


def test_a_record_tells_whether_it_is_what_was_written():
    record = {"name": "x\udcff ü", "at": "2020-01-01", "id": "0123", "sizes": [1, 2.0, 1e-7, None, True], "by": {0: {}}}
    text = files.format_record(record)
    assert files.parse_record(text, "x", "do it again") == record
    assert files.parse_record(text.replace("\n", "\r\n"), "x", "do it again") == record
    assert files.parse_record("a: 1", "x", "do it again") == {"a": 1}  # of older versions
    with pytest.raises(QM7Error, match=r"x is damaged or was changed: its checksum is \w+, not '\w+'; do it again"):
        files.parse_record(text.replace("2.0", "2.1"), "x", "do it again")


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


@pytest.mark.parametrize("name", ["a\x1b[31mb", "a\u202eb", "a\x9bb", "a\nb", "a\r", "a\u2028b", "\udcff", "ä 分子"])
def test_yaml_holds_every_text_and_nothing_that_a_terminal_obeys(name):
    written = files.format_yaml({"name": name, "run": [name]})
    assert all(map(str.isprintable, written.split("\n")))
    assert files.parse_yaml(written, "x") == {"name": name, "run": [name]}
    assert ("ä" in written) == ("ä" in name)


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
    try_lock = files._try_lock

    def too_late(descriptor):
        monkeypatch.undo()
        files.remove_stale(tmp_path)
        return try_lock(descriptor)

    monkeypatch.setattr(files, "_try_lock", too_late)
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
        files.lock(tmp_path / ".lock"),
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


@pytest.mark.parametrize("anew", [False, True])
@pytest.mark.parametrize("change", [
    lambda path: files.write_text(path / "x", "text"),
    lambda path: files.write_text(path.parent / "elsewhere", "text"),
    lambda path: files.remove_file(path / "x"),
])  # fmt: skip
def test_who_has_lost_a_lock_writes_and_removes_nothing_more(tmp_path, anew, change):
    path = tmp_path / "run"
    path.mkdir()
    with files.lock(path / ".lock"):
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
    files.write_text(tmp_path / "x", "text")  # it is no matter of others


def test_who_loses_a_lock_while_writing_does_not_put_the_file_in_place(tmp_path):
    def write(file):
        (tmp_path / ".lock").unlink()
        (tmp_path / ".lock").touch()
        file.write(b"ours")

    with files.lock(tmp_path / ".lock"), pytest.raises(QM7Error, match="was removed or replaced"):
        files.write_file(tmp_path / "x", write)
    assert names(tmp_path) == [".lock"]


def test_a_lock_is_that_of_the_file_that_bears_its_name_when_it_is_held(tmp_path, monkeypatch):
    path, try_lock = tmp_path / ".lock", files._try_lock

    def too_late(descriptor):
        monkeypatch.undo()
        path.unlink()
        return try_lock(descriptor)

    monkeypatch.setattr(files, "_try_lock", too_late)
    with files.lock(path):
        files.write_text(tmp_path / "x", "text")
        with pytest.raises(QM7Error, match="it is busy"), files.lock(path, busy="it is busy"):
            pass


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


@pytest.fixture(params=["libyaml", "PyYAML"])
def _parser(request, monkeypatch):
    """Either of the two parsers."""
    if request.param == "PyYAML":
        monkeypatch.setattr(files, "_FastLoader", files._Loader)
    elif not yaml.__with_libyaml__:
        pytest.skip("PyYAML has no libyaml here")


@pytest.mark.usefixtures("_parser")
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("[010, 08, -3, +5, 0, 1_000]", [10, 8, -3, 5, 0, 1000]),
        ("[1e6, 1E-3, 1.5, 1., .5, -0.5e+3, 1_0.2_5]", [1e6, 1e-3, 1.5, 1.0, 0.5, -500.0, 10.25]),
        ("[.inf, -.INF, 1e400]", [float("inf"), -float("inf"), float("inf")]),
        ("[1:30, 1:30.5, 0x1F, 0o17, 0b11]", ["1:30", "1:30.5", "0x1F", "0o17", "0b11"]),
        ("[1_, _1, 1__0, 1e, e5, ., +, 1.2.3, --1, inf, nan]",
         ["1_", "_1", "1__0", "1e", "e5", ".", "+", "1.2.3", "--1", "inf", "nan"]),
        ("['010', \"1e6\", !!str 10, !!int 010, !!float 3]", ["010", "1e6", "10", 10, 3.0]),
        ("[null, ~, true, false, yes, no, on]", [None, None, True, False, True, False, True]),
        ("a: 1\nb: {c: [2, &x d], e: *x}\n", {"a": 1, "b": {"c": [2, "d"], "e": "d"}}),
        ("", None),
    ],
)  # fmt: skip
def test_numbers_are_decimal_and_all_else_is_yaml_s(text, value):
    read = files.parse_yaml(text, "x")
    assert read == value
    assert repr(read) == repr(value)  # 1 is not 1.0


@pytest.mark.usefixtures("_parser")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: [", "x, line 2: this is not YAML: expected the node content, but found '<stream end>'"),
        ("a: 1\na: 2", "x, line 2: this is not YAML: the key a is there twice"),
        ("!!int 1:30", "x: this is not YAML: invalid literal for int"),
        ("!!python/object:os.system {}", "x, line 1: this is not YAML: could not determine a constructor for the tag"),
        ("[" * 100_000, "x, line 1: this is not YAML: more than 100 collections are in one another"),
        ("- " * 100_000, "x, line 1: this is not YAML: more than 100 collections are in one another"),
        ("a: \udc80", "x: this is not YAML: unacceptable character"),
    ],
)
def test_what_is_not_yaml_has_the_same_sentence_whatever_parses_it(text, message):
    with pytest.raises(QM7Error) as error:
        files.parse_yaml(text, "x")
    assert str(error.value).startswith(message)


LETTERS = "abcdefghijklm"
BOMB = "a: &a [1, 2, 3]\n" + "\n".join(
    f"{later}: &{later} [{', '.join(10 * [f'*{earlier}'])}]" for earlier, later in pairwise(LETTERS)
)
CHAIN = "- &a0 [1]\n" + "\n".join(f"- &a{k + 1} [*a{k}]" for k in range(200))
MERGED = "a: &a {x: 1}\n" + "\n".join(
    f"{later}: &{later} {{<<: [*{earlier}, *{earlier}]}}" for earlier, later in pairwise(LETTERS * 2)
)


@pytest.mark.usefixtures("_parser")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BOMB, "it has 4567901234580 values, more than 1000000, when each alias is followed"),
        (f"{BOMB}\nbase: {{encoding: *m}}", "more than 1000000, when each alias is followed"),
        (CHAIN, "more than 100 collections are in one another when each alias is followed"),
        ("a: &a [{b: *a}]", "an alias stands in what it is the alias of"),
        ("!!bool maybe", "'maybe'"),
    ],
)
def test_aliases_that_stand_for_more_than_there_is_room_for_are_refused(text, message):
    with within(60), pytest.raises(QM7Error, match=rf"x(, line 1)?: this is not YAML: .*{message}"):
        files.parse_yaml(text, "x")


def test_aliases_in_moderation_are_followed():
    text = "a: &a [1, 2]\nb: [*a, *a]\nc: &c {x: 1}\nd: {<<: *c, y: 2}"
    assert files.parse_yaml(text, "x") == {"a": [1, 2], "b": [[1, 2]] * 2, "c": {"x": 1}, "d": {"x": 1, "y": 2}}


def test_many_keys_take_no_longer_than_they_must():
    keys = "".join(f"key{k}: {k}\n" for k in range(100_000))
    with within(30), pytest.raises(QM7Error, match="x, line 100001: this is not YAML: the key key7 is there twice"):
        files.parse_yaml(f"{keys}key7: 7", "x")


@pytest.mark.usefixtures("_parser")
def test_a_text_has_so_many_values_and_no_more(monkeypatch):
    monkeypatch.setattr(files, "_MOST", 1000)
    assert len(files.parse_yaml("[" + "x," * 999 + "]", "x")) == 999
    with pytest.raises(QM7Error, match="x, line 1: this is not YAML: it has more than 1000 values"):
        files.parse_yaml("[" + "x," * 1000 + "]", "x")


@pytest.mark.parametrize(
    "text", ["1e6", "010", "1:30", "0x1F", "1_000", "yes", "null", ".5", "1.", "2020-01-01", "a b"]
)
def test_a_text_that_looks_like_a_number_is_written_so_that_every_reader_takes_it_for_a_text(text):
    written = files.format_yaml({"name": text, "number": 1e-6, "whole": 10})
    for read in (files.parse_yaml(written, "x"), yaml.safe_load(written)):
        assert read == {"name": text, "number": 1e-6, "whole": 10}


def test_the_parser_in_use_is_libyaml_s_where_pyyaml_has_it():
    assert issubclass(files._FastLoader, yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader)


def test_a_stop_ends_the_wait_for_a_lock_and_it_is_said_what_is_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "SAY_AFTER", 0)
    monkeypatch.setattr(files, "GIVE_UP_AFTER", 0.2)
    said = []
    with (
        files.lock(tmp_path / "x"),
        notices_to(said.append),
        pytest.raises(StoppedError, match=f"stopped while another process held the lock {tmp_path}/x"),
        files.lock(tmp_path / "x", stopped=lambda: bool(said)),
    ):
        pass
    assert said == [f"waiting for the lock {tmp_path}/x, which another process holds"]


def test_a_lock_that_is_free_is_had_after_a_stop_too_and_one_that_must_not_be_waited_for_is_busy_at_once(tmp_path):
    with files.lock(tmp_path / "x", stopped=lambda: True), pytest.raises(BusyError, match="in use"):  # noqa: SIM117
        with files.lock(tmp_path / "x", busy="in use", stopped=lambda: False):
            pass


def test_a_signal_that_ends_the_program_leaves_no_temporary_file_even_when_that_was_just_made(tmp_path, monkeypatch):
    def open_and_be_ended(*args, really=os.open):
        descriptor = really(*args)
        os.kill(os.getpid(), signal.SIGTERM)
        return descriptor

    before = signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    monkeypatch.setattr(os, "open", open_and_be_ended)
    try:
        with pytest.raises(SystemExit):
            files.write_text(tmp_path / "x.txt", "new")
    finally:
        signal.signal(signal.SIGTERM, before)
        monkeypatch.undo()
    assert not list(tmp_path.iterdir())
