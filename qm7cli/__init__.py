"""Train, evaluate and compare pre-bias networks on the QM7 atomization energies.

``import qm7cli`` imports nothing else; each name below is imported when it is first used. docs/python.md shows them.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qm7cli.analysis.compare import Comparison
    from qm7cli.api import compare, load_dataset, load_model, load_models, load_run, plot, predict, sweep, train
    from qm7cli.core.errors import QM7Error
    from qm7cli.core.version import __version__
    from qm7cli.data.dataset import Dataset
    from qm7cli.data.splits import Split
    from qm7cli.estimators import PreBiasRegressor, RandomSortedCoulomb
    from qm7cli.model.fold_model import DomainWarning, FoldModel
    from qm7cli.model.model import Model
    from qm7cli.model.predict import Prediction
    from qm7cli.runs.collect import Run
    from qm7cli.runs.experiment import Experiment
    from qm7cli.runs.results import RunResults
    from qm7cli.runs.settings import Architecture, Baseline, Encoding, Evaluation, Training
    from qm7cli.training.train_run import FoldsError

__all__ = [
    "Architecture", "Baseline", "Comparison", "Dataset", "DomainWarning", "Encoding", "Evaluation", "Experiment",
    "FoldModel", "FoldsError", "Model", "PreBiasRegressor", "Prediction", "QM7Error", "RandomSortedCoulomb", "Run",
    "RunResults", "Split", "Training", "__version__", "compare", "load_dataset", "load_model", "load_models",
    "load_run", "plot", "predict", "sweep", "train",
]  # fmt: skip
_MODULES = {  # where the names are
    "analysis.compare": ("Comparison",),
    "api": ("compare", "load_dataset", "load_model", "load_models", "load_run", "plot", "predict", "sweep", "train"),
    "core.errors": ("QM7Error",),
    "core.version": ("__version__",),
    "data.dataset": ("Dataset",),
    "data.splits": ("Split",),
    "estimators": ("PreBiasRegressor", "RandomSortedCoulomb"),
    "model.fold_model": ("DomainWarning", "FoldModel"),
    "model.model": ("Model",),
    "model.predict": ("Prediction",),
    "runs.collect": ("Run",),
    "runs.experiment": ("Experiment",),
    "runs.results": ("RunResults",),
    "runs.settings": ("Architecture", "Baseline", "Encoding", "Evaluation", "Training"),
    "training.train_run": ("FoldsError",),
}
_NAMES = {name: f"qm7cli.{module}" for module, names in _MODULES.items() for name in names}


if not TYPE_CHECKING:  # to a type checker, a module with this function has every name

    def __getattr__(name: str) -> object:
        if name not in _NAMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(_NAMES[name]), name)
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
