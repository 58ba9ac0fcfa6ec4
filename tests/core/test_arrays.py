from typing import Literal

import numpy as np
import pytest

from qm7cli.core import arrays
from qm7cli.core.errors import QM7Error


class One(arrays.About):
    kind: Literal["one"] = "one"
    number: float


class Two(arrays.About):
    kind: Literal["two"] = "two"


@pytest.fixture
def path(tmp_path):
    """A file of arrays."""
    arrays.save_arrays(tmp_path / "x.npz", One(number=0.1), {"a": np.arange(300.0)})
    return tmp_path / "x.npz"


def test_arrays_read_back_as_what_they_are_and_the_same_ones_give_the_same_bytes(path, tmp_path):
    about, read = arrays.load_arrays(path, Two, One)
    assert about == arrays.load_about(path, One) == One(number=0.1)
    np.testing.assert_array_equal(read.pop("a"), np.arange(300.0))
    assert not read
    arrays.save_arrays(tmp_path / "y.npz", about, {"a": np.arange(300.0)})
    assert (tmp_path / "y.npz").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("damage", [lambda b: b[:-30], lambda b: b[:200] + b"?" + b[201:], lambda _: b"x" * 99])
def test_a_damaged_file_or_one_of_another_kind_is_one_sentence(path, damage):
    sentence = r"x.npz is damaged or from another version; --overwrite trains it again"
    with pytest.raises(QM7Error, match=sentence):
        arrays.load_arrays(path, Two)
    path.write_bytes(damage(path.read_bytes()))
    for read in (arrays.load_arrays, arrays.load_about):
        with pytest.raises(QM7Error, match=sentence):
            read(path, One)
