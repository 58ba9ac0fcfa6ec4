import csv
import io
import signal

import yaml

from conftest import wait_for

LAPLACIAN = ("baseline", "--kernel", "laplacian", "--scale", "100", "--ridge", "1e-6")


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
    command(*LAPLACIAN, "--fold", "0", "--fold", "1", "--out", "runs/krr")
    command("baseline", "--model", "mean", "--fold", "0", "--fold", "1", "--out", "runs/mean")
    rows = list(csv.DictReader(io.StringIO(command("collect", "runs", "--format", "csv").stdout)))
    assert [(row["baseline.model"], row["iterations"]) for row in rows[::2]] == [
        ("krr", "0"),
        ("mean", "0"),
        ("", "300"),
    ]
    compared = command("compare", "runs").stdout
    assert [line.split()[0] for line in compared.splitlines()[1:4]] == ["network", "mean", "krr"]
    assert "against network is not decided: " in compared
    assert "different lengths" not in compared
    for kind in ("curves", "folds"):
        command("plot", "runs", "--kind", kind, "--output", f"{kind}.png")
    alone = command("plot", "runs/krr", "runs/mean", "--kind", "curves", "--output", "alone.png", status=1)
    assert alone.stderr == "qm7: there is no curve to draw: baselines are fitted at once\n"
    assert not (tmp_path / "alone.png").exists()


def test_an_interrupted_search_leaves_a_run_that_the_same_command_finishes(command, background, tmp_path):
    search = ("baseline", "--data", "gfn7", "--scale", "100", "--fold", "0", "--jobs", "1", "--out", "run")
    process = background(*search)
    wait_for((tmp_path / "run/fold-0/result.yaml").exists, process)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    assert yaml.safe_load((tmp_path / "run/results.yaml").read_text())["status"] == "partial"
    assert "complete" in command(*search).stdout
