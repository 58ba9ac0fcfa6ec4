from pathlib import Path

import pytest

from qm7cli.data.splits import Split
from qm7cli.model.variants import CONTROLS
from qm7cli.runs.experiment import Experiment, resolve
from qm7cli.training.sweep import read_sweep

EXPERIMENTS = Path(__file__).parents[1] / "experiments"


def test_paper_yaml_writes_out_the_defaults_key_by_key():
    assert resolve(EXPERIMENTS / "paper.yaml", [], {}) == Experiment()
    assert (EXPERIMENTS / "paper.yaml").read_text().count("  # ") >= len(list(_keys(Experiment().model_dump())))


def test_quick_yaml_differs_in_the_iterations_alone():
    quick = resolve(EXPERIMENTS / "quick.yaml", [], {})
    assert quick.training.iterations == 20_000
    assert quick.model_copy(update={"training": Experiment().training}) == Experiment()


def test_fast_yaml_is_the_recipe_of_a_few_iterations():
    fast = resolve(EXPERIMENTS / "fast.yaml", [], {})
    assert (fast.target.subtract, fast.network.activation, fast.encoding.step) == ("composition", "relu", 0.5)
    assert fast.training.iterations <= 20_000


SWEEPS = {  # and their jobs
    "variants.yaml": 45,
    "learning-curve.yaml": 90,
    "table1.yaml": 65,
    "offset.yaml": 80,
    "centering.yaml": 20,
    "rates.yaml": 84,
    "bias.yaml": 50,
    "long.yaml": 10,
    "recipe.yaml": 42,
    "recipe-long.yaml": 12,
    "best.yaml": 25,
    "composition.yaml": 60,
    "activations.yaml": 80,
}
WITH_CONTROL = ("centering.yaml", "offset.yaml", "rates.yaml", "composition.yaml", "activations.yaml")


@pytest.mark.parametrize("file", sorted(EXPERIMENTS.glob("*.yaml")), ids=lambda file: file.name)
def test_every_experiment_says_how_to_run_it(file):
    command = "sweep" if file.name in SWEEPS else "train --config"
    assert f"qm7 {command} experiments/{file.name}" in file.read_text()


@pytest.mark.parametrize("name", SWEEPS)
def test_a_sweep_has_the_jobs_that_it_says(name):
    experiments = read_sweep(EXPERIMENTS / name)
    folds = {"rates.yaml": [0], "recipe.yaml": [0, 1, 2], "recipe-long.yaml": [0, 1, 2]}.get(name)
    splits = (experiment.split for experiment in experiments)
    assert all(split == Split(train_size=split.train_size, folds=folds) for split in splits)
    assert len(experiments) * len(folds or range(5)) == SWEEPS[name]  # published folds
    variants = {experiment.variant for experiment in experiments}
    assert (variants >= CONTROLS) == (name in WITH_CONTROL)
    assert f"{SWEEPS[name]} jobs" in (EXPERIMENTS / name).read_text()


def _keys(tree):
    for key, value in tree.items():
        yield from _keys(value) if isinstance(value, dict) else [key]
