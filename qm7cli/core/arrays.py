"""Files of arrays, ``.npz``, with one JSON record, ``about``, beside them; nothing is pickled."""

import io
from pathlib import Path
from typing import Any, Literal, TypeVar, Union

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, TypeAdapter

from qm7cli.core.errors import damaged
from qm7cli.core.files import read_bytes, write_file

Arrays = dict[str, NDArray[Any]]


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
    try:
        with path.open("rb") as content, np.load(content, allow_pickle=False) as file:
            return kind.model_validate_json(str(file["about"]))
    except Exception as error:  # as above
        raise damaged(path) from error
