"""`qm7 experiments`, and experiments by their names."""

import json

from qm7cli.core.validation import flatten
from qm7cli.data.splits import Split
from qm7cli.runs.experiment import Experiment, experiment_files, is_sweep, resolve
from qm7cli.training.sweep import read_sweep


def test_it_lists_every_file_with_the_jobs_that_it_says_in_80_columns(command):
    lines = command("experiments", COLUMNS="80").stdout.splitlines()
    listed = {line.split()[0]: int(line.split()[1]) for line in lines[1:] if line[0] != " " and line[:4] != "qm7 "}
    assert listed.keys() == experiment_files().keys()
    assert {"quick", "paper", "variants"} <= listed.keys()
    for name, file in experiment_files().items():
        splits = [each.split for each in read_sweep(file)] if is_sweep(file) else [Split()]
        assert all(split == Split(train_size=split.train_size, folds=split.folds) for split in splits)  # published
        assert listed[name] == sum(len(split.folds or range(5)) for split in splits)
        assert f"qm7 {'sweep' if is_sweep(file) else 'train --config'} experiments/{name}.yaml" in file.read_text()
        assert not is_sweep(file) or f"{listed[name]} jobs" in file.read_text()
    assert max(map(len, lines)) <= 80
    assert command("experiments", "quick.yaml").stdout == experiment_files()["quick"].read_text()
    records = json.loads(command("experiments", "--format", "json").stdout)
    assert {each["name"]: each["jobs"] for each in records} == listed
    assert {each["command"] for each in records if is_sweep(experiment_files()[each["name"]])} == {"sweep"}
    assert "--format is for the list" in command("experiments", "quick", "--format", "csv", status=2).stderr


def test_paper_yaml_writes_out_the_defaults_key_by_key_and_quick_yaml_takes_fewer_iterations():
    paper, quick = (experiment_files()[name] for name in ("paper", "quick"))
    assert resolve(paper, [], {}) == resolve(quick, ["training.iterations=1000000"], {}) == Experiment()
    assert paper.read_text().count("  # ") >= len(list(flatten(Experiment().model_dump())))


def test_a_file_of_that_name_goes_before_it_and_a_directory_does_not(command, tmp_path):
    (tmp_path / "quick").mkdir()
    assert "  iterations: 20000\n" in command("train", "--config", "quick", "--print-config").stdout
    (tmp_path / "quick").rmdir()
    (tmp_path / "quick").write_text("training: {iterations: 7}")
    assert "  iterations: 7\n" in command("train", "--config", "quick", "--print-config").stdout


def test_a_sweep_goes_by_its_name_and_is_the_base_of_another(command, tmp_path):
    listed = command("sweep", "variants", "--dry-run").stdout
    assert listed.count("runs/variants/") == 45
    (tmp_path / "mine.yaml").write_text("{base: quick, grid: {seed: [0, 1]}}")
    assert command("sweep", "mine.yaml", "--dry-run").stdout.count("of 20000") == 10


def test_the_other_kind_of_file_is_sent_to_its_command_by_its_name(command):
    assert "qm7 train --config quick takes it" in command("sweep", "quick", status=1).stderr
    assert "qm7 sweep variants takes it" in command("train", "--config", "variants", status=1).stderr
