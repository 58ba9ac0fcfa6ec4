"""Files of arrays with one JSON record, ``about``, beside them.

Nothing is pickled, and what is read is checked before it is used: kind, format, types, dtypes, shapes, and that all
numbers are ones that a training may give.
"""

from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from qm7cli.core.arrays import read_arrays, write_arrays
from qm7cli.core.errors import QM7Error
from qm7cli.core.validation import LARGEST

Arrays = dict[str, NDArray[Any]]


class About(BaseModel):
    """The plain values of a file of arrays."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    kind: str
    format: Literal[1] = 1


OwnAbout = TypeVar("OwnAbout", bound=About)


def save_arrays(path: Path, about: About, arrays: Arrays) -> None:
    """Write arrays and what they are; raises QM7Error if it cannot."""
    write_arrays(path, {"about": np.array(about.model_dump_json()), **arrays})


def load_arrays(path: Path, kind: type[OwnAbout]) -> tuple[OwnAbout, Arrays]:
    """Read what `save_arrays` has written of a kind; raises QM7Error if it cannot, or the file is of another kind."""
    arrays = read_arrays(path)
    try:
        return kind.model_validate_json(str(arrays.pop("about", "{}"))), arrays
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place, reason = ".".join(map(str, first["loc"])), first["msg"]
    except ValueError as error:  # signs that there are not
        place, reason = "", str(error)
    wanted = kind.model_fields["kind"].default
    raise QM7Error(f"{path} is no {wanted} that this version of qm7 reads: {place or 'about'}: {reason}")


def require(path: Path, name: str, *, sound: bool | np.bool) -> None:
    """Raise QM7Error if the array of a name is not sound."""
    if not sound:
        raise QM7Error(f"{path} is damaged: {name} has numbers that no training gives")


def checked_array(
    path: Path,
    arrays: Arrays,
    name: str,
    dtype: type,
    *shape: int | None,
    largest: float = LARGEST,
) -> NDArray[Any]:
    """Return an array if it has the dtype, the shape, where None is any size, and no number of `largest` or more.

    The shape is (None,) where none is given.
    """
    array = arrays.get(name, np.empty(0, dtype=bool))
    sizes = shape or (None,)
    fits = array.ndim == len(sizes) and all(size in {None, n} for size, n in zip(sizes, array.shape, strict=True))
    if array.dtype != dtype or not fits or not array.size or not array.flags.c_contiguous:
        needed = f"{np.dtype(dtype)} {tuple('any' if size is None else size for size in sizes)}"
        raise QM7Error(f"{path} is damaged: {name} is {array.dtype} {array.shape}, not {needed}")
    require(path, name, sound=-largest < float(array.min()) and float(array.max()) < largest)  # false for nan
    return array
