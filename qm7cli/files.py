"""Files that are whole or absent, and locks between processes.

A file is written beside its place, flushed to the disk and renamed over what was there: a reader, or a process
that is killed, finds the old file or the new one and never a part. A lock is the operating system's (flock), so it
ends with the process that holds it, however that ends.
"""

import csv
import io
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Final

import numpy as np
import yaml
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from qm7cli.errors import BusyError, QM7Error, StoppedError
from qm7cli.notices import SAY_AFTER, notice

GIVE_UP_AFTER: Final = 2.0  # seconds after which a stop ends the wait for a lock: those waited for are held for less


def write_file(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Replace `path` by what `write` puts into the binary file it is given.

    A symbolic link keeps its place, and so does a device, which is written to directly.

    Raises
    ------
    QM7Error
        If the file cannot be written; what was there before is then untouched.
    """
    try:
        if is_no_file(path):  # a device or a pipe
            with path.open("wb") as device:
                write(device)
            return
        target = path.resolve()
        beside = target.with_name(f".{target.name}.{os.getpid()}.tmp")
        try:
            with beside.open("wb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(target)
        finally:
            beside.unlink(missing_ok=True)
    except (OSError, RuntimeError) as error:  # RuntimeError: symbolic links in a circle
        raise QM7Error(f"cannot write {path}: {getattr(error, 'strerror', None) or error}") from error


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
    """Return a CSV table with a header line; floats in the shortest form that reads back the same."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()


def format_yaml(value: Any) -> str:
    """Return a YAML document: keys in their order, innermost collections on one line."""
    layout: dict[str, Any] = {"sort_keys": False, "default_flow_style": None, "width": 1000, "allow_unicode": True}
    text: str = yaml.dump(value, Dumper=_Dumper, **layout)
    return text


def refuse_same(output: Path, source: Path) -> None:
    """Raise QM7Error if `output` would replace the file that it is made from."""
    if output.exists() and source.exists() and output.samefile(source):
        raise QM7Error(f"{output} is what is read here; choose another output")


def read_text(path: Path) -> str:
    """Read a UTF-8 file.

    Raises
    ------
    QM7Error
        If there is none, it cannot be read or is no text.
    """
    try:
        return path.read_bytes().decode()
    except OSError as error:
        raise QM7Error(f"cannot read {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise QM7Error(f"{path} is not a text file: byte {error.start} is not UTF-8") from error
    except ValueError as error:  # a zero byte in the name
        raise QM7Error(f"cannot read {str(path)!r}: {error}") from error


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


def _resolvers(*, only_ours: bool) -> dict[str, list[tuple[str, re.Pattern[str]]]]:
    """Return what a word without quotes is taken for, with our numbers in place of YAML 1.1's, or before them."""
    theirs = {
        first: [pair for pair in pairs if not (only_ours and pair[0] in _NUMBERS)] for first, pairs in _YAML_1_1.items()
    }
    return theirs | {first: [*_NUMBERS.items(), *theirs[first]] for first in "+-.0123456789"}


class _Rules:
    """Plain types only, a key at most once in a mapping, and the same for both parsers."""

    depth = 0
    yaml_implicit_resolvers = _resolvers(only_ours=True)
    yaml_constructors: ClassVar[dict[str | None, Any]] = {
        **yaml.SafeLoader.yaml_constructors,
        "tag:yaml.org,2002:int": lambda _, node: int(node.value),
        "tag:yaml.org,2002:float": lambda _, node: float(re.sub(r"\.(?=[inIN])", "", node.value)),
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> Any:
        keys = [key.value for key, _ in node.value]
        for place, (key, _) in enumerate(node.value):
            if key.value in keys[:place]:
                problem = f"the key {key.value} is there twice"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
        return super().construct_mapping(node, deep)  # type: ignore[misc] # a loader's

    def descend_resolver(self, parent: yaml.Node | None, _: Any) -> None:
        """Follow the parser into a node."""
        self.depth += 1
        if self.depth > _DEEPEST:
            problem = f"more than {_DEEPEST} collections are in one another"
            raise yaml.composer.ComposerError(None, None, problem, parent.start_mark if parent else None)

    def ascend_resolver(self) -> None:
        """Follow the parser out of a node."""
        self.depth -= 1


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
        raise QM7Error(f"{origin}{line}: this is not YAML: {error.problem or error.context}") from error
    except (yaml.YAMLError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise QM7Error(f"{origin}: this is not YAML: {' '.join(str(error).split())[:200]}") from error


def compose_yaml(text: str) -> yaml.Node | None:
    """Return the nodes of a YAML text, which know their lines; raises yaml.YAMLError where it is none."""
    node: yaml.Node | None = _parsed(text, yaml.compose)
    return node


def _parsed(text: str, parse: Callable[..., Any]) -> Any:
    try:
        return parse(text, Loader=_FastLoader)
    except (yaml.YAMLError, UnicodeEncodeError):  # PyYAML's own parser says better what is wrong, and where
        return parse(text, Loader=_Loader)


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Read all arrays of an ``.npz`` file; nothing is unpickled.

    Raises
    ------
    QM7Error
        If there is none, it cannot be read or is damaged.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return dict(archive)
    except OSError as error:
        raise QM7Error(f"cannot read {path}: {error.strerror or error}") from error
    except Exception as error:  # zipfile, zlib and numpy each have their own for a damaged file
        raise QM7Error(f"{path} is damaged: it cannot be read as an .npz file") from error


@contextmanager
def lock(path: Path, busy: str | None = None, stopped: Callable[[], bool] = lambda: False) -> Iterator[None]:
    """Hold the lock file `path`.

    Parameters
    ----------
    path : Path
        Made if absent, and left in place.
    busy : str, optional
        Raise BusyError with this sentence if another process holds the lock; without it, wait.
    stopped : callable
        Asked while waiting; when true, raise StoppedError if another process has held the lock for some seconds.
    """
    held = FileLock(path)
    begun, said = time.monotonic(), False
    try:
        while not _acquired(held, 0 if busy else 0.1):
            waited = time.monotonic() - begun
            if busy:
                raise BusyError(busy)
            if waited > GIVE_UP_AFTER and stopped():
                raise StoppedError(f"stopped while another process held the lock {path}")
            if waited > SAY_AFTER and not said:
                notice(f"waiting for the lock {path}, which another process holds")
                said = True
    except OSError as error:
        raise QM7Error(f"cannot lock {path}: {error.strerror or error}") from error
    try:
        yield
    finally:
        held.release()


def _acquired(held: FileLock, timeout: float) -> bool:
    try:
        held.acquire(timeout)
    except Timeout:
        return False
    return True


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


def remove_stale(directory: Path) -> None:
    """Remove what a killed process has left half-written; to be called by the holder of the directory's lock."""
    for stale in directory.glob(".*.tmp"):
        stale.unlink(missing_ok=True)
