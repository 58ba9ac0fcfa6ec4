"""Files that are whole or absent.

A file is written beside its place, flushed to the disk and renamed over what was there: a reader, or a process
that is killed, finds the old file or the new one and never a part.
"""

import csv
import difflib
import io
import os
import stat
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Final

from qm7cli.core.errors import QM7Error
from qm7cli.core.locks import NO_LINK, is_at, refuse_lost_locks, try_lock
from qm7cli.core.validation import suggestion

RUN_MARKS: Final = ("config.yaml", "results.yaml", ".lock", "fold-[0-9]*/model.npz")  # one of them, beside a fold-*
LARGEST_TEXT: Final = 32_000_000  # bytes of YAML; a sweep of 100,000 points has 20 million
LARGEST_FILE: Final = 2_000_000_000  # bytes of any file
MOST_BESIDE: Final = 1000  # names that a path which is not there is compared with


def write_output(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file that a user asked for, as `write_file`, but no file in a run (`refuse_output`)."""
    refuse_output(path)
    write_file(path, write)


def write_output_text(path: Path, text: str) -> None:
    """Write a text that a user asked for, as `write_text`, but to no file in a run (`refuse_output`)."""
    refuse_output(path)
    write_text(path, text)


def refuse_output(path: Path | None, inputs: Iterable[Path | None] = ()) -> None:
    """Raise QM7Error if an output would lie among the files of a run or replace what it is made from.

    `inputs` are what is read: files, and directories with all that is in them.
    """
    if path is None:
        return
    read = [each for each in inputs if each is not None]
    places = {os.path.realpath(each) for each in read}
    try:
        above = path.resolve().parents
        run = next((directory for directory in above if str(directory) in places or _is_run(directory)), None)
        shown = next((parent for parent in path.parents if parent.name and parent.resolve() == run), run)
    except (OSError, RuntimeError) as error:
        raise _unwritable(path, error) from error
    if run is not None:
        raise QM7Error(f"{path} lies in the run {shown}; choose another output")
    for each in read:
        with suppress(OSError):  # one of them does not exist
            if path.samefile(each):
                raise QM7Error(f"{path} is also read here; choose another output")


def _is_run(directory: Path) -> bool:  # or what is left of one
    return any(directory.glob("fold-[0-9]*/")) and any(any(directory.glob(mark)) for mark in RUN_MARKS)


def write_file(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Replace `path` by what `write` puts into the binary file it is given.

    A symbolic link keeps its place, and so does a device, which is written to directly. A file that was there leaves
    its mode to the new one. Temporary files that killed processes have left there are removed.

    Raises QM7Error if the file cannot be written, or a lock that this thread holds is lost (`qm7cli.core.locks.lock`).
    What was there before is then untouched.
    """
    try:
        if is_special_file(path):  # a device or a pipe
            with path.open("wb") as device:
                write(device)
            return
        refuse_lost_locks()
        target = path.resolve()
        remove_stale(target.parent)
        mode = target.stat().st_mode & 0o777 if target.exists() else None
        beside = _temporary(target)
        try:  # from before the file is made: a signal may end the program at any moment
            while (file := _open_temporary(beside, 0o666 if mode is None else 0o600)) is None:
                beside = _temporary(target)
            with file:
                write(file)
                file.flush()
                if mode is not None:
                    beside.chmod(mode)
                os.fsync(file.fileno())
                refuse_lost_locks()
                if sys.platform == "win32":
                    file.close()  # an open file cannot be renamed there
                beside.replace(target)
        finally:
            beside.unlink(missing_ok=True)
    except (OSError, RuntimeError) as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError | RuntimeError) -> QM7Error:
    """Say why a file cannot be written; a RuntimeError is that of symbolic links in a circle."""
    return QM7Error(f"cannot write {path}: {getattr(error, 'strerror', None) or error}")


# The name of a temporary file cannot be foreseen, and it is made with O_EXCL: it is nobody else's, whatever process,
# container or host writes there too, and not what a link leads to that somebody has planted. It is locked while it is
# written, so one whose lock can be had is a dead process's. The lock is on the temporary file itself, as a lock file
# beside it would stay in a user's directory. NFS passes it on to other hosts, if the file is open for writing; where a
# file system has no locks, none can be had, and nothing is removed.
_TEMPORARY: Final = ".qm7-{}.tmp"


def _temporary(target: Path) -> Path:
    return target.with_name(_TEMPORARY.format(os.urandom(8).hex()))


