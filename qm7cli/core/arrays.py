"""Arrays in ``.npz`` files; nothing is unpickled."""

import io
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qm7cli.core.errors import DamagedError, QM7Error, brief
from qm7cli.core.files import read_bytes, write_file


def write_arrays(path: Path, arrays: dict[str, NDArray[Any]]) -> None:
    """Replace `path` by an ``.npz`` file; the same arrays give the same bytes."""
    write_file(path, lambda file: np.savez(file, **arrays))  # type: ignore[arg-type] # no array is named allow_pickle


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Read all arrays of a file that `write_arrays` has written; raises QM7Error if it cannot be read or is damaged."""
    content = read_bytes(path)
    try:
        return parse_arrays(content)
    except QM7Error as error:
        raise QM7Error(f"{path} is damaged: it cannot be read as an .npz file ({error})") from error


def parse_arrays(
    content: bytes, names: Iterable[str] | None = None, largest: int | None = None
) -> dict[str, NDArray[Any]]:
    """Read arrays of the content of an ``.npz`` file; nothing is unpickled.

    Parameters
    ----------
    content : bytes
        The file's.
    names : iterable of str, optional
        Arrays that are read if they are there; without it, all.
    largest : int, optional
        Bytes that they may have together, and they may be compressed; without it they may not.

    Raises
    ------
    DamagedError
        If the content is not an ``.npz`` file's, or an array's bytes are not those of its checksum or its shape.
    QM7Error
        If the arrays are compressed and may not be, or have more bytes than they may.
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
