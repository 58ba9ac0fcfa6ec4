"""The data set that is measured on."""

from qm7cli.core.errors import QM7Error
from qm7cli.data import dataset


def load_qm7() -> dataset.Dataset:
    """Return QM7, or end the program with a sentence if it is not there."""
    try:
        return dataset.load(dataset.locate(None))
    except QM7Error as error:
        raise SystemExit(f"the benchmarks need QM7, as data/qm7.mat or where QM7_DATA says: {error}") from error
