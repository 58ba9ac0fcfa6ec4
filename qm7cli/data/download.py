"""Fetching the data set: nothing is put in place before it has been checked.

The published file has no license, so it is downloaded from the places that publish it, one after the other, until one
gives the right bytes.
"""

import os
import re
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from qm7cli.core.errors import QM7Error, UsageError, brief, os_errors
from qm7cli.core.files import make_directory, write_file
from qm7cli.data.dataset import PUBLISHED_SHA256, Dataset, load
from qm7cli.data.soundness import refuse_unsound

MIRRORS: Final = (
    "https://quantum-machine.org/data/qm7.mat",
    "https://www.quantum-machine.org/data/qm7.mat",
    "https://deepchemdata.s3-us-west-1.amazonaws.com/datasets/qm7.mat",
    "http://quantum-machine.org/data/qm7.mat",
)
TIMEOUT: Final = 30.0  # seconds in which something must come
MOST_BYTES: Final = 10**9  # of a data set file: more is not for this program, and not for the memory
CHUNK: Final = 65_536


def find_dataset(dest: Path, sha256: str, *, force: bool) -> Dataset | None:
    """Return the data set at `dest`; None if there is nothing, or, with `force`, what may be replaced.

    `sha256` is the fingerprint it should have, ``any`` for any sound data set. Raises QM7Error if another file is
    there, or the place cannot be written.
    """
    if dest.exists() and not dest.is_file():
        raise QM7Error(f"{dest} is not a file; write --dest FILE")
    try:
        with os_errors(f"cannot read {dest}"):
            if dest.exists() and not force and dest.stat().st_size:
                return check(dest, sha256)
    except QM7Error as error:
        raise QM7Error(f"{dest} is there and is not the right file: {error}; --force replaces it") from error
    directory = next(parent for parent in dest.absolute().parents if parent.exists())
    if not directory.is_dir() or not os.access(directory, os.W_OK | os.X_OK):
        raise QM7Error(f"cannot write {dest}: the directory {directory} may not be written to")
    return None


def download_dataset(
    dest: Path,
    urls: Sequence[str] = MIRRORS,
    sha256: str = PUBLISHED_SHA256,
    *,
    report: Callable[[int, int], None] = lambda _received, _total: None,
    notice: Callable[[str], None] = lambda _: None,
    timeout: float = TIMEOUT,
) -> Dataset:
    """Download the data set from the first of `urls` that gives the right file, and replace `dest` by it.

    `sha256` is as for `find_dataset`. `report` is called with the bytes received so far and their number in all, 0 if
    the server does not tell it; `notice` with a sentence when a place has failed and the next is tried. `timeout` is
    how many seconds a server may send nothing.

    Raises QM7Error if no place gives the right file, or `dest` cannot be written; what was there is then untouched.
    """
    import pooch  # noqa: PLC0415 - slow to import

    for url in urls:
        if not re.match("https?://[^/]", url):
            raise UsageError(f"{url} is not an http:// or https:// address")
    failures: list[str] = []
    with tempfile.TemporaryDirectory(prefix="qm7-") as directory:
        beside = Path(directory) / dest.name
        for url in urls:
            if failures:
                notice(f"{failures[-1]}; trying {url}")
            try:
                fetch = pooch.HTTPDownloader(progressbar=_Bar(report), chunk_size=CHUNK, timeout=timeout)
                fetch(url, str(beside), None)
                dataset = replace(check(beside, sha256), path=dest)
            except (QM7Error, OSError, ValueError) as error:  # requests' own are OSErrors
                failures.append(f"{url}: {_reason(error, timeout)}")
            else:
                make_directory(dest.parent)
                write_file(dest, lambda file: file.write(beside.read_bytes()))
                return dataset
    raise QM7Error("; ".join(failures))


def check(path: Path, sha256: str) -> Dataset:
    """Read a file; raises QM7Error if it is too large, has another SHA-256 or, with ``any``, is not sound."""
    import pooch  # noqa: PLC0415 - slow to import

    size = path.stat().st_size
    if size > MOST_BYTES:
        raise QM7Error(f"it has {size} bytes, more than any data set that is read here")
    if sha256 != "any" and (found := pooch.file_hash(str(path))) != sha256:
        with path.open("rb") as file:
            page = re.match(rb"\s*<(!doctype html|html|\?xml)", file.read(1000), re.IGNORECASE)
        if page:
            raise QM7Error("it is a web page, not the data set")
        hint = "--sha256 any accepts another sound data set"
        raise QM7Error(f"it has {size} bytes and the SHA-256 {found}, not {sha256}; {hint}")
    try:
        dataset = load(path)
    except QM7Error as error:
        raise QM7Error(str(error).removeprefix(f"{path}: ")) from error
    if sha256 == "any":
        refuse_unsound(dataset)
    return dataset


class _Bar:
    """What pooch takes for a progress bar; it ends a transfer that is too large."""

    def __init__(self, report: Callable[[int, int], None]) -> None:
        self.total = self._received = 0
        self._report = report

    def update(self, size: int) -> None:
        self._received += size
        if self._received > MOST_BYTES:
            raise QM7Error(f"it sends more than {MOST_BYTES} bytes")
        self._report(min(self._received, self.total or self._received), self.total)

    def reset(self) -> None:
        self._received = 0

    def close(self) -> None:
        pass


def _reason(error: Exception, timeout: float) -> str:
    import requests  # noqa: PLC0415 - slow to import

    if isinstance(error, QM7Error):
        return str(error)
    if isinstance(error, requests.HTTPError):
        return f"the server answers {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.Timeout) or "timed out" in str(error).lower():
        return f"nothing came within {timeout:g} s"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "it was cut off"
    cause: BaseException = error
    while deeper := cause.__cause__ or cause.__context__:
        cause = deeper
    return f"download failed ({brief(getattr(cause, 'strerror', None) or cause)})"
