"""Files that are whole or absent, and locks between processes.

A file is written beside its place, flushed to the disk and renamed over what was there: a reader, or a process
that is killed, finds the old file or the new one and never a part. A lock is the operating system's (flock), so it
ends with the process that holds it, however that ends; where its file has been removed, as with ``rm -rf`` of a run,
it protects nothing any more, and its holder writes nothing more.
"""

import csv
import hashlib
import io
import math
import os
import re
import stat
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Final

import numpy as np
import yaml
from numpy.typing import NDArray

from qm7cli.errors import BusyError, DamagedError, QM7Error, StoppedError
from qm7cli.escaping import printable, spreadsheet_cell
from qm7cli.notices import SAY_AFTER, notice
from qm7cli.signals import signals_blocked

GIVE_UP_AFTER: Final = 2.0  # seconds after which a stop ends the wait for a lock: those waited for are held for less

RUN_MARKS: Final = ("config.yaml", "results.yaml", ".lock", "fold-[0-9]*/model.npz")  # one of them, beside a fold-*
POLL: Final = 0.05  # seconds between two looks at a lock that another process holds


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

    Parameters
    ----------
    path : Path, optional
        The output, if there is one.
    inputs : iterable of Path
        What is read: files, and directories with all that is in them.
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
                raise QM7Error(f"{path} is what is read here; choose another output")


def _is_run(directory: Path) -> bool:
    """Say whether a directory is a run, or what is left of one."""
    return any(directory.glob("fold-[0-9]*/")) and any(any(directory.glob(mark)) for mark in RUN_MARKS)


