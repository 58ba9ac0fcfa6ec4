"""Files of a fold that hold arrays: finished models and the state for an exact resume.

Both are ``.npz`` files with one JSON record, ``about``, beside the arrays of each layer. Nothing is pickled.
"""

import json
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from qm7cli.encoding import Encoder
from qm7cli.errors import QM7Error
from qm7cli.evaluation import Model
from qm7cli.files import read_arrays, write_arrays
from qm7cli.network import Array, Layer

FORMAT: Final = 1
MODEL_VALUES: Final = (
    "variant",
    "seed",
    "fold",
    "iterations",
    "draws",
    "sha256",
    "energy_mean",
    "energy_std",
)
ENCODER_VALUES: Final = ("noise", "step", "scale")


def save_model(path: Path, model: Model) -> None:
    """Write a model; raises QM7Error if it cannot."""
    encoder = model.encoder
    about: dict[str, Any] = {
        **{name: getattr(model, name) for name in MODEL_VALUES},
        **{name: getattr(encoder, name) for name in ENCODER_VALUES},
    }
    arrays: dict[str, NDArray[Any]] = {
        "counts": encoder.counts,
        "mean": encoder.mean,
        "train": model.train,
        "test": model.test,
    }
    _save(path, "model", about, arrays | _pack("layer", model.layers))


def load_model(path: Path) -> Model:
    """Read a model.

    Raises
    ------
    QM7Error
        If there is none, or it is damaged or of another format.
    """
    about, arrays = _load(path, "model")
    try:
        encoder = Encoder(
            counts=arrays["counts"], mean=arrays["mean"], **{name: about[name] for name in ENCODER_VALUES}
        )
        return Model(
            train=arrays["train"],
            test=arrays["test"],
            encoder=encoder,
            layers=_unpack("layer", arrays),
            **{name: about[name] for name in MODEL_VALUES},
        )
    except KeyError as error:
        raise QM7Error(f"{path} is damaged: {error} is missing") from error


def save_checkpoint(path: Path, about: dict[str, Any], P: Array, Q: Array) -> None:
    """Write the state of a training: plain values, the parameters and their average; raises QM7Error if it cannot."""
    _save(path, "checkpoint", about, {"P": P, "Q": Q})


def load_checkpoint(path: Path) -> tuple[dict[str, Any], Array, Array]:
    """Read what `save_checkpoint` has written.

    Raises
    ------
    QM7Error
        If there is none, or it is damaged or of another format.
    """
    about, arrays = _load(path, "checkpoint")
    return about, arrays["P"], arrays["Q"]


def _save(path: Path, kind: str, about: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> None:
    record = json.dumps({"kind": kind, "format": FORMAT, **about})
    write_arrays(path, {"about": np.array(record), **arrays})


def _load(path: Path, kind: str) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    arrays = read_arrays(path)
    try:
        about = json.loads(str(arrays.pop("about")))
        found, version = about["kind"], about["format"]
    except (KeyError, TypeError, ValueError) as error:
        raise QM7Error(f"{path} is no {kind} of qm7") from error
    if found != kind:
        raise QM7Error(f"{path} is a {found}, not a {kind}")
    if version != FORMAT:
        raise QM7Error(f"{path} has format {version}; this version of qm7 reads format {FORMAT}")
    return about, arrays


def _pack(name: str, layers: list[Layer]) -> dict[str, NDArray[Any]]:
    return {f"{name}{k}.{symbol}": P for k, layer in enumerate(layers) for symbol, P in layer._asdict().items()}


def _unpack(name: str, arrays: dict[str, NDArray[Any]]) -> list[Layer]:
    count = sum(key.startswith(name) for key in arrays) // len(Layer._fields)
    return [Layer(*(arrays[f"{name}{k}.{symbol}"] for symbol in Layer._fields)) for k in range(count)]
