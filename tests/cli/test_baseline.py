import csv
import io

import yaml


def test_a_baseline_is_a_run_like_any_other(command, tmp_path):
    done = command("baseline", "--model", "knn", "--fold", "1", "--fold", "3", "--jobs", "1")
    lines = done.stdout.splitlines()
    assert [line.split()[:2] for line in lines[1:3]] == [["1", "complete"], ["3", "complete"]]
    assert lines[-1] == "runs/small-knn-seed0/results.yaml"
    results = yaml.safe_load((tmp_path / "runs/small-knn-seed0/results.yaml").read_text())
    assert (results["config"]["baseline"]["model"], results["status"]) == ("knn", "complete")
    assert [fold["train_molecules"] for fold in results["folds"]] == [48, 48]
    assert set(results["folds"][0]["hyperparameters"]) == {"neighbours"}
    names = sorted(path.name for path in (tmp_path / "runs/small-knn-seed0/fold-1").iterdir())
    assert names == [".lock", "model.npz", "predictions.csv", "result.yaml"]
    again = command("baseline", "--model", "knn", "--fold", "1", "--fold", "3", "--jobs", "1")
    assert again.stdout == done.stdout  # nothing is done again


def test_baselines_and_networks_are_collected_compared_and_drawn_together(command, quick_flags, tmp_path):
    command("train", "--fold", "0", "--fold", "1", *quick_flags, "--out", "runs/network")
    laplacian = ("baseline", "--kernel", "laplacian", "--scale", "100", "--ridge", "1e-6")
    command(*laplacian, "--fold", "0", "--fold", "1", "--out", "runs/krr")
    command("baseline", "--model", "mean", "--fold", "0", "--fold", "1", "--out", "runs/mean")
    rows = csv.DictReader(io.StringIO(command("collect", "runs", "--format", "csv").stdout))
    expected = [("krr", "0"), ("mean", "0"), ("", "300")]
    assert [(row["baseline.model"], row["iterations"]) for row in rows][::2] == expected
    compared = command("compare", "runs").stdout
    assert [line.split()[0] for line in compared.splitlines()[1:4]] == ["network", "mean", "krr"]
    assert "against network is inconclusive: " in compared
    assert "different lengths" not in compared
    command("plot", "runs", "--kind", "folds", "--output", "folds.png")
    alone = command("plot", "runs/krr", "runs/mean", "--kind", "curves", "--output", "alone.png", status=1)
    assert alone.stderr == "qm7: there is no curve to draw: baselines are fitted at once\n"
    assert not (tmp_path / "alone.png").exists()
