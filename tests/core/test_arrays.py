import struct
import zipfile

import numpy as np
import pytest

from qm7cli.core import arrays
from qm7cli.core.errors import QM7Error


def test_the_same_arrays_give_the_same_bytes(tmp_path):
    for name in ("one", "two"):
        arrays.write_arrays(tmp_path / name, {"a": np.arange(3), "b": np.array("text")})
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_arrays_read_back_and_nothing_is_unpickled(tmp_path):
    arrays.write_arrays(tmp_path / "x", {"a": np.arange(3)})
    np.testing.assert_array_equal(arrays.read_arrays(tmp_path / "x")["a"], np.arange(3))
    np.savez(tmp_path / "p.npz", a=np.array([{}], dtype=object))
    with pytest.raises(QM7Error, match="is damaged"):
        arrays.read_arrays(tmp_path / "p.npz")


@pytest.mark.parametrize(
    "damage", [lambda b: b[:-30], lambda b: b[:60] + b"?" + b[61:], lambda _: b"", lambda _: b"x" * 99]
)
def test_damaged_arrays_are_one_sentence(tmp_path, damage):
    path = tmp_path / "x"
    arrays.write_arrays(path, {"a": np.arange(300.0)})
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(QM7Error, match="x is damaged"):
        arrays.read_arrays(path)


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
        arrays.read_arrays(path)


def test_nothing_compressed_is_unpacked_of_an_archive_of_ours(tmp_path):
    path = tmp_path / "x"
    arrays.write_arrays(path, {"a": np.arange(3)})
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive, archive.open("bomb.npy", "w") as member:
        for _ in range(100):
            member.write(bytes(10**6))
    with pytest.raises(QM7Error, match="bomb is compressed as this file's arrays are not"):
        arrays.read_arrays(path)
    assert list(arrays.parse_arrays(path.read_bytes(), ["a"])) == ["a"]
    with pytest.raises(QM7Error, match="its arrays have 100000000 bytes, more than 1000"):
        arrays.parse_arrays(path.read_bytes(), ["bomb"], 1000)


def test_two_members_in_the_same_bytes_are_not_read_twice(tmp_path):
    path = tmp_path / "x"
    arrays.write_arrays(path, {"a": np.arange(1000), "b": np.arange(1000)})
    content = path.read_bytes()
    start = content.index(b"PK\1\2")
    entry = content[start : content.index(b"PK\1\2", start + 4)]
    entries = b"".join(entry.replace(b"a.npy", b"%c.npy" % letter) for letter in b"abcdefgh")
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 8, 8, len(entries), start, 0)
    path.write_bytes(content[:start] + entries + end)
    with pytest.raises(QM7Error, match="its arrays have 65024 bytes, more than "):
        arrays.read_arrays(path)
