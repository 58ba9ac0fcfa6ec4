"""Fetching the data set: nothing is put in place before it has been checked.

The published file has no licence, so it is downloaded from the places that publish it, one after the other, until one
gives the right bytes. Failures that may pass (no connection, a stall, a cut-off) are tried again in further rounds.
A server that sends a byte now and then counts as stalled.
"""

import hashlib
import os
import re
import threading
import time
from collections.abc import Callable, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Final

import requests

from qm7cli.core.errors import DamagedError, QM7Error, UsageError
from qm7cli.core.files import is_special_file, make_directory, refuse_output, write_output
from qm7cli.data.dataset import PUBLISHED_SHA256, PUBLISHED_SIZE, Dataset, parse
from qm7cli.data.inspection import check_units
from qm7cli.data.matlab import MATLAB

MIRRORS: Final = (
    "https://quantum-machine.org/data/qm7.mat",
    "https://www.quantum-machine.org/data/qm7.mat",
    "https://deepchemdata.s3-us-west-1.amazonaws.com/datasets/qm7.mat",
    "http://quantum-machine.org/data/qm7.mat",
)
PAUSES: Final = (0, 1, 2)  # seconds before each round over the places
TIMEOUT: Final = 30.0  # seconds in which something must come
LEAST_RATE: Final = 1000.0  # bytes a second over these: at less, QM7 would take five hours
MOST_BYTES: Final = 10**9  # of a data set file: more is not for this program, and not for the memory
CHUNK: Final = 4096  # bytes that come at the least rate in a fraction of the timeout


