"""The model that comes with the program: a network of one fold, without the molecules that it was trained on.

`tools/make_bundled_model.py` makes it of a run, and beside it a file that says what it is and how it was made. Its
parameters are those of the run to the last bit; of the molecules it keeps means, scales and a domain.
"""

from dataclasses import replace
from pathlib import Path
from typing import Final, Literal, NamedTuple

import numpy as np

from qm7cli.core.arrays import load_arrays
from qm7cli.core.errors import QM7Error
from qm7cli.core.files import write_file
from qm7cli.data.dataset import SYMBOLS
from qm7cli.model.model import Model, ModelAbout, model_arrays, model_values, read_model

PATH: Final = Path(__file__).parents[1] / "data/bundled/network.npz"


class BundledAbout(ModelAbout):
    """The plain values of the bundled file."""

    kind: Literal["bundled model"] = "bundled model"  # type: ignore[assignment] # a file of another kind than a run's
    run: str
    dataset: str
    mae: float
    rmse: float


class BundledModel(NamedTuple):
    """The bundled model, and a sentence that says what it is."""

    model: Model
    description: str


def save_bundled(path: Path, model: Model, run: str, dataset: str, mae: float, rmse: float) -> None:
    """Write a model, without the molecules it was trained on, as what comes with the program.

    `run` and `dataset` are the names of where it comes from, `mae` and `rmse` its errors on the held-out molecules,
    kcal/mol. The same model gives the same bytes.

    Raises QM7Error if the file cannot be written.
    """
    none = np.empty(0, dtype=np.intp)
    bare = replace(model, train=none, test=none)
    about = BundledAbout(**model_values(bare), run=run, dataset=dataset, mae=mae, rmse=rmse)
    arrays = {"about": np.array(about.model_dump_json()), **model_arrays(bare)}
    write_file(path, lambda file: np.savez_compressed(file, **arrays))  # type: ignore[arg-type] # none is allow_pickle


def load_bundled(path: Path | None = None) -> BundledModel:
    """Read the model that comes with the program, or another; raises QM7Error if it is missing or damaged."""
    path = path or PATH
    if not path.exists():
        raise QM7Error(f"the model that comes with the program is missing ({path}); --run names a run instead")
    about, arrays = load_arrays(path, BundledAbout)
    model = read_model(about, arrays)
    covered = ""
    if model.domain:
        elements = ", ".join(SYMBOLS[charge] for charge in model.domain.elements)
        covered = f"; it covers neutral closed-shell molecules of {elements} with up to {model.domain.atoms[1]} atoms"
    description = (
        f"bundled model: fold {model.fold} of {about.run}, variant {model.variant}, {model.iterations:,} iterations on "
        f"{about.dataset}, held-out MAE {about.mae:.2f} kcal/mol{covered}"
    )
    return BundledModel(model, description)
