"""The baselines by name, with what they take."""

from typing import Final, Literal

Kind = Literal["mean", "knn", "linear", "krr"]
RepresentationName = Literal["eigenspectrum", "sorted", "random", "bag-of-bonds", "composition"]
Kernel = Literal["gaussian", "laplacian"]
Hyperparameters = dict[str, int | float]  # neighbours, scale, ridge: those that the model takes
HYPERPARAMETERS: Final[dict[str | None, tuple[str, ...]]] = {  # of each baseline; None is the network
    None: (),
    "mean": (),
    "knn": ("neighbours",),
    "linear": ("ridge",),
    "krr": ("scale", "ridge"),
}
