import os
import subprocess

import pytest
import yaml

from conftest import remove_checksums
from qm7cli.core.errors import QM7Error
from qm7cli.runs.collect import collect_folds, differing_settings, find_directories, find_runs, read_run, read_runs
from qm7cli.training.train_run import train_run


@pytest.fixture
def runs(tmp_path, quick, small):
    """Three runs, two of them below a directory."""
    few = "training.iterations=5"
    train_run(quick(few, "split.folds=[0, 2]"), small, tmp_path / "many/a")
    train_run(quick(few, "split.folds=[1]", "encoding.noise=0.5", seed=3), small, tmp_path / "many/deep/b")
    train_run(quick(few, "split.folds=[1]", variant="corrected"), small, tmp_path / "c")
    return tmp_path


def test_runs_are_found_at_and_below_directories_each_once(runs):
    found = find_runs([runs / "many", runs / "c", runs / "many/a", runs / "many/../c"])
    assert [run.path for run in found] == [runs / "many/a", runs / "many/deep/b", runs / "c"]


def test_a_path_without_a_run_is_an_error_that_says_what_is_there(runs):
    (runs / "empty").mkdir()
    (runs / "file").touch()
    for name, reason in (
        ("empty", "is not a run, and there is none below it"),
        ("none", "is not a run: it does not exist"),
        ("file", "is not a run: it is a file"),
    ):
        with pytest.raises(QM7Error, match=f"/{name} {reason}"):
            find_runs([runs / "many", runs / name])


@pytest.fixture
def nest(tmp_path):
    """Makes directories in one another, with a file in the innermost, and removes them: not every tool can."""

    def make(top, name, depth, content):
        (tmp_path / top).mkdir()
        inner = os.open(tmp_path / top, os.O_RDONLY)
        for _ in range(depth):
            os.mkdir(name, dir_fd=inner)
            inner, outer = os.open(name, os.O_RDONLY, dir_fd=inner), inner
            os.close(outer)
        with os.fdopen(os.open("results.yaml", os.O_WRONLY | os.O_CREAT, dir_fd=inner), "w") as file:
            file.write(content)
        os.close(inner)
        made.append(tmp_path / top)

    made = []
    yield make
    subprocess.run(["rm", "-rf", *made], check=True)


def test_runs_are_found_however_deep_they_lie_and_what_lies_too_deep_for_the_system_is_left_out(
    nest, three_variants, tmp_path
):
    content = (three_variants / "original/results.yaml").read_text()
    nest("deep", "a", 1500, content)
    nest("deeper", "b" * 200, 30, content)
    runs, unusable = read_runs(find_directories([tmp_path]), read_run)
    assert [run.path for run in runs] == [tmp_path / "deep" / "/".join("a" * 1500)]
    assert [str(each.error).endswith("b: File name too long") for each in unusable] == [True]


def test_what_is_damaged_or_foreign_is_left_out_with_its_reason_and_the_others_are_read(runs):
    (runs / "many/a/results.yaml").write_text("folds: [")
    for stray in (runs / "results.yaml", runs / "foreign/results.yaml"):
        stray.parent.mkdir(exist_ok=True)
        stray.write_text("accuracy: 1")
    read, unusable = read_runs(find_directories([runs, runs / "none", runs / "many/a"]), read_run)
    assert [run.path for run in read] == [runs / "c", runs / "many/deep/b"]
    assert [(str(each.error).removeprefix(f"{runs}/").split(" ")[:4], each.given) for each in unusable] == [
        (["none", "is", "not", "a"], True),
        (["results.yaml", "is", "not", "a"], False),
        (["foreign/results.yaml", "is", "not", "a"], False),
        (["many/a/results.yaml,", "line", "1:", "this"], True),
    ]


def test_a_run_of_which_models_alone_are_left_is_found(runs, quick, small):
    train_run(quick(), small, runs / "models/d")
    (runs / "models/d/results.yaml").unlink()
    assert list(find_directories([runs / "models"]).runs) == [runs / "models/d"]
    with pytest.raises(QM7Error, match=r"cannot read .*d/results.yaml"):
        find_runs([runs / "models"])


def test_the_settings_that_differ_are_found_and_neither_folds_nor_places(runs):
    found = find_runs([runs])
    assert [run.path.name for run in found] == ["c", "a", "b"]
    assert differing_settings(found) == ["variant", "seed", "encoding.noise"]
    assert differing_settings(found[:1]) == []


def test_there_is_a_record_for_every_fold_with_the_digits_of_the_results(runs):
    records = collect_folds(find_runs([runs]))
    assert [(r["run"], r["fold"], r["variant"], r["seed"], r["encoding.noise"]) for r in records] == [
        (f"{runs}/c", 1, "corrected", 0, 1.0),
        (f"{runs}/many/a", 0, "original", 0, 1.0),
        (f"{runs}/many/a", 2, "original", 0, 1.0),
        (f"{runs}/many/deep/b", 1, "original", 3, 0.5),
    ]
    folds = yaml.safe_load((runs / "many/a/results.yaml").read_text())["folds"]
    columns = records[0].keys() - {"run", "variant", "seed", "encoding.noise"}
    assert columns == folds[0].keys() - {"history_checksum", "predictions_checksum"} | {"reason"}
    for record, fold in zip(records[1:3], folds, strict=True):
        assert record.items() >= {key: fold.get(key) for key in columns}.items()


def test_damaged_results_are_named(runs):
    path = runs / "many/a/results.yaml"
    results = yaml.safe_load(remove_checksums(path.parent).joinpath("results.yaml").read_text())
    for damage in (
        {"config": None},
        {"config": {"sede": 1}},
        {"dataset": {}},
        {"dataset": {"name": ["a"], "sha256": "b"}},
        {"folds": [3]},
        {"folds": [{"fold": 0, "status": "complete", "iterations": 5, "seconds": 1}]},
        {"folds": [results["folds"][0] | {"mae": "good"}]},
        {"environment": None},
        {"environment": {"folds": [1]}},
    ):
        path.write_text(yaml.safe_dump(results | damage))
        with pytest.raises(QM7Error, match=r"many/a/results.yaml"):
            find_runs([runs])
