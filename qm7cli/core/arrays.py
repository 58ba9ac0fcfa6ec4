"""Arrays in ``.npz`` files, and files of arrays with one JSON record, ``about``, beside them.

Nothing is pickled. The reader of a file with a record checks its kind, format, dtypes, shapes and numbers first.
"""

import io
import json
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from qm7cli.core.errors import DamagedError, QM7Error, brief
from qm7cli.core.files import read_bytes, write_file
from qm7cli.core.validation import LARGEST, first_mistake

Arrays = dict[str, NDArray[Any]]


def write_arrays(path: Path, arrays: Arrays) -> None:
    """Replace `path` by an ``.npz`` file; the same arrays give the same bytes."""
    write_file(path, lambda file: np.savez(file, **arrays))  # type: ignore[arg-type] # no array is named allow_pickle


def read_arrays(path: Path, largest: int | None = None) -> Arrays:
    """Read all arrays of a file that `write_arrays` has written; raises QM7Error if it cannot be read or is damaged.

    `largest` is as for `parse_arrays`.
    """
    content = read_bytes(path)
    try:
        return parse_arrays(content, largest=largest)
    except QM7Error as error:
        raise QM7Error(f"{path} is damaged: it cannot be read as an .npz file ({error})") from error


def parse_arrays(content: bytes, names: Iterable[str] | None = None, largest: int | None = None) -> Arrays:
    """Read the arrays in the content of an ``.npz`` file, or those of `names` that are there; nothing is unpickled.

    They may be compressed only if `largest` is given, the bytes that they may have together.

    Raises DamagedError if the content is not an ``.npz`` file's, or an array's bytes are not those of its checksum or
    its shape; QM7Error if the arrays are compressed and may not be, or have more bytes than they may.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
            chosen = members if names is None else {name: members[name] for name in names if name in members}
            size = sum(info.file_size for info in chosen.values())
            kinds = {zipfile.ZIP_STORED} if largest is None else {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
            compressed = [name for name, info in chosen.items() if info.compress_type not in kinds]
            if not compressed and size <= (len(content) if largest is None else largest):
                return {name: _parse_array(archive.read(info)) for name, info in chosen.items()}
    except Exception as error:  # zipfile, zlib and numpy each have their own for a damaged file
        raise DamagedError(brief(error) or type(error).__name__) from error
    if compressed:
        raise QM7Error(f"{compressed[0]} is compressed as this file's arrays are not")
    raise QM7Error(f"its arrays have {size} bytes, more than {len(content) if largest is None else largest}")


def _parse_array(content: bytes) -> NDArray[Any]:
    """Return the array that an ``.npy`` file holds, which may have no bytes beside those of its shape."""
    file = io.BytesIO(content)
    versions = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    shape, by_columns, dtype = versions[np.lib.format.read_magic(file)](file)
    flat = np.frombuffer(content, dtype, offset=file.tell())
    return flat.reshape(shape, order="F" if by_columns else "C").copy()


class About(BaseModel):
    """The plain values of a file of arrays."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    kind: str
    format: Literal[1] = 1


OwnAbout = TypeVar("OwnAbout", bound=About)


def save_arrays(path: Path, about: About, arrays: Arrays) -> None:
    """Write arrays and what they are; raises QM7Error if it cannot."""
    write_arrays(path, {"about": np.array(about.model_dump_json()), **arrays})


def load_arrays(path: Path, *kinds: type[OwnAbout], largest: int | None = None) -> tuple[OwnAbout, Arrays]:
    """Read what `save_arrays` has written of some kind; raises QM7Error if it cannot, or is of none of them."""
    arrays = read_arrays(path, largest)
    wanted = {kind.model_fields["kind"].default: kind for kind in kinds}
    try:
        text = str(arrays.pop("about", "{}"))
        about = json.loads(text)
        named = about.get("kind") if isinstance(about, dict) else None
        kind = wanted.get(named, kinds[0]) if isinstance(named, str) else kinds[0]
        return kind.model_validate_json(text), arrays
    except ValidationError as error:
        reason = first_mistake(error, "about")
    except (ValueError, RecursionError) as error:  # not JSON, or characters that do not exist
        reason = f"about: {error}"
    raise QM7Error(f"{path} is not a {next(iter(wanted))} that this version of qm7 reads: {reason}")


def require(path: Path, name: str, *, sound: bool | np.bool) -> None:
    """Raise QM7Error if the array of a name is not sound."""
    if not sound:
        raise QM7Error(f"{path} is damaged: {name} has numbers that no training gives")


def checked_array(
    path: Path, arrays: Arrays, name: str, dtype: type, *shape: int | None, largest: float = LARGEST
) -> NDArray[Any]:
    """Return an array of the given dtype and shape, default (None,); None is any size.

    Raises QM7Error if there is none, or it holds a number of `largest` or more.
    """
    array = arrays.get(name, np.empty(0, dtype=bool))
    sizes = shape or (None,)
    fits = array.ndim == len(sizes) and all(size in {None, n} for size, n in zip(sizes, array.shape, strict=True))
    if array.dtype != dtype or not fits or not array.size or not array.flags.c_contiguous:
        needed = f"{np.dtype(dtype)} {tuple('any' if size is None else size for size in sizes)}"
        raise QM7Error(f"{path} is damaged: {name} is {array.dtype} {array.shape}, not {needed}")
    require(path, name, sound=-largest < float(array.min()) and float(array.max()) < largest)  # false for nan
    return array
