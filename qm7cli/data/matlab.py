"""The variables of a MATLAB file, version 5, which may be compressed."""

import io
import struct
import zlib
from typing import Any, Final

from numpy.typing import NDArray

from qm7cli.core.errors import DamagedError, QM7Error, brief

MATLAB: Final = b"MATLAB 5.0 MAT-file"  # how such a file begins
MATLAB_NUMBERS: Final = frozenset(
    {"double", "single", *(f"{u}int{bits}" for u in ("", "u") for bits in (8, 16, 32, 64))}
)
MATLAB_MATRIX, MATLAB_COMPRESSED = 14, 15  # types of a variable in the file


def read_mat(content: bytes, largest: int) -> dict[str, NDArray[Any]]:
    """Return the variables of a data set that a MATLAB file has.

    Parameters
    ----------
    content : bytes
        The file's.
    largest : int
        Bytes that the file may have without compression.

    Raises
    ------
    DamagedError
        If the file is cut off or cannot be read to its end.
    QM7Error
        If it is not a MATLAB file of version 5, or a variable does not hold real numbers or is there twice.
    """
    from scipy.io import loadmat, whosmat  # noqa: PLC0415 - slow to import, and only needed here

    if not content:
        raise QM7Error("the file is empty")
    if content.startswith(b"MATLAB 7.3"):
        raise QM7Error("this is a MATLAB 7.3 file; save it as version 7 or earlier")
    wanted = ["X", "T", "Z", "R", "P"]
    try:
        plain = io.BytesIO(_decompress(content, largest))
        there = [(name, kind) for name, _, kind in whosmat(plain) if name in wanted]
        strange = [each for each in there if each[1] not in MATLAB_NUMBERS]  # a cell may hold cells without end
        if not strange and len(dict(there)) == len(there):
            return dict(loadmat(plain, variable_names=wanted))
    except Exception as error:  # scipy, zlib and struct each have their own for a damaged file
        if content.startswith(MATLAB):
            raise DamagedError(f"the file is damaged or cut off ({brief(error)})") from error
        raise QM7Error("this is neither a MATLAB nor an .npz file") from error
    raise QM7Error("{} holds {}, not real numbers".format(*strange[0]) if strange else "a variable is there twice")


def _decompress(content: bytes, largest: int) -> bytes:
    """Return a MATLAB file with its compressed variables as they are without compression.

    After 128 bytes, whose last two give the order of bytes, come the variables: type, number of bytes, content. All
    together unpack to `largest` bytes at most, whatever they say of their size.
    """
    order = ">" if content[126:128] == b"MI" else "<"
    parts, place, left = [content[:128]], 128, largest
    while place < len(content):
        kind, size = struct.unpack_from(f"{order}II", content, place)
        end = place + 8 + size
        if kind == MATLAB_COMPRESSED:
            unpacker = zlib.decompressobj()
            parts.append(unpacker.decompress(content[place + 8 : end], max(left, 1)))  # 0 is no limit
            if not unpacker.eof:
                raise ValueError(f"a variable is cut off, or there are more than {largest} bytes")
        elif kind == MATLAB_MATRIX:
            parts.append(content[place:end])
        else:
            raise ValueError(f"there is something that is not a variable at byte {place}")
        left -= len(parts[-1])
        place = end
    return b"".join(parts)
