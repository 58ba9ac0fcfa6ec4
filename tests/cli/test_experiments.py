"""`qm7 experiments`, and experiments by their names."""

import json

import yaml

from qm7cli.runs.experiment import experiment_files, is_sweep
from qm7cli.training.sweep import read_sweep


def test_it_lists_every_file_with_its_jobs_in_80_columns(command):
    lines = command("experiments", COLUMNS="80").stdout.splitlines()
    listed = {line.split()[0]: int(line.split()[1]) for line in lines[1:] if line[0] != " " and line[:4] != "qm7 "}
    assert listed.keys() == experiment_files().keys()
    assert {"quick", "paper", "variants"} <= listed.keys()
    for name, file in experiment_files().items():
        folds = [len(each.split.folds or range(5)) for each in read_sweep(file)] if is_sweep(file) else [5]
        assert listed[name] == sum(folds)
    assert max(map(len, lines)) <= 80
    assert command("experiments", "quick.yaml").stdout == experiment_files()["quick"].read_text()
    records = json.loads(command("experiments", "--format", "json").stdout)
    assert {each["name"]: each["jobs"] for each in records} == listed
    assert {each["command"] for each in records if is_sweep(experiment_files()[each["name"]])} == {"sweep"}
    assert "--format is for the list" in command("experiments", "quick", "--format", "csv", status=2).stderr


def test_a_file_of_that_name_goes_before_it_and_a_directory_does_not(command, tmp_path):
    def iterations():
        printed = command("train", "--config", "quick", "--print-config").stdout
        return yaml.safe_load(printed)["training"]["iterations"]

    (tmp_path / "quick").mkdir()
    assert iterations() == 20_000
    (tmp_path / "quick").rmdir()
    (tmp_path / "quick").write_text("training: {iterations: 7}")
    assert iterations() == 7


def test_a_sweep_goes_by_its_name_and_is_the_base_of_another(command, tmp_path):
    listed = command("sweep", "variants", "--dry-run").stdout
    assert listed.count("runs/variants/") == 45
    (tmp_path / "mine.yaml").write_text("{base: quick, grid: {seed: [0, 1]}}")
    assert command("sweep", "mine.yaml", "--dry-run").stdout.count("of 20000") == 10


def test_the_other_kind_of_file_is_sent_to_its_command_by_its_name(command):
    assert "qm7 train --config quick takes it" in command("sweep", "quick", status=1).stderr
    assert "qm7 sweep variants takes it" in command("train", "--config", "variants", status=1).stderr
