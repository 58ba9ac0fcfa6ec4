"""The variables of a MATLAB file, version 5, which may be compressed."""

import io
import math
from typing import Any, Final

from numpy.typing import NDArray

from qm7cli.core.errors import DamagedError, QM7Error, brief

MATLAB: Final = b"MATLAB 5.0 MAT-file"  # how such a file begins
NUMBERS: Final = frozenset({"double", "single", *(f"{u}int{bits}" for u in ("", "u") for bits in (8, 16, 32, 64))})
WIDEST: Final = 8  # bytes of a number


def read_mat(content: bytes, largest: int) -> dict[str, NDArray[Any]]:
    """Return the variables of a data set, at most `largest` bytes, that a MATLAB file's content has.

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
        there = [each for each in whosmat(io.BytesIO(content)) if each[0] in wanted]
        size = sum(WIDEST * math.prod(shape) for _, shape, _ in there)
        strange = [(name, kind) for name, _, kind in there if kind not in NUMBERS]  # a cell may hold cells without end
        if not strange and size <= largest and len({name for name, *_ in there}) == len(there):
            return dict(loadmat(io.BytesIO(content), variable_names=wanted))
    except Exception as error:  # scipy, zlib and struct each have their own for a damaged file
        if content.startswith(MATLAB):
            raise DamagedError(f"the file is damaged or cut off ({brief(error)})") from error
        raise QM7Error("this is neither a MATLAB nor an .npz file") from error
    if strange:
        raise QM7Error("{} holds {}, not real numbers".format(*strange[0]))
    raise QM7Error("a variable is there twice" if size <= largest else f"its variables have more than {largest} bytes")