def write_file(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Replace `path` by what `write` puts into the binary file it is given.

    A symbolic link keeps its place, and so does a device, which is written to directly. A file that was there leaves
    its mode to the new one. Temporary files that killed processes have left there are removed.

    Raises
    ------
    QM7Error
        If the file cannot be written, or a lock that this thread holds is lost (`lock`); what was there before is then
        untouched.
    """
    try:
        if is_no_file(path):  # a device or a pipe
            with path.open("wb") as device:
                write(device)
            return
        _refuse_lost_locks()
        target = path.resolve()
        remove_stale(target.parent)
        mode = target.stat().st_mode & 0o777 if target.exists() else None
        with ExitStack() as at_the_end:
            with signals_blocked():  # one that ends the program comes before, or when all is known
                beside, file = _open_temporary(target.parent, 0o666 if mode is None else 0o600)
                at_the_end.callback(beside.unlink, missing_ok=True)
                at_the_end.enter_context(file)
            write(file)
            file.flush()
            if mode is not None:
                beside.chmod(mode)
            os.fsync(file.fileno())
            _refuse_lost_locks()
            if sys.platform == "win32":
                file.close()  # an open file cannot be renamed there
            beside.replace(target)
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
_NO_LINK: Final = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)  # nor does a pipe keep us; POSIX


def _open_temporary(directory: Path, mode: int) -> tuple[Path, BinaryIO]:
    """Make a temporary file in a directory, and lock it until it is closed."""
    while True:
        path = directory / _TEMPORARY.format(os.urandom(8).hex())
        try:
            file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode), "wb")
        except FileExistsError:
            continue
        try:
            locked = _try_lock(file.fileno())
        except OSError:  # no locks here
            locked = True
        if locked and _is_at(path, file.fileno()):
            return path, file
        file.close()  # somebody has taken it for a dead process's before it was locked, and removes it


def remove_stale(directory: Path) -> None:
    """Remove the temporary files that killed processes have left in a directory; those of living ones are locked."""
    for path in directory.glob(_TEMPORARY.format(16 * "[0-9a-f]")):
        with suppress(OSError):  # it is gone meanwhile, or another user's, or a link
            descriptor = os.open(path, os.O_RDWR | _NO_LINK)
            try:
                if _try_lock(descriptor):
                    path.unlink()
            finally:
                os.close(descriptor)


def remove_file(path: Path) -> None:
    """Remove a file, if it is there.

    Raises
    ------
    QM7Error
        If it cannot be removed, or a lock that this thread holds is lost (`lock`).
    """
    try:
        _refuse_lost_locks()
        path.unlink(missing_ok=True)
    except OSError as error:
        raise QM7Error(f"cannot remove {path}: {error.strerror or error}") from error


def is_no_file(path: Path) -> bool:
    """Say whether something is there that is no file: a device, a pipe or a directory."""
    return path.exists() and not path.is_file()


def write_text(path: Path, text: str) -> None:
    """Replace `path` by `text`, in UTF-8; bytes of a path that are none are escaped."""
    write_file(path, lambda file: file.write(text.encode(errors="backslashreplace")))


def write_arrays(path: Path, arrays: dict[str, NDArray[Any]]) -> None:
    """Replace `path` by an ``.npz`` file; the same arrays give the same bytes."""
    write_file(path, lambda file: np.savez(file, **arrays))  # type: ignore[arg-type] # no array is named allow_pickle


def format_csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return a CSV table with a header line; floats in the shortest form that reads back the same.

    No text of the rows is a formula to a spreadsheet (`qm7cli.escaping.spreadsheet_cell`).
    """
    return "".join(map(_csv_line, [header, *(map(spreadsheet_cell, row) for row in rows)]))


def _csv_line(cells: Iterable[Any]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow(cells)  # it quotes a carriage return only because it ends its lines with one
    return f"{line.getvalue()[:-2]}\n"


def format_yaml(value: Any) -> str:
    """Return a YAML document: keys in their order, innermost collections on one line, what is unprintable escaped."""
    layout: dict[str, Any] = {"sort_keys": False, "default_flow_style": None, "width": 1000}
    text: str = yaml.dump(value, Dumper=_Dumper, allow_unicode=True, **layout)
    if text == printable(text, keep="\n"):
        return text
    escaped: str = yaml.dump(value, Dumper=_Dumper, allow_unicode=False, **layout)
    return escaped


LARGEST_TEXT: Final = 32_000_000  # bytes of YAML; a sweep of 100,000 points has 20 million
LARGEST_FILE: Final = 2_000_000_000  # bytes of any file


def read_bytes(path: Path, largest: int = LARGEST_FILE) -> bytes:
    """Read a file.

    Raises
    ------
    QM7Error
        If there is none, it cannot be read, has more than `largest` bytes, or is a pipe or a device: what comes from
        there may never end, and cannot be read twice.
    """
    try:
        status = path.stat()
        size = status.st_size
        if size <= largest and (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
            return path.read_bytes()  # or say that it is a directory
    except OSError as error:
        raise QM7Error(f"cannot read {path}: {error.strerror or error}") from error
    except ValueError as error:  # a zero byte in the name
        raise QM7Error(f"cannot read {str(path)!r}: {error}") from error
    if size > largest:
        raise QM7Error(f"cannot read {path}: it has {size} bytes, more than {largest}")
    raise QM7Error(f"cannot read {path}: it is a pipe or a device; put its content into a file and name that")


def read_text(path: Path, largest: int = LARGEST_TEXT) -> str:
    """Read a UTF-8 file; raises QM7Error like `read_bytes`, and if it is no text."""
    try:
        return read_bytes(path, largest).decode()
    except UnicodeDecodeError as error:
        raise QM7Error(f"{path} is not a text file: byte {error.start} is not UTF-8") from error


# PyYAML's numbers are those of YAML 1.1, where 010 is 8, 1:30 is 90, and 1e6 is a word. Ours are Python's decimal ones.
_DIGITS: Final = "[0-9](_?[0-9])*"
_INT: Final = re.compile(rf"[-+]?{_DIGITS}\Z")
_FLOAT: Final = re.compile(
    rf"[-+]?(?=\.?[0-9])({_DIGITS})?(\.({_DIGITS})?)?([eE][-+]?{_DIGITS})?\Z"
    r"|[-+]?\.(inf|Inf|INF)\Z|\.(nan|NaN|NAN)\Z"
)
_NUMBERS: Final = {"tag:yaml.org,2002:int": _INT, "tag:yaml.org,2002:float": _FLOAT}
_YAML_1_1: Final = yaml.SafeLoader.yaml_implicit_resolvers  # what a word without quotes is, by its first sign
_DEEPEST: Final = 100  # collections in collections; libyaml's parser crashes at some ten thousands
_MOST: Final = 1_000_000  # values in a text, with those that an alias stands for counted as often as it is used
_SHORT: Final = 100_000  # signs of a text that PyYAML's own, slow parser parses in a second or two


def _resolvers(*, only_ours: bool) -> dict[str, list[tuple[str, re.Pattern[str]]]]:
    """Return what a word without quotes is taken for, with our numbers in place of YAML 1.1's, or before them."""
    theirs = {
        first: [pair for pair in pairs if not (only_ours and pair[0] in _NUMBERS)] for first, pairs in _YAML_1_1.items()
    }
    return theirs | {first: [*_NUMBERS.items(), *theirs[first]] for first in "+-.0123456789"}


class _Rules:
    """Plain types only, a key at most once in a mapping, and the same for both parsers."""

    depth = values = 0
    yaml_implicit_resolvers = _resolvers(only_ours=True)
    yaml_constructors: ClassVar[dict[str | None, Any]] = {
        **yaml.SafeLoader.yaml_constructors,
        "tag:yaml.org,2002:int": lambda _, node: int(node.value),
        "tag:yaml.org,2002:float": lambda _, node: float(re.sub(r"\.(?=[inIN])", "", node.value)),
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> Any:
        keys = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in keys:
                problem = f"the key {key.value} is there twice"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            keys.add(key.value)
        return super().construct_mapping(node, deep)  # type: ignore[misc] # a loader's

    def construct_document(self, node: yaml.Node) -> Any:
        """Make plain values of a document, if they are not too many for whoever follows each alias."""
        values, deepest = _measure(node, {})
        if values == math.inf:
            problem = "an alias stands in what it is the alias of"
        elif values > _MOST:
            problem = f"it has {values} values, more than {_MOST}, when each alias is followed"
        elif deepest > _DEEPEST:
            problem = f"more than {_DEEPEST} collections are in one another when each alias is followed"
        else:
            return super().construct_document(node)  # type: ignore[misc] # likewise
        raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)

    def descend_resolver(self, parent: yaml.Node | None, _: Any) -> None:
        """Follow the parser into a node."""
        self.depth += 1
        self.values += 1
        if self.depth > _DEEPEST:
            problem = f"more than {_DEEPEST} collections are in one another"
        elif self.values > _MOST:
            problem = f"it has more than {_MOST} values"
        else:
            return
        raise yaml.composer.ComposerError(None, None, problem, parent.start_mark if parent else None)

    def ascend_resolver(self) -> None:
        """Follow the parser out of a node."""
        self.depth -= 1


def _measure(node: yaml.Node, measured: dict[int, tuple[float, float]]) -> tuple[float, float]:
    """Return how many values a node has, itself included, and how deep they are, when each alias is followed.

    Both are infinite if that never ends. `measured` has what is known of nodes, by identity.
    """
    if id(node) not in measured:
        measured[id(node)] = math.inf, math.inf  # until it is known: an alias in it is of itself
        parts = node.value if isinstance(node, yaml.CollectionNode) else []
        if isinstance(node, yaml.MappingNode):
            parts = [part for pair in parts for part in pair]
        known = [_measure(part, measured) for part in parts]
        measured[id(node)] = 1 + sum(values for values, _ in known), 1 + max((deep for _, deep in known), default=0)
    return measured[id(node)]


class _Loader(_Rules, yaml.SafeLoader):
    pass


_LIBYAML: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # where it is; ten times as fast


class _FastLoader(_Rules, _LIBYAML):  # type: ignore[misc] # of any type
    pass


class _Dumper(yaml.SafeDumper):
    """Quotes a text that a reader, YAML 1.1's or ours, would take for a number."""

    yaml_implicit_resolvers = _resolvers(only_ours=False)


def parse_yaml(text: str, origin: object) -> Any:
    """Read YAML's plain types; `origin` names the text in the error, which gives the line.

    Raises
    ------
    QM7Error
        If the text is not YAML.
    """
    try:
        return _parsed(text, yaml.load)
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise QM7Error(f"{origin}{line}: this is not YAML: {brief(error.problem or error.context)}") from error
    except (
        yaml.YAMLError,
        ArithmeticError,
        AttributeError,
        LookupError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        raise QM7Error(f"{origin}: this is not YAML: {brief(error)}") from error


def compose_yaml(text: str) -> yaml.Node | None:
    """Return the nodes of a YAML text, which know their lines; raises yaml.YAMLError where it is none."""
    node: yaml.Node | None = _parsed(text, yaml.compose)
    return node


def _parsed(text: str, parse: Callable[..., Any]) -> Any:
    try:
        return parse(text, Loader=_FastLoader)
    except (yaml.YAMLError, UnicodeEncodeError):
        if len(text) > _SHORT:
            raise
        return parse(text, Loader=_Loader)  # PyYAML's own parser says better what is wrong, and where


def brief(text: object) -> str:
    """Return what a library says is wrong in a line of at most 200 signs: some show the file's bytes."""
    return " ".join(str(text).split())[:200]


def checksum(values: Any) -> str:
    """Return 16 hexadecimal digits (of SHA-256) that tell plain values, as YAML reads them back, from others."""
    return hashlib.sha256(ascii(values).encode()).hexdigest()[:16]


def format_record(record: dict[str, Any]) -> str:
    """Return a YAML document with a checksum of what it holds."""
    return format_yaml(record | {"checksum": checksum(record)})


def parse_record(text: str, origin: object, remedy: str) -> Any:
    """Read what `format_record` has made, or a YAML document without a checksum, as older versions have made.

    Raises
    ------
    QM7Error
        If the text is not YAML or has another checksum than it tells; the sentence ends in what to do, the `remedy`.
    """
    record = parse_yaml(text, origin)
    if isinstance(record, dict) and "checksum" in record:
        told, found = record.pop("checksum"), checksum(record)
        if told != found:
            raise QM7Error(f"{origin} is damaged or was changed: its checksum is {found}, not {told!r:.40}; {remedy}")
    return record


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
        If the content is no ``.npz`` file's, or an array's bytes are not those of its checksum or its shape.
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


class _Held(threading.local):
    """The locks that a thread holds: the path and the open file of each."""

    def __init__(self) -> None:
        self.locks: list[tuple[Path, int]] = []


_held: Final = _Held()


@contextmanager
def lock(path: Path, busy: str | None = None, stopped: Callable[[], bool] = lambda: False) -> Iterator[None]:
    """Hold the lock file `path`.

    If the file is removed or replaced meanwhile, the lock is lost: what this thread would still write or remove is then
    refused, wherever it is, since others may hold the lock of that name now.

    Parameters
    ----------
    path : Path
        Made if absent, and left in place.
    busy : str, optional
        Raise BusyError with this sentence if another process holds the lock; without it, wait.
    stopped : callable
        Asked while waiting; when true, raise StoppedError if another process has held the lock for some seconds.
    """
    begun, said = time.monotonic(), False
    try:
        while (descriptor := _open_locked(path)) is None:
            waited = time.monotonic() - begun
            if busy is not None:
                raise BusyError(busy)
            if waited > GIVE_UP_AFTER and stopped():
                raise StoppedError(f"stopped while another process held the lock {path}")
            if waited > SAY_AFTER and not said:
                notice(f"waiting for the lock {path}, which another process holds")
                said = True
            time.sleep(POLL)
    except OSError as error:
        raise QM7Error(f"cannot lock {path}: {error.strerror or error}") from error
    _held.locks.append((path, descriptor))
    try:
        yield
    finally:
        _held.locks.remove((path, descriptor))
        os.close(descriptor)


def _open_locked(path: Path) -> int | None:
    """Return the open and locked file, or None if it is another's now."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | _NO_LINK, 0o666)
    try:
        if _try_lock(descriptor) and _is_at(path, descriptor):
            return descriptor
    except OSError:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def _try_lock(descriptor: int) -> bool:
    """Lock an open file until it is closed, if nobody has locked it; raises OSError where there are no locks."""
    try:
        if sys.platform == "win32":
            import msvcrt  # noqa: PLC0415

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl  # noqa: PLC0415

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


def _is_at(path: Path, descriptor: int) -> bool:
    """Say whether a path still leads to an open file."""
    try:
        return os.path.samestat(path.stat(follow_symlinks=False), os.fstat(descriptor))
    except (FileNotFoundError, NotADirectoryError):
        return False


def _refuse_lost_locks() -> None:
    """Raise QM7Error if the file of a lock that this thread holds is no longer in its place."""
    for path, descriptor in _held.locks:
        if not _is_at(path, descriptor):
            raise QM7Error(
                f"{path.parent} was removed or replaced while this process worked there, so it writes nothing more; "
                "start it again"
            )


def make_directory(path: Path) -> None:
    """Make a directory and those above it.

    Raises
    ------
    QM7Error
        If it cannot be made, as where a file has its name.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise QM7Error(f"{path} is a file, not a directory") from error
    except OSError as error:
        raise QM7Error(f"cannot make the directory {path}: {error.strerror or error}") from error
