from pathlib import Path

import pytest

from qm7cli.config import Experiment, read_experiment

EXPERIMENTS = Path(__file__).parents[1] / "experiments"


def test_paper_yaml_writes_out_the_defaults_key_by_key():
    assert read_experiment(EXPERIMENTS / "paper.yaml") == Experiment()
    assert (EXPERIMENTS / "paper.yaml").read_text().count("  # ") >= len(list(_keys(Experiment().model_dump())))


def test_quick_yaml_differs_in_the_iterations_alone():
    quick = read_experiment(EXPERIMENTS / "quick.yaml")
    assert quick.training.iterations == 20_000
    assert quick.model_copy(update={"training": Experiment().training}) == Experiment()


@pytest.mark.parametrize("file", sorted(EXPERIMENTS.glob("*.yaml")), ids=lambda file: file.name)
def test_every_experiment_says_how_to_run_it(file):
    assert f"qm7 train --config experiments/{file.name}" in file.read_text()


def _keys(tree):
    for key, value in tree.items():
        yield from _keys(value) if isinstance(value, dict) else [key]