def _open_temporary(path: Path, mode: int) -> BinaryIO | None:
    """Make a temporary file and lock it until it is closed; None if the name is taken, or another removes it."""
    try:
        file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode), "wb")
    except FileExistsError:
        return None
    try:
        locked = try_lock(file.fileno())
    except OSError:  # no locks here
        locked = True
    if locked and is_at(path, file.fileno()):
        return file
    file.close()  # somebody has taken it for a dead process's before it was locked
    return None


def remove_stale(directory: Path) -> None:
    """Remove the temporary files that killed processes have left in a directory; those of living ones are locked."""
    for path in directory.glob(_TEMPORARY.format(16 * "[0-9a-f]")):
        with suppress(OSError):  # it is gone meanwhile, or another user's, or a link
            descriptor = os.open(path, os.O_RDWR | NO_LINK)
            try:
                if try_lock(descriptor):
                    path.unlink()
            finally:
                os.close(descriptor)


def remove_file(path: Path) -> None:
    """Remove a file, if it is there.

    Raises QM7Error if it cannot be removed, or a lock that this thread holds is lost (`qm7cli.core.locks.lock`).
    """
    try:
        refuse_lost_locks()
        path.unlink(missing_ok=True)
    except OSError as error:
        raise QM7Error(f"cannot remove {path}: {error.strerror or error}") from error


def is_special_file(path: Path) -> bool:
    """Say whether something is there that is not a file: a device, a pipe or a directory."""
    return path.exists() and not path.is_file()


def write_text(path: Path, text: str) -> None:
    """Replace `path` by `text`, in UTF-8; bytes of a path that are not UTF-8 are escaped."""
    write_file(path, lambda file: file.write(text.encode(errors="backslashreplace")))


def format_csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return a CSV table with a header line; floats in the shortest form that reads back the same."""
    return "".join(map(_csv_line, [header, *rows]))


def _csv_line(cells: Iterable[Any]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow(cells)  # it quotes a carriage return only because it ends its lines with one
    return f"{line.getvalue()[:-2]}\n"


def read_bytes(path: Path, largest: int = LARGEST_FILE) -> bytes:
    """Read a file.

    Raises QM7Error if there is none, it cannot be read, has more than `largest` bytes, or is a pipe or a device: what
    comes from there may never end, and cannot be read twice.
    """
    try:
        status = path.stat()
        size = status.st_size
        if size <= largest and (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
            return path.read_bytes()  # or say that it is a directory
    except OSError as error:
        close = path_suggestion(path) if isinstance(error, FileNotFoundError) else ""
        raise QM7Error(f"cannot read {path}: {error.strerror or error}{close}") from error
    except ValueError as error:  # a zero byte in the name
        raise QM7Error(f"cannot read {str(path)!r}: {error}") from error
    if size > largest:
        raise QM7Error(f"cannot read {path}: it has {size} bytes, more than {largest}")
    raise QM7Error(f"cannot read {path}: it is a pipe or a device; put its content into a file and name that")


def path_suggestion(path: Path, names: Iterable[str] = ()) -> str:
    """Ask whether the user meant what is closest to a path that is not there: one beside it, or one of `names`."""
    try:
        beside = {entry.name: str(path.with_name(entry.name)) for entry in islice(path.parent.iterdir(), MOST_BESIDE)}
    except (OSError, ValueError):  # no directory, or no name in the path
        beside = {}
    shown = {name: name for name in names} | {name: each for name, each in beside.items() if not name.startswith(".")}
    meant = {name.removesuffix(path.suffix): each for name, each in shown.items()}  # endings are alike anyway
    close = difflib.get_close_matches(path.name.removesuffix(path.suffix)[:100], meant, n=1)
    return suggestion("", (), [meant[name] for name in close])


def read_text(path: Path, largest: int = LARGEST_TEXT) -> str:
    """Read a UTF-8 file; raises QM7Error like `read_bytes`, and if it is not text."""
    try:
        return read_bytes(path, largest).decode()
    except UnicodeDecodeError as error:
        raise QM7Error(f"{path} is not a text file: byte {error.start} is not UTF-8") from error


def make_directory(path: Path) -> None:
    """Make a directory and those above it; raises QM7Error if it cannot, as where a file has its name."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise QM7Error(f"{path} is a file, not a directory") from error
    except OSError as error:
        raise QM7Error(f"cannot make the directory {path}: {error.strerror or error}") from error
