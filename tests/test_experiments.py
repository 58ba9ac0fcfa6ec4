from pathlib import Path

import pytest
import yaml

from qm7cli.config import Experiment, Split, read_experiment
from qm7cli.sweep import read_sweep

EXPERIMENTS = Path(__file__).parents[1] / "experiments"


def test_paper_yaml_writes_out_the_defaults_key_by_key():
    assert read_experiment(EXPERIMENTS / "paper.yaml") == Experiment()
    assert (EXPERIMENTS / "paper.yaml").read_text().count("  # ") >= len(list(_keys(Experiment().model_dump())))


def test_quick_yaml_differs_in_the_iterations_alone():
    quick = read_experiment(EXPERIMENTS / "quick.yaml")
    assert quick.training.iterations == 20_000
    assert quick.model_copy(update={"training": Experiment().training}) == Experiment()


SWEEPS = {"variants.yaml": 15, "noise.yaml": 25, "learning-curve.yaml": 30, "table1.yaml": 50}  # and their jobs


@pytest.mark.parametrize("file", sorted(EXPERIMENTS.glob("*.yaml")), ids=lambda file: file.name)
def test_every_experiment_says_how_to_run_it(file):
    command = "sweep" if file.name in SWEEPS else "train --config"
    assert f"qm7 {command} experiments/{file.name}" in file.read_text()


@pytest.mark.parametrize("name", SWEEPS)
def test_a_sweep_has_the_jobs_that_it_says(name):
    experiments = read_sweep(EXPERIMENTS / name)
    assert all(experiment.split == Split(train_size=experiment.split.train_size) for experiment in experiments)
    assert len(experiments) * 5 == SWEEPS[name]  # published folds
    assert f"{SWEEPS[name]} jobs" in (EXPERIMENTS / name).read_text()


def _keys(tree):
    for key, value in tree.items():
        yield from _keys(value) if isinstance(value, dict) else [key]


RESULTS = EXPERIMENTS / "results"


def test_the_pages_say_what_the_published_results_say():
    readme, page = (Path(EXPERIMENTS.parent, name).read_text() for name in ("README.md", "docs/gradients.md"))
    assert (RESULTS / "variants/compare.txt").read_text() in page
    runs = sorted(RESULTS.glob("*/*/results.yaml"))
    assert len(runs) == 3 + 10
    for path in runs:
        results = yaml.safe_load(path.read_text())
        assert [(fold["fold"], fold["status"]) for fold in results["folds"]] == [(k, "complete") for k in range(5)]
        mae, rmse = (results[metric] for metric in ("mae", "rmse"))
        digits = 2 if results.get("baseline") else 3
        told = f"{mae['mean']:.{digits}f} +- {mae['std']:.{digits}f} | {rmse['mean']:.2f} +- {rmse['std']:.2f} |"
        assert told in readme, path


def test_published_results_can_be_collected_and_their_curves_drawn(command, tmp_path):
    rows = command("collect", RESULTS, "--format", "csv").stdout.splitlines()
    assert len(rows) == 1 + 13 * 5
    command("plot", RESULTS / "variants", "--kind", "curves", "--output", "curves.png")
    assert (tmp_path / "curves.png").exists()