def find_dataset(dest: Path, sha256: str, *, force: bool) -> Dataset | None:
    """Look at what is at `dest` before anything is downloaded.

    `sha256` is the fingerprint it should have, ``any`` for any sound data set; with `force`, any file may be replaced.

    Returns
    -------
    Dataset or None
        The data set, if the right one is there; None if there is nothing, or only what a failed download leaves: an
        empty file, a web page, a part.

    Raises
    ------
    QM7Error
        If another file is there, or the place cannot be written.
    """
    try:
        if is_special_file(dest):
            raise QM7Error(f"{dest} is not a file; write --dest FILE")
        content = dest.read_bytes() if dest.exists() and not force else b""
        directory = next(parent for parent in dest.absolute().parents if parent.exists())
    except OSError as error:
        raise QM7Error(f"cannot read {dest}: {error.strerror or error}") from error
    try:
        return check(dest.stem, content, sha256)
    except QM7Error as error:
        left_over = not content or (dest.suffix == ".mat" and (_is_page(content) or _is_damaged(content, error)))
        if not left_over:  # by a failed download
            raise QM7Error(f"{dest} is there and is not the right file: {error}; --force replaces it") from error
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

    Parameters
    ----------
    dest : Path
        Where the file is to be; its directory is made if absent.
    urls : sequence of str
        Places, in the order in which they are tried.
    sha256 : str
        The fingerprint it must have, hexadecimal; ``any`` for any sound data set.
    report : callable
        Called with the bytes received so far and their number in all, 0 if the server does not tell it.
    notice : callable
        Called with a sentence when a place has failed and the next is tried, unless it could not be reached.
    timeout : float
        Seconds to wait for a server that sends nothing, or less than `LEAST_RATE` allows.

    Raises
    ------
    QM7Error
        If no place gives the right file, `dest` lies in a run or cannot be written; what was there is then untouched.
    """
    for url in urls:
        if not re.match("https?://[^/]", url):
            raise UsageError(f"{url} is not an http:// or https:// address")
    refuse_output(dest)
    waiting = list(dict.fromkeys(urls))
    failures: dict[str, str] = {}
    news: str | None = None
    for pause in PAUSES:
        if waiting:
            time.sleep(pause)
        for url in list(waiting):
            if news:
                notice(f"{news}; trying {url}")
            try:
                content = _get(url, report, timeout)
                dataset = check(dest.stem, content, sha256)
            except QM7Error as error:
                failures[url] = str(error)
                news = None if isinstance(error, _UnreachedError) else f"{url}: {error}"
                if not isinstance(error, _PassingError):
                    waiting.remove(url)
            else:
                make_directory(dest.parent)
                write_output(dest, lambda file, content=content: file.write(content))  # type: ignore[misc]
                return dataset
    reasons = {reason: [url for url in failures if failures[url] == reason] for reason in failures.values()}
    raise QM7Error("; ".join(f"{', '.join(places)}: {reason}" for reason, places in reasons.items()))


def check(name: str, content: bytes, sha256: str) -> Dataset:
    """Make a Dataset called `name` of a file's bytes, if they are those of the right file.

    Raises
    ------
    QM7Error
        If they are a web page, have another SHA-256 than asked for or, with ``any``, are not a sound data set.
    """
    if _is_page(content):
        raise QM7Error("it is a web page, not the data set")
    if sha256 == "any":
        dataset = parse(name, content)
        check_units(dataset)
        return dataset
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        size = f"{len(content)} bytes"
        if sha256 == PUBLISHED_SHA256 and len(content) != PUBLISHED_SIZE:
            size += f" (the published file has {PUBLISHED_SIZE})"
        hint = "; if you trust it, --sha256 any accepts it and still checks its content"
        raise _OtherBytesError(
            f"it has {size} and the SHA-256 {found}, not {sha256}{hint if content.startswith(MATLAB) else ''}"
        )
    return parse(name, content)


class _OtherBytesError(QM7Error):
    """The file has another SHA-256."""


class _PassingError(QM7Error):
    """A failure that may pass when tried again."""


class _UnreachedError(_PassingError):
    """A place cannot be reached, as all are without a network."""


class _Transfer(threading.Thread):
    """What a place sends, as it comes; a thread of its own, since a server that drips can hold a reader for ever."""

    def __init__(self, url: str, timeout: float) -> None:
        super().__init__(daemon=True)
        self.received = bytearray()
        self.total: int | None = None  # bytes in all, 0 if the server doesn't tell, None before it has answered
        self.error: Exception | None = None  # what has ended it
        self.given_up = False  # set it to end the transfer
        self._url, self._timeout = url, timeout

    def run(self) -> None:
        try:
            self._receive()
        except Exception as error:  # noqa: BLE001 - it is raised where this is waited for
            self.error = error

    def _receive(self) -> None:
        headers = {"Accept-Encoding": "identity"}  # so that the length is the file's
        with requests.get(self._url, stream=True, timeout=self._timeout, headers=headers) as response:
            if response.status_code != HTTPStatus.OK:
                kind = _PassingError if response.status_code in {429, *range(500, 600)} else QM7Error
                raise kind(f"the server answers {response.status_code} {response.reason}")
            length = response.headers.get("Content-Length", "")
            self.total = int(length) if re.fullmatch("[0-9]{1,12}", length) else 0
            for chunk in response.iter_content(CHUNK):
                self.received += chunk
                if len(self.received) > MOST_BYTES:
                    raise QM7Error(f"it sends more than {MOST_BYTES} bytes")
                if self.given_up:
                    return


def _get(url: str, report: Callable[[int, int], None], timeout: float) -> bytes:
    transfer = _Transfer(url, timeout)
    transfer.start()
    try:
        while transfer.is_alive():
            before, deadline = len(transfer.received), time.monotonic() + timeout
            while transfer.is_alive() and time.monotonic() < deadline:
                transfer.join(0.1)
                report(len(transfer.received), transfer.total or 0)
            if transfer.is_alive() and len(transfer.received) - before < LEAST_RATE * timeout:
                raise _stalled(transfer, timeout)
    finally:
        transfer.given_up = True
    report(len(transfer.received), transfer.total or 0)
    if isinstance(transfer.error, OSError | ValueError):  # requests' own are OSErrors
        raise _failure(transfer.error, transfer, timeout) from transfer.error
    if transfer.error:
        raise transfer.error
    return bytes(transfer.received)


def _stalled(transfer: _Transfer, timeout: float) -> QM7Error:
    if transfer.total is None:
        return _PassingError(f"no answer within {timeout:g} s")
    return _PassingError(f"it sent less than {LEAST_RATE * timeout / 1e3:g} kB in {timeout:g} s{_reached(transfer)}")


def _reached(transfer: _Transfer) -> str:
    total = f" of {transfer.total / 1e6:.1f}" if transfer.total else ""
    return f" after {len(transfer.received) / 1e6:.1f}{total} MB"


def _failure(error: Exception, transfer: _Transfer, timeout: float) -> QM7Error:
    cause: BaseException = error
    while deeper := cause.__cause__ or cause.__context__:
        cause = deeper
    reason = str(getattr(cause, "strerror", None) or cause)[:200]
    if not isinstance(error, requests.ConnectionError | requests.Timeout | requests.exceptions.ChunkedEncodingError):
        return QM7Error(f"download failed ({reason})")
    if isinstance(cause, TimeoutError):
        return _stalled(transfer, timeout)
    if transfer.total is not None:
        return _PassingError(f"it was cut off{_reached(transfer)}")
    return _UnreachedError(f"no connection ({reason})")


def _is_page(content: bytes) -> bool:
    start = content[:1000].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return start.startswith((b"<!doctype html", b"<html", b"<?xml"))


def _is_damaged(content: bytes, error: QM7Error) -> bool:
    """Say whether a file that `check` refuses is damaged or cut off, also one refused for its SHA-256."""
    if isinstance(error, _OtherBytesError):
        try:
            parse("", content)
        except QM7Error as reason:
            return isinstance(reason, DamagedError)
    return isinstance(error, DamagedError)
