import re

import numpy as np
import pytest
import yaml


def test_folds_are_shown_with_size_mean_and_deviation(command, small):
    header, *lines, units = command("split", "--scheme", "random", "--count", "3").stdout.splitlines()
    assert re.split("  +", header) == ["fold", "molecules", "mean energy", "std"]
    assert [line.split()[:2] for line in lines] == [[str(k), "20"] for k in range(3)]
    assert units == "Energies in kcal/mol"
    means = [float(line.split()[2]) for line in lines]
    assert sum(means) / 3 == pytest.approx(small.T.mean(), abs=0.02)


def test_a_written_split_is_trained_on_everywhere(command, quick_flags, tmp_path):
    done = command("split", "--scheme", "stratified", "--count", "4", "--seed", "7", "--output", "four.yaml")
    assert done.stdout.splitlines()[-1] == "four.yaml"
    train = ("train", *quick_flags, "--fold", "3")
    command(*train, "--split", "four.yaml")
    command(*train, "--set=split={scheme: stratified, count: 4, seed: 7}", "--out", "same")
    run = tmp_path / "runs/small-original-seed0-split=four-network.hidden=20,10-evaluation.draws=3"
    assert results(run)["folds"][0]["mae"] == results(tmp_path / "same")["folds"][0]["mae"]
    assert f"  {results(run)['mae']['mean']:.2f}  " in command("eval", run).stdout
    shown = command("split", "--scheme", "four.yaml").stdout
    assert shown == done.stdout.removesuffix("four.yaml\n")


def test_a_split_within_a_fold_has_its_training_molecules_alone(command, small, tmp_path):
    command("split", "--within", "1", "--count", "3", "--seed", "5", "--output", "inner.yaml")
    content = yaml.safe_load((tmp_path / "inner.yaml").read_text())
    assert (content["scheme"], content["seed"]) == ("stratified, of the training molecules of fold 1 of published", 5)
    assert sorted(np.concatenate(content["folds"])) == sorted(set(range(60)) - set(small.P[1]))
    by_energy = sorted((small.T[molecule], fold) for fold, own in enumerate(content["folds"]) for molecule in own)
    assert all({fold for _, fold in by_energy[k : k + 3]} == {0, 1, 2} for k in range(0, 48, 3))


def test_a_run_keeps_to_its_split_file_wherever_that_lies_and_refuses_a_changed_one(command, quick_flags, tmp_path):
    command("split", "--scheme", "random", "--output", "folds.yaml")
    train = ("train", *quick_flags, "--out", "run", "--fold")
    command(*train, 0, "--split", "folds.yaml")
    (tmp_path / "folds.yaml").rename(tmp_path / "moved.yaml")
    command(*train, 1, "--split", "moved.yaml")
    assert len(results(tmp_path / "run")["folds"]) == 2
    command("split", "--scheme", "random", "--seed", "1", "--output", "moved.yaml")
    done = command(*train, 2, "--split", "moved.yaml", status=1)
    assert done.stderr.startswith("qm7: run was trained with other settings (split.sha256 differs)")
    done = command("train", "--config", "run/config.yaml", "--out", "run", status=1)
    assert done.stderr.startswith("qm7: moved.yaml has changed: its SHA-256 is ")


def results(run):
    return yaml.safe_load((run / "results.yaml").read_text())
