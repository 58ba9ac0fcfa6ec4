"""Molecules that a program has at hand: arrays of charges and coordinates, or ASE's atoms."""

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from qm7cli.core.errors import QM7Error
from qm7cli.data.dataset import SYMBOLS
from qm7cli.data.molecules import Molecule, from_ase, make_molecule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ase import Atoms

Given: TypeAlias = "ArrayLike | Atoms | Sequence[Atoms | Molecule | tuple[ArrayLike, ArrayLike]]"


def as_molecules(given: Given, R: ArrayLike | None = None) -> list[Molecule]:
    """Return the molecules that a program has given, called ``molecule 0`` and so on.

    Parameters
    ----------
    given : (atoms,), (molecules, n), ASE atoms or a sequence
        With `R`, nuclear charges: of one molecule, of several with 0 for padding, or a sequence of arrays (atoms,).
        Without it, ASE atoms or a sequence of them, of pairs (Z, R) or of `Molecule`.
    R : (atoms, 3) or (molecules, n, 3), optional
        Coordinates in bohr. Those of ASE atoms are in angstrom, as always there.

    Raises
    ------
    QM7Error
        If something else is given, or what `qm7cli.data.molecules` refuses: periodic, charged and others.
    """
    try:
        charges: list[Any] = [given] if _is_ase(given) else list(given)  # type: ignore[arg-type] # or it is refused
        places: list[Any] = [] if R is None else list(R)  # type: ignore[arg-type]
    except TypeError as error:
        raise QM7Error("molecules are given as arrays Z and R, as ASE atoms or as a list") from error
    if R is None:
        return [_as_molecule(f"molecule {k}", each) for k, each in enumerate(charges)]
    if charges and np.ndim(charges[0]) == 0:  # of one molecule
        charges, places = [charges], [places]
    if len(charges) != len(places):
        raise QM7Error(f"there are charges of {len(charges)} molecules, and coordinates of {len(places)}")
    return [_as_molecule(f"molecule {k}", pair) for k, pair in enumerate(zip(charges, places, strict=True))]


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
