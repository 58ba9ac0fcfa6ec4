"""Files that are whole or absent: text, tables, and arrays beside a JSON record (``.npz``).

A file is written beside its place, flushed to the disk and renamed over what was there: a reader, or a process
that is killed, finds the old file or the new one and never a part. Nothing is pickled.
"""

import csv
import io
import os
import stat
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal, TypeVar, Union

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, TypeAdapter

from qm7cli.core.errors import QM7Error, damaged, os_errors

LARGEST_TEXT: Final = 32_000_000  # bytes of YAML; a sweep of 100,000 points has 20 million
LARGEST_FILE: Final = 2_000_000_000  # bytes of any file
Arrays = dict[str, NDArray[Any]]
STANDARD_INPUT: Final = Path("-")


def write_file(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Replace `path` by what `write` puts into the binary file it is given; a link and a device keep their place.

    Raises QM7Error if the file cannot be written; what was there before is then untouched.
    """
    with os_errors(f"cannot write {path}"):
        if path.exists() and not path.is_file():
            with path.open("wb") as device:
                write(device)
            return
        target = Path(os.path.realpath(path))
        beside = target.with_name(f".{target.name[:100]}.{os.urandom(8).hex()}.tmp")
        try:
            with beside.open("xb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(target)
        finally:
            beside.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Replace `path` by `text`, in UTF-8; bytes of a path that are not UTF-8 are escaped."""
    write_file(path, lambda file: file.write(text.encode(errors="backslashreplace")))


def remove_file(path: Path) -> None:
    """Remove a file, if it is there; raises QM7Error if it cannot be removed."""
    with os_errors(f"cannot remove {path}"):
        path.unlink(missing_ok=True)


def format_csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return a CSV table with a header line; floats in the shortest form that reads back the same."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    return text.getvalue()


def read_bytes(path: Path, largest: int = LARGEST_FILE) -> bytes:
    """Read a file; raises QM7Error if it cannot, or if it has more than `largest` bytes or is a pipe or a device."""
    if "\0" in str(path):
        raise QM7Error(f"cannot read {str(path)!r}: no file has such a name")
    with os_errors(f"cannot read {path}"):
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise QM7Error(f"cannot read {path}: it is a directory")
        if not stat.S_ISREG(status.st_mode):
            raise QM7Error(f"cannot read {path}: it is a pipe or a device; put its content into a file and name that")
        if status.st_size > largest:
            raise QM7Error(f"cannot read {path}: it has {status.st_size} bytes, more than {largest}")
        return path.read_bytes()


def read_text(path: Path, largest: int = LARGEST_TEXT) -> str:
    """Read a UTF-8 file, ``-`` for standard input; raises QM7Error like `read_bytes`, and if it is not text."""
    try:
        return (sys.stdin.buffer.read(largest) if path == STANDARD_INPUT else read_bytes(path, largest)).decode()
    except UnicodeDecodeError as error:
        raise QM7Error(f"{path} is not a text file: byte {error.start} is not UTF-8") from error


def make_directory(path: Path) -> None:
    """Make a directory and those above it; raises QM7Error if it cannot, as where a file has its name."""
    if path.is_file():
        raise QM7Error(f"{path} is a file, not a directory")
    with os_errors(f"cannot make the directory {path}"):
        path.mkdir(parents=True, exist_ok=True)


class About(BaseModel):
    """The plain values of a file of arrays; its `kind` tells files of one class from others."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    kind: str
    format: Literal[1] = 1


OwnAbout = TypeVar("OwnAbout", bound=About)


def save_arrays(path: Path, about: About, arrays: Arrays, *, compressed: bool = False) -> None:
    """Write arrays and what they are, the same ones as the same bytes; raises QM7Error if it cannot."""
    save = np.savez_compressed if compressed else np.savez
    named = {"about": np.array(about.model_dump_json()), **arrays}
    write_file(path, lambda file: save(file, **named))  # type: ignore[arg-type] # no array is named allow_pickle


def load_arrays(path: Path, *kinds: type[OwnAbout]) -> tuple[OwnAbout, Arrays]:
    """Read what `save_arrays` has written of some kind; raises QM7Error if it cannot, or is of none of them."""
    content = read_bytes(path)
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            arrays = dict(file)
        any_kind: TypeAdapter[OwnAbout] = TypeAdapter(Union[kinds])  # type: ignore[arg-type] # noqa: UP007 - a tuple
        return any_kind.validate_json(str(arrays.pop("about"))), arrays
    except Exception as error:  # zipfile, zlib, numpy and pydantic each have their own for a damaged file
        raise damaged(path) from error


def load_about(path: Path, kind: type[OwnAbout]) -> OwnAbout:
    """Read what a file of arrays is, without them; raises QM7Error if it is missing or damaged."""
    return load_arrays(path, kind)[0]
