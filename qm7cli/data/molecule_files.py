"""Files of molecules: what a file is, by its ending or its content, and all the molecules in it."""

import bz2
import gzip
import lzma
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from qm7cli.core.errors import QM7Error
from qm7cli.data.geometries import NUMBER, PDB_ATOM, PDB_CELL, read_pdb, read_sdf, read_trajectory, read_xyz
from qm7cli.data.molecules import Molecule
from qm7cli.data.smiles import Smiles, embed, read_csv, read_smi

Format = Literal["xyz", "sdf", "pdb", "traj", "smi", "csv"]
ENDINGS: Final[dict[str, Format]] = {
    ".xyz": "xyz", ".extxyz": "xyz", ".sdf": "sdf", ".mol": "sdf", ".pdb": "pdb", ".traj": "traj", ".smi": "smi",
    ".smiles": "smi", ".csv": "csv",
}  # fmt: skip
UNPACK: Final[dict[str, Callable[..., Any]]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
LARGEST_FILE: Final = 500_000_000  # bytes, unpacked
MOST_NAMED: Final = 20
STANDARD_INPUT: Final = Path("-")


class Group(NamedTuple):
    """A molecule: its geometry, or the conformers of a SMILES, and the row of the table that it stands in."""

    conformers: list[Molecule]
    row: dict[str, str]


def read_groups(
    paths: Iterable[Path], kind: Format | None = None, column: str | None = None, smiles: Sequence[str] = ()
) -> Iterator[Group | QM7Error]:
    """Yield all molecules of files, and of SMILES; in place of one that is left out, the error that says why.

    ``-`` is standard input. `kind` says what the files are, and without it their endings or contents; `column` is that
    of SMILES in tables, `smiles` are SMILES beside the files. Raises QM7Error if a library is missing, or a file cannot
    be read or has no molecule.
    """
    for path in paths:
        yield from _read_file(path, kind, column)
    yield from _embed_all(Smiles(text, text) for text in smiles)


def read_molecules(paths: Iterable[Path], kind: Format | None = None) -> tuple[list[Molecule], list[QM7Error]]:
    """Return the molecules of files with coordinates, in order, and why others are left out.

    Raises QM7Error as `read_groups`, and if nothing is left or a file has SMILES.
    """
    paths = list(paths)
    for path in paths:
        if _by_ending(path) in {"smi", "csv"} or kind in {"smi", "csv"}:
            raise QM7Error(f"{path} has SMILES, and this needs coordinates: XYZ, SDF, MOL, PDB or ASE trajectories")
    read = list(read_groups(paths, kind))
    left_out = [each for each in read if isinstance(each, QM7Error)]
    molecules = [each.conformers[0] for each in read if isinstance(each, Group)]
    if not molecules:
        raise QM7Error(f"no molecule is left: {left_out[0]}{f', and {len(left_out) - 1} more' if left_out[1:] else ''}")
    return molecules, left_out


def describe_left_out(left_out: Sequence[QM7Error]) -> Iterator[str]:
    """Yield sentences that say why molecules were left out, `MOST_NAMED` at most, and how many."""
    for error in left_out[:MOST_NAMED]:
        yield f"left out: {error}"
    if len(left_out) > 1:
        yield f"{len(left_out)} molecules left out"


def _read_file(path: Path, kind: Format | None, column: str | None) -> Iterator[Group | QM7Error]:
    content = _read(path)
    text = content.decode("utf-16" if content[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8-sig", errors="replace")
    text = text.replace("\r\n", "\n")
    kind = kind or _by_ending(path) or _by_content(content, text) or ("smi" if path == STANDARD_INPUT else None)
    place, any_read = "standard input" if path == STANDARD_INPUT else str(path), False
    match kind:
        case "xyz" | "sdf" | "pdb":
            found = {"xyz": read_xyz, "sdf": read_sdf, "pdb": read_pdb}[kind](text, place)
        case "traj":
            found = read_trajectory(content, place)
        case "smi" | "csv":
            smiles = read_smi(text, place) if kind == "smi" else read_csv(text, place, column)
            yield from _embed_all(smiles)
            found, any_read = iter(()), bool(smiles)
        case None:
            raise QM7Error(
                f"{path} cannot be read as a file of molecules: it is not one of XYZ, extended XYZ, SDF, MOL, PDB, ASE "
                "trajectories, SMILES (.smi) and tables of SMILES (.csv)"
            )
    for each in found:
        any_read = True
        yield each if isinstance(each, QM7Error) else Group([each], {})
    if not any_read:
        raise QM7Error(f"{path} has no molecule")


def _embed_all(smiles: Iterable[Smiles]) -> Iterator[Group | QM7Error]:
    for each in smiles:
        try:
            yield Group(embed(each), dict(each.row))
        except QM7Error as error:
            yield error


def _by_ending(path: Path) -> Format | None:
    inner = path.with_suffix("") if path.suffix.lower() in UNPACK else path
    return ENDINGS.get(inner.suffix.lower())


def _by_content(content: bytes, text: str) -> Format | None:
    start = text[:10_000]
    if content.startswith(b"- of Ulm"):
        return "traj"
    if "V2000" in start or "V3000" in start:
        return "sdf"
    if PDB_ATOM.search(start) or PDB_CELL.search(start):
        return "pdb"
    return "xyz" if NUMBER.fullmatch(start.lstrip().partition("\n")[0]) else None


def _read(path: Path) -> bytes:
    """Return the bytes of a file, unpacked, or of standard input."""
    if path.is_dir():
        raise QM7Error(f"{path} is a directory, not a file of molecules; --run names a run")
    try:
        if path == STANDARD_INPUT:
            content: bytes = sys.stdin.buffer.read(LARGEST_FILE + 1)
        else:
            unpack: Callable[..., Any] = UNPACK.get(path.suffix.lower(), open)
            with unpack(path, "rb") as file:
                content = file.read(LARGEST_FILE + 1)
    except FileNotFoundError as error:
        raise QM7Error(f"{path} does not exist") from error
    except (OSError, EOFError, ValueError, lzma.LZMAError, zlib.error) as error:
        raise QM7Error(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error
    if len(content) > LARGEST_FILE:
        raise QM7Error(f"{path} has more than {LARGEST_FILE / 1e6:.0f} MB; give it in parts")
    return content
