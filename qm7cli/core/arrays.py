"""Arrays in ``.npz`` files, and files of arrays with one JSON record, ``about``, beside them; nothing is pickled."""

import io
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, TypeVar, Union

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, TypeAdapter

from qm7cli.core.errors import DamagedError, QM7Error, brief, damaged
from qm7cli.core.files import read_bytes, write_file

Arrays = dict[str, NDArray[Any]]


class About(BaseModel):
    """The plain values of a file of arrays; its `kind` tells files of one class from others."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    kind: str
    format: Literal[1] = 1


OwnAbout = TypeVar("OwnAbout", bound=About)


def save_arrays(path: Path, about: About, arrays: Arrays) -> None:
    """Write arrays and what they are, the same ones as the same bytes; raises QM7Error if it cannot."""
    named = {"about": np.array(about.model_dump_json()), **arrays}
    write_file(path, lambda file: np.savez(file, **named))  # type: ignore[arg-type] # no array is named allow_pickle


def load_arrays(path: Path, *kinds: type[OwnAbout]) -> tuple[OwnAbout, Arrays]:
    """Read what `save_arrays` has written of some kind; raises QM7Error if it cannot, or is of none of them."""
    content = read_bytes(path)
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            arrays = dict(file)
        about: OwnAbout = _of_kinds(kinds).validate_json(str(arrays.pop("about")))
    except Exception as error:  # zipfile, zlib, numpy and pydantic each have their own for a damaged file
        raise damaged(path) from error
    return about, arrays


def _of_kinds(kinds: Any) -> TypeAdapter[Any]:
    return TypeAdapter(Union[kinds])  # noqa: UP007 - a tuple


def load_about(path: Path, kind: type[OwnAbout]) -> OwnAbout:
    """Read what a file of arrays is, without them; raises QM7Error if it is missing or damaged."""
    try:
        with path.open("rb") as content, np.load(content, allow_pickle=False) as file:
            return kind.model_validate_json(str(file["about"]))
    except Exception as error:  # as above
        raise damaged(path) from error


def parse_arrays(content: bytes, names: Iterable[str], largest: int) -> Arrays:
    """Read the arrays of some names in an ``.npz`` file from elsewhere, those that are there.

    Raises DamagedError if it is not such a file; QM7Error if the arrays have more than `largest` bytes together.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            size = sum(info.file_size for info in archive.infolist())
        if size <= largest:
            with np.load(io.BytesIO(content), allow_pickle=False) as file:
                return {name: file[name] for name in names if name in file}
    except Exception as error:  # as above
        raise DamagedError(brief(error) or type(error).__name__) from error
    raise QM7Error(f"its arrays have {size} bytes, more than {largest}")
