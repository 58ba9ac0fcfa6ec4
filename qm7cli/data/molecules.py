"""A molecule outside the data set, made of arrays or of ASE's atoms, and what is refused as one."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qm7cli.core.errors import QM7Error
from qm7cli.data.coulomb import coulomb_matrices
from qm7cli.data.dataset import MOST_ATOMS, SYMBOLS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ase import Atoms

Given: TypeAlias = "ArrayLike | Atoms | Sequence[Atoms | Molecule | tuple[ArrayLike, ArrayLike]]"
BOHR: Final = 0.529177210903  # angstrom; CODATA 2018
PLACEHOLDER: Final = 1.01  # angstrom; a cell that is no longer stands for no cell, as CRYST1 of 1 or a lattice of zeros
CHARGES: Final = frozenset({"charge", "total_charge", "net_charge", "formal_charge", "q"})  # keys, in small letters
SPINS: Final = frozenset({"multiplicity", "spin_multiplicity", "mult", "total_spin", "spin"})
NAMES: Final = ("name", "title", "id")


@dataclass(frozen=True)
class Molecule:
    """A neutral molecule that is not periodic."""

    name: str  # what it is called or, without a name, the file and, from 0, the place in it
    Z: NDArray[np.float32]  # nuclear charges, (atoms,)
    R: NDArray[np.float32]  # coordinates, bohr, (atoms, 3)
    values: Mapping[str, Any] = field(default_factory=dict)  # what else the file says of it, such as energies, by key
    open_shell: str = ""  # what says that it is not a singlet, such as ``multiplicity 3``; empty if nothing does

    def coulomb_matrix(self, n: int) -> NDArray[np.float32]:
        """Return the Coulomb matrix, padded, (n, n) float32, hartree."""
        C = coulomb_matrices(self.Z[None], self.R[None])[0].astype(np.float32)  # (atoms, atoms)
        return np.pad(C, (0, n - len(C)))


def make_molecule(
    place: str,
    Z: ArrayLike,
    R: ArrayLike,
    values: Mapping[str, Any] | None = None,
    *,
    charge: float = 0,
    unpaired: int = 0,
    name: str = "",
) -> Molecule:
    """Make a molecule of charges Z (atoms,) and coordinates R (atoms, 3), bohr; `place` is where it comes from.

    It is charged, or no singlet, if `charge`, the number of `unpaired` electrons or one of `values` says so. Raises
    QM7Error if it is charged, or has no atoms, too many, coinciding ones or others that cannot be.
    """
    values = values or {}
    name = name or next((str(values[key]) for key in NAMES if isinstance(values.get(key), str)), "") or place
    open_shell = f"{unpaired} unpaired electron{'s'[: unpaired - 1]}" if unpaired else ""
    for key, number in _numbers(place, values):
        if key.lower() in CHARGES:
            charge = charge if round(charge) else number
        elif number not in {0, 1}:
            open_shell = f"{key} {number:g}, not a singlet"
    if round(charge):
        raise QM7Error(f"{place} is charged ({round(charge):+d}); molecules here are neutral")
    own = Molecule(name, np.asarray(Z, dtype=np.float32), np.asarray(R, dtype=np.float32), values, open_shell)
    if not len(own.Z) or not (own.Z > 0).all():
        raise QM7Error(f"{place}: it has no atoms, or some of no element")
    if not np.isfinite(own.R).all():
        raise QM7Error(f"{place}: some coordinates are not numbers")
    if len(own.Z) > MOST_ATOMS:
        raise QM7Error(f"{place}: {len(own.Z)} atoms, where at most {MOST_ATOMS} are read")
    try:
        own.coulomb_matrix(len(own.Z))
    except QM7Error as error:
        raise QM7Error(f"{place}: {str(error).partition(': ')[2]}") from error
    return own


def _numbers(place: str, values: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Yield the charges and spins among values, by their keys in whatever letters; a word of a comment is no value."""
    for key, value in values.items():
        if str(key).lower() in CHARGES | SPINS and not isinstance(value, bool):
            try:
                number = float(value)
                round(number)  # which nan and infinity have not
            except (TypeError, ValueError, OverflowError) as error:
                raise QM7Error(f"{place}: its {key} is {value}, which is not a number") from error
            yield str(key), number


def from_ase(place: str, atoms: Any) -> Molecule:
    """Make a molecule of ASE atoms, coordinates in angstrom; raises QM7Error as `make_molecule`, and if periodic."""
    if (atoms.pbc & (atoms.cell.lengths() > PLACEHOLDER)).any():
        raise QM7Error(f"{place} is periodic; molecules here are not")
    values = {**getattr(atoms.calc, "results", {}), **atoms.info}
    charge, moment = atoms.get_initial_charges().sum(), atoms.get_initial_magnetic_moments().sum()
    return make_molecule(
        place, atoms.numbers, atoms.positions / BOHR, values, charge=charge, unpaired=round(abs(float(moment)))
    )


def as_molecules(given: Given, R: ArrayLike | None = None) -> list[Molecule]:
    """Return the molecules that a program has given, called ``molecule 0`` and so on.

    With coordinates R (atoms, 3) or (molecules, n, 3), bohr, nuclear charges are given: (atoms,), (molecules, n) with 0
    for padding, or a sequence of arrays (atoms,). Without R, ASE atoms, in angstrom, or a sequence of them, of pairs
    (Z, R) or of `Molecule`. Raises QM7Error if something else is given, or what `make_molecule` refuses.
    """
    try:
        each: list[Any] = [given] if _is_ase(given) else list(given)  # type: ignore[arg-type] # or it is refused
        places: list[Any] = [] if R is None else list(R)  # type: ignore[arg-type]
    except TypeError as error:
        raise QM7Error("molecules are given as arrays Z and R, as ASE atoms or as a list") from error
    if R is not None:
        if each and np.ndim(each[0]) == 0:  # charges of one molecule
            each, places = [each], [places]
        if len(each) != len(places):
            raise QM7Error(f"there are charges of {len(each)} molecules, and coordinates of {len(places)}")
        each = list(zip(each, places, strict=True))
    return [_as_molecule(f"molecule {k}", one) for k, one in enumerate(each)]


def _is_ase(given: Any) -> bool:
    """Say whether something is ASE's atoms, for which ASE need not be imported."""
    return all(hasattr(given, name) for name in ("numbers", "positions", "pbc"))


def _as_molecule(name: str, given: Any) -> Molecule:
    if isinstance(given, Molecule):
        return given
    if _is_ase(given):
        return from_ase(name, given)
    try:
        charges, places = given
        Z, R = (np.asarray(values, dtype=np.float32) for values in (charges, places))
    except (TypeError, ValueError) as error:
        raise QM7Error(f"{name} is neither ASE atoms nor a pair of charges and coordinates") from error
    if Z.ndim != 1 or R.shape != (len(Z), 3):
        raise QM7Error(f"{name}: charges {Z.shape} and coordinates {R.shape} should be (atoms,) and (atoms, 3)")
    if not np.isin(Z, np.arange(len(SYMBOLS))).all():
        raise QM7Error(f"{name}: some charges are not nuclear charges, 1 to {len(SYMBOLS) - 1}, nor 0 for padding")
    return make_molecule(name, Z[Z > 0], R[Z > 0])
