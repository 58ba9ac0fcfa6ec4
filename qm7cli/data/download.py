"""Fetching the data set, which has no license, from the places that publish it, until one gives the right bytes."""

import hashlib
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from qm7cli.core.errors import QM7Error, UsageError, brief
from qm7cli.core.files import make_directory, read_bytes, write_file
from qm7cli.data.dataset import PUBLISHED_SHA256, Dataset, parse
from qm7cli.data.soundness import refuse_unsound

MIRRORS: Final = (
    "https://quantum-machine.org/data/qm7.mat",
    "https://www.quantum-machine.org/data/qm7.mat",
    "https://deepchemdata.s3-us-west-1.amazonaws.com/datasets/qm7.mat",
    "http://quantum-machine.org/data/qm7.mat",
)
TIMEOUT: Final = 30.0  # seconds in which something must come
MOST_BYTES: Final = 10**9  # of a data set file: more is not for this program, and not for the memory
BLOCK: Final = 65_536  # bytes between two reports

Report = Callable[[int, int], None]


def find_dataset(dest: Path, sha256: str, *, force: bool) -> Dataset | None:
    """Return the data set at `dest`; None if there is nothing, or, with `force`, what may be replaced.

    `sha256` is the fingerprint it should have, ``any`` for any sound data set; raises QM7Error if it has another.
    """
    if dest.exists() and not dest.is_file():
        raise QM7Error(f"{dest} is not a file; write --dest FILE")
    try:
        content = b"" if force or not dest.exists() else read_bytes(dest, MOST_BYTES)
        return check(dest, content, sha256) if content else None
    except QM7Error as error:
        raise QM7Error(f"{dest} is there and is not the right file: {error}; --force replaces it") from error


def download_dataset(
    dest: Path,
    urls: Sequence[str] = MIRRORS,
    sha256: str = PUBLISHED_SHA256,
    *,
    report: Report = lambda _received, _total: None,
    notice: Callable[[str], None] = lambda _: None,
    timeout: float = TIMEOUT,
) -> Dataset:
    """Download the data set from the first of `urls` that gives the right file, and replace `dest` by it.

    `report` is called with the bytes received so far and their number in all, 0 if the server does not tell it;
    `notice` with a sentence when the next place is tried; a server may send nothing for `timeout` seconds. Raises
    QM7Error if no place gives the right file; what was there is then untouched.
    """
    for url in urls:
        if not re.match("https?://[^/]", url):
            raise UsageError(f"{url} is not an http:// or https:// address")
    failures: list[str] = []
    for url in urls:
        if failures:
            notice(f"{failures[-1]}; trying {url}")
        try:
            content = _fetch(url, report, timeout)
            dataset = check(dest, content, sha256)
            break
        except (QM7Error, OSError, ValueError) as error:  # requests' own are OSErrors
            failures.append(f"{url}: {_reason(error, timeout)}")
    else:
        raise QM7Error("; ".join(failures))
    make_directory(dest.parent)
    write_file(dest, lambda file: file.write(content))
    return dataset


def check(path: Path, content: bytes, sha256: str) -> Dataset:
    """Read the content of a file; raises QM7Error if it has another SHA-256 or, with ``any``, is not sound."""
    found = hashlib.sha256(content).hexdigest()
    if sha256 not in {"any", found}:
        if re.match(rb"\s*<(!doctype html|html|\?xml)", content, re.IGNORECASE):
            raise QM7Error("it is a web page, not the data set")
        hint = "--sha256 any accepts another sound data set"
        raise QM7Error(f"it has {len(content)} bytes and the SHA-256 {found}, not {sha256}; {hint}")
    dataset = parse(path, content)
    if sha256 == "any":
        refuse_unsound(dataset)
    return dataset


def _fetch(url: str, report: Report, timeout: float) -> bytes:
    import requests  # noqa: PLC0415 - slow to import

    content = bytearray()
    with requests.get(url, stream=True, timeout=timeout) as response:
        response.raise_for_status()
        total = int(response.headers.get("content-length", 0))
        for block in response.iter_content(BLOCK):
            content += block
            if len(content) > MOST_BYTES:
                raise QM7Error(f"it sends more than {MOST_BYTES} bytes")
            report(len(content), max(total, len(content)) if total else 0)
    return bytes(content)


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
