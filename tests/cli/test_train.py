import json
import re

import pytest
import yaml


@pytest.fixture
def train(command, quick_flags):
    """Runs a quick training into `run`, with more arguments."""

    def run(*args, **kwargs):
        return command("train", "--out", "run", *quick_flags, *args, **kwargs)

    return run


def results(directory):
    return yaml.safe_load((directory / "results.yaml").read_text())


def test_all_folds_are_trained_and_the_tree_of_files_is_as_documented(train, tmp_path):
    done = train("--variant", "corrected", "--jobs", "2")
    run = tmp_path / "run"
    files = {str(path.relative_to(run)) for path in run.rglob("*") if path.is_file() and path.name[0] != "."}
    per_fold = ["checkpoint.npz", "model.npz", "predictions.csv", "result.yaml"]
    documented = {"config.yaml", "results.yaml", *(f"fold-{k}/{name}" for k in range(5) for name in per_fold)}
    assert files == documented
    assert (results(run)["status"], results(run)["config"]["variant"]) == ("complete", "corrected")
    lines, mae = done.stdout.splitlines(), results(run)["mae"]
    assert re.split(r"  +", lines[0]) == ["fold", "test MAE", "test RMSE", "train MAE", "train RMSE", "minutes"]
    told = [[str(fold["fold"]), f"{fold['mae']:.2f}"] for fold in results(run)["folds"]]
    assert [line.split()[:2] for line in lines[1:6]] == told
    assert lines[6].startswith("mean")
    assert f"{mae['mean']:.2f} +- {mae['std']:.2f}" in lines[6]
    records = json.loads(train("--variant", "corrected", "--format", "json").stdout)
    assert [record["mae"] for record in records] == [fold["mae"] for fold in results(run)["folds"]]
    assert {record["run"] for record in records} == {"run"}
    units = "MAE and RMSE in kcal/mol, mean +- SD over folds; status: complete; iterations:"
    assert lines[7:] == [units, "300", "run/results.yaml"]


def test_progress_goes_to_standard_error_as_plain_lines_and_quiet_leaves_it_out(train):
    line = r"\d{4}-\d\d-\d\d [\d:]{8} fold 0: iteration 200 of 300, \d+/s, \d+ s left, test MAE \d+\.\d\d kcal/mol$"
    assert re.match(line, train("--fold", "0").stderr.splitlines()[1])
    assert train("--fold", "1", "--quiet").stderr == ""


def test_print_config_prints_what_would_run_and_runs_nothing(command, tmp_path):
    done = command(
        *["train", "--print-config", "--variant", "no-prebias", "--fold", "3", "--fold", "1", "--set", "seed=4"]
    )
    config = yaml.safe_load(done.stdout)
    assert (config["variant"], config["seed"], config["split"]["folds"]) == ("no-prebias", 4, [3, 1])
    assert list(tmp_path.iterdir()) == []
