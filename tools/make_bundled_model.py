"""Make the model that comes with the program, of one fold of a finished run.

    qm7 train --fold 0 ...                                          # the run
    python tools/make_bundled_model.py runs/qm7-original-seed0      # writes qm7cli/data/bundled/network.npz and .yaml

The parameters are the run's to the last bit. Of the molecules the file keeps the means and scales of energies and
features, the number of thresholds, how many atoms molecules have, limits of distances and energies rounded outwards,
and how large the errors of the held-out ones are, in order; no matrix, energy or distance of a molecule.
"""

import argparse
import shlex
import sys
from pathlib import Path
from typing import Any

import qm7cli
from qm7cli.core.errors import QM7Error
from qm7cli.core.files import write_text
from qm7cli.core.validation import flatten
from qm7cli.core.yaml_text import format_yaml
from qm7cli.model.conformal import LEVEL, Interval
from qm7cli.model.model import BUNDLED, Model, save_bundled
from qm7cli.runs.experiment import DEFAULTS, Experiment, unused_keys
from qm7cli.runs.models import load_models
from qm7cli.runs.results import RunResults, known_results

LARGEST = 7_000_000  # bytes


def train_command(experiment: Experiment, fold: int) -> str:
    """Return the command that trains the fold again."""
    ignored = unused_keys(experiment) | {"data", "split.folds", "split.sha256"}
    settings = flatten(experiment.model_dump(mode="json"))
    changed = {key: value for key, value in settings if key not in ignored and value != DEFAULTS[key]}
    assignments = ["--set " + shlex.quote(f"{key}={value}") for key, value in changed.items()]
    return " ".join(["qm7 train", f"--fold {fold}", *assignments])


def describe(run: Path, results: RunResults, model: Model) -> dict[str, Any]:
    """Return what the bundled model is."""
    (result,) = (each for each in results.folds if each.fold == model.fold)
    return {
        "what": "the averaged network of one fold, without the molecules it was trained on",
        "run": run.name,
        "fold": model.fold,
        "variant": model.variant,
        "iterations": model.iterations,
        "dataset": results.dataset.name,
        "sha256": model.sha256,
        "held_out": {"molecules": len(model.test), "mae": result.mae, "rmse": result.rmse, "units": "kcal/mol"},
        "interval": model.interval and describe_interval(model.interval),
        "commands": [
            train_command(results.config, model.fold),
            f"python tools/make_bundled_model.py {run.name} --fold {model.fold}",
        ],
        "settings": results.config.model_dump(mode="json", exclude={"data", "baseline"}),
        "version": qm7cli.__version__,
    }


def describe_interval(interval: Interval) -> dict[str, Any]:
    """Return what the half width of the usual interval is: base + slope * spread."""
    if (q := interval.quantile()) is None:
        return {"level": LEVEL}
    return {"base": q * interval.base, "slope": q * interval.slope, "units": "kcal/mol", "level": LEVEL}


def make(run: Path, fold: int, output: Path) -> dict[str, Any]:
    """Write the bundled model of a fold, and what it is beside it; return that.

    Raises QM7Error if the run has no such network, or no results of it.
    """
    (model,) = load_models(run, [fold])
    results = known_results(run)
    if not isinstance(model, Model) or results is None or fold not in {each.fold for each in results.folds}:
        raise QM7Error(f"{run} has no network of fold {fold} with its results")
    record = describe(run, results, model)
    save_bundled(output, model, run.name, results.dataset.name, record["held_out"]["mae"], record["held_out"]["rmse"])
    write_text(output.with_suffix(".yaml"), format_yaml(record))
    return record


def main() -> None:
    """Make the bundled model and say what it is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, metavar="RUN")
    parser.add_argument("--fold", type=int, default=0, metavar="N", help="fold whose network it is (default: 0)")
    parser.add_argument("--output", type=Path, default=BUNDLED, metavar="FILE.npz")
    options = parser.parse_args()
    try:
        print(format_yaml(make(options.run, options.fold, options.output)), end="")
    except QM7Error as error:
        sys.exit(str(error))
    size = options.output.stat().st_size
    print(f"{options.output}: {size} bytes")
    if size > LARGEST:
        sys.exit(f"that is more than {LARGEST} bytes")


if __name__ == "__main__":
    main()
