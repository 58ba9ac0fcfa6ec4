"""The data sets that runs were trained on, found again and known by their SHA-256."""

import hashlib
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from qm7cli.core.errors import QM7Error
from qm7cli.core.files import read_bytes
from qm7cli.data.dataset import BUNDLED, DEFAULT_PATH, PUBLISHED_SHA256, Dataset, load, locate
from qm7cli.model.fold_model import FoldModel
from qm7cli.runs.access import read_config
from qm7cli.runs.models import refuse_other_dataset


class RunDatasets:
    """Gives the data set of each of many runs, and reads it once: `data`, as `qm7cli.data.dataset.locate` takes it.

    Without it, a run's is looked for where its configuration says, in ``$QM7_DATA``, in ``data/qm7.mat`` and among the
    bundled sets. Raises QM7Error if `data` cannot be read.
    """

    def __init__(self, data: str | None = None) -> None:
        self._given = None if data is None else load(locate(data))
        self._fingerprints: dict[Path, str | None] = {}
        self._loaded: dict[str, Dataset] = {}

    @property
    def paths(self) -> list[Path]:
        """The files that were read."""
        return [dataset.path for dataset in (*self._loaded.values(), self._given) if dataset]

    def of(self, run: Path, models: Sequence[FoldModel]) -> Dataset:
        """Return the data set that the models of a run were trained on; raises QM7Error if it is not found or given."""
        dataset = self._given or self._found(run, models[0].sha256)
        refuse_other_dataset(run, models, dataset)
        return dataset

    def _found(self, run: Path, sha256: str) -> Dataset:
        if sha256 in self._loaded:
            return self._loaded[sha256]
        # Where the settings say, the likeliest place; the models may be all that is left of a run.
        config = read_config(run) if (run / "config.yaml").exists() else None
        names = [config and config.experiment.data, os.environ.get("QM7_DATA"), str(DEFAULT_PATH), *BUNDLED]
        places = dict.fromkeys(BUNDLED.get(name, Path(name).expanduser()) for name in names if name)
        for path in places:
            if self._fingerprint(path) == sha256:
                dataset = self._loaded[sha256] = load(path)
                return dataset
        looked = ", ".join(
            f"{path} ({'another data set' if self._fingerprint(path) else 'not there'})"
            for path in places
            if path not in BUNDLED.values()
        )
        name = config.dataset.name if config else "a data set"
        fetch = "qm7 download fetches it, or " if sha256 == PUBLISHED_SHA256 else ""
        raise QM7Error(
            f"{run} was trained on {name}, SHA-256 {sha256[:12]}..., which is not found: looked at {looked}; "
            f"{fetch}--data names its file"
        )

    def _fingerprint(self, path: Path) -> str | None:
        """Return the SHA-256 of a file, or None if it cannot be read."""
        if path not in self._fingerprints:
            self._fingerprints[path] = None
            with suppress(QM7Error):
                self._fingerprints[path] = hashlib.sha256(read_bytes(path)).hexdigest()
        return self._fingerprints[path]
