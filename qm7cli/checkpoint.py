"""Files of a fold that hold arrays: finished models and the state for an exact resume.

Both are ``.npz`` files with one JSON record, ``about``, beside the arrays. Nothing is pickled, and what is read is
checked before it is used: kind, format, types, dtypes, shapes, and that all numbers are ones that a training may give.
"""

import math
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from qm7cli.arrays import read_arrays, write_arrays
from qm7cli.config import differing_keys
from qm7cli.dataset import LARGEST, SYMBOLS
from qm7cli.domain import Domain
from qm7cli.encoding import MAX_FEATURES, Encoder
from qm7cli.errors import QM7Error
from qm7cli.evaluation import Model
from qm7cli.network import SMALLEST_S, Layer, count_parameters
from qm7cli.variants import Array, Variant

Count = Annotated[int, Field(ge=0, lt=2**63)]
Size = Annotated[float, Field(ge=0, lt=LARGEST)]
HistoryRow = tuple[Count, Size, Size, Size, Size, Size]  # iteration, seconds, test and train MAE and RMSE


class _About(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    kind: str
    format: Literal[1] = 1


class ModelAbout(_About):
    """The plain values of a model file; see `qm7cli.evaluation.Model` and `qm7cli.encoding.Encoder`."""

    kind: Literal["model"] = "model"
    variant: Variant
    seed: Count
    fold: Count
    iterations: Count
    draws: Annotated[int, Field(ge=1, lt=2**63)]
    sha256: str
    energy_mean: Annotated[float, Field(gt=-LARGEST, lt=LARGEST)]
    energy_std: Annotated[float, Field(gt=0, lt=LARGEST)]
    noise: Size
    step: Annotated[float, Field(gt=1 / LARGEST, lt=LARGEST)]
    scale: Annotated[float, Field(gt=1e-20, lt=LARGEST)]


class CheckpointAbout(_About):
    """The plain values of a checkpoint: what it must agree in, and the state of `qm7cli.engine.FoldTraining`."""

    kind: Literal["checkpoint"] = "checkpoint"
    identity: dict[str, Any]
    iteration: Count
    seconds: Size
    history: list[HistoryRow]
    s: Annotated[float, Field(gt=0, le=1)]


About = TypeVar("About", ModelAbout, CheckpointAbout)
ENCODER_VALUES = ("noise", "step", "scale")


def save_model(path: Path, model: Model) -> None:
    """Write a model; raises QM7Error if it cannot."""
    encoder = model.encoder
    values = {name: getattr(encoder if name in ENCODER_VALUES else model, name) for name in _fields(ModelAbout)}
    arrays: dict[str, NDArray[Any]] = {
        "counts": encoder.counts,
        "mean": encoder.mean,
        "train": model.train,
        "test": model.test,
    }
    if model.domain:
        domain = {**vars(model.domain), "reach": np.array([model.domain.reach])}
        arrays |= {f"domain.{name}": array for name, array in domain.items()}
    for k, layer in enumerate(model.layers):
        arrays |= {f"layer{k}.{symbol}": P for symbol, P in layer._asdict().items()}
    _save(path, ModelAbout(**values), arrays)


def load_model(path: Path) -> Model:
    """Read a model.

    Raises
    ------
    QM7Error
        If there is none, or it is damaged or of another format.
    """
    about, arrays = _load(path, ModelAbout)
    counts = _array(path, arrays, "counts", np.intp)
    n = math.isqrt(2 * len(counts))  # atoms
    sound = n * (n + 1) == 2 * len(counts) and counts.min() > 0 and counts.max() <= MAX_FEATURES
    m = int(counts.sum()) if sound else 0
    _require(path, "counts", sound=0 < m <= MAX_FEATURES)
    encoder = Encoder(about.noise, about.step, counts, _array(path, arrays, "mean", np.float32, m), about.scale)
    _require(path, "mean", sound=np.abs(encoder.mean).max() <= 1)  # of tanh
    layers = []
    for k in range(sum(name.endswith(".W") for name in arrays)):
        W = _array(path, arrays, f"layer{k}.W", np.float32, m, None)
        n = W.shape[1]
        A, B = (_array(path, arrays, f"layer{k}.{symbol}", np.float32, size) for symbol, size in (("A", m), ("B", n)))
        layers.append(Layer(W, A, B))
        m = n
    if m != 1:
        raise QM7Error(f"{path} is damaged: its last layer gives {m} numbers, not 1")
    train, test = (_array(path, arrays, part, np.intp) for part in ("train", "test"))
    molecules = np.concatenate([train, test])
    _require(path, "train or test", sound=molecules.min() >= 0 and len(np.unique(molecules)) == len(molecules))
    return Model(
        train=train,
        test=test,
        encoder=encoder,
        layers=layers,
        domain=_domain(path, arrays, len(counts)) if "domain.reach" in arrays else None,
        **{name: getattr(about, name) for name in _fields(ModelAbout) if name not in ENCODER_VALUES},
    )


def _domain(path: Path, arrays: dict[str, NDArray[Any]], entries: int) -> Domain:
    charges = _array(path, arrays, "domain.charges", np.intp)
    elements = len(charges)
    domain = Domain(
        charges=charges,
        atoms=_array(path, arrays, "domain.atoms", np.intp, 2),
        counts=_array(path, arrays, "domain.counts", np.intp, 2, elements),
        distances=_array(path, arrays, "domain.distances", np.float32, 2, elements, elements),
        energies=_array(path, arrays, "domain.energies", np.float64, 2),
        matrices=_array(path, arrays, "domain.matrices", np.float16, None, entries),
        reach=float(_array(path, arrays, "domain.reach", np.float64, 1)[0]),
    )
    _require(path, "domain.charges", sound=(np.diff(charges, prepend=0, append=len(SYMBOLS)) > 0).all())
    for name in ("atoms", "counts", "distances", "energies"):
        lower, upper = getattr(domain, name)
        _require(path, f"domain.{name}", sound=(lower <= upper).all() and (name == "energies" or lower.min() >= 0))
    _require(path, "domain.reach", sound=domain.reach >= 0)
    return domain


def save_checkpoint(path: Path, about: CheckpointAbout, P: Array, Q: Array, basis: Array) -> None:
    """Write the state of a training; raises QM7Error if it cannot.

    It is plain values, the parameters, their average and the basis that they are in (`qm7cli.reduced`).
    """
    _save(path, about, {"P": P, "Q": Q, "basis": basis})


def load_checkpoint(
    path: Path, identity: dict[str, Any], sizes: list[int], turned: int
) -> tuple[CheckpointAbout, Array, Array, Array | None]:
    """Read what `save_checkpoint` has written for a configuration, layers between `sizes` and a basis of `turned` rows.

    Older versions wrote the parameters of all features and no basis, which is then None.

    Raises
    ------
    QM7Error
        If there is none, or it is damaged, of another format or of another configuration.
    """
    about, arrays = _load(path, CheckpointAbout)
    if differing_keys(about.identity, identity):
        raise QM7Error(f"{path} belongs to another configuration; remove it to train this fold from the start")
    basis = _array(path, arrays, "basis", np.float32, turned, None) if "basis" in arrays else None
    rows = sizes[0] if basis is None else sizes[0] - turned + basis.shape[1]
    parameters = count_parameters([rows, *sizes[1:]])
    P = _array(path, arrays, "P", np.float32, parameters)
    Q = _array(path, arrays, "Q", np.float32, parameters, largest=LARGEST / SMALLEST_S)
    return about, P, Q, basis


def _fields(about: type[_About]) -> list[str]:
    return [name for name in about.model_fields if name not in _About.model_fields]


def _save(path: Path, about: _About, arrays: dict[str, NDArray[Any]]) -> None:
    write_arrays(path, {"about": np.array(about.model_dump_json()), **arrays})


def _load(path: Path, kind: type[About]) -> tuple[About, dict[str, NDArray[Any]]]:
    arrays = read_arrays(path)
    try:
        return kind.model_validate_json(str(arrays.pop("about", "{}"))), arrays
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place, reason = ".".join(map(str, first["loc"])), first["msg"]
    except ValueError as error:  # signs that there are not
        place, reason = "", str(error)
    wanted = kind.model_fields["kind"].default
    raise QM7Error(f"{path} is no {wanted} that this version of qm7 reads: {place or 'about'}: {reason}")


def _require(path: Path, name: str, *, sound: bool | np.bool) -> None:
    """Raise QM7Error if the array of a name is not sound."""
    if not sound:
        raise QM7Error(f"{path} is damaged: {name} has numbers that no training gives")


def _array(
    path: Path,
    arrays: dict[str, NDArray[Any]],
    name: str,
    dtype: type,
    *shape: int | None,
    largest: float = LARGEST,
) -> NDArray[Any]:
    """Return an array if it has the dtype, the shape, where None is any size, and no number of `largest` or more.

    The shape is (None,) where none is given.
    """
    array = arrays.get(name, np.empty(0, dtype=bool))
    sizes = shape or (None,)
    fits = array.ndim == len(sizes) and all(size in {None, n} for size, n in zip(sizes, array.shape, strict=True))
    if array.dtype != dtype or not fits or not array.size or not array.flags.c_contiguous:
        needed = f"{np.dtype(dtype)} {tuple('any' if size is None else size for size in sizes)}"
        raise QM7Error(f"{path} is damaged: {name} is {array.dtype} {array.shape}, not {needed}")
    _require(path, name, sound=-largest < float(array.min()) and float(array.max()) < largest)  # false for nan
    return array
