import pytest
import yaml

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


def test_runs_behind_links_are_found_once_and_circles_are_not_followed(runs):
    (runs / "many/around").symlink_to(runs)
    (runs / "many/itself").symlink_to(".")
    (runs / "linked").mkdir()
    (runs / "linked/c").symlink_to(runs / "c")
    assert [run.path for run in find_runs([runs / "many", runs / "linked"])] == [
        runs / "many/a", runs / "many/deep/b", runs / "linked/c",
    ]  # fmt: skip


def test_what_is_damaged_or_foreign_is_left_out_with_its_reason_and_the_others_are_read(runs):
    (runs / "many/a/results.yaml").write_text("folds: [")
    for stray in (runs / "results.yaml", runs / "foreign/results.yaml"):
        stray.parent.mkdir(exist_ok=True)
        stray.write_text("accuracy: 1")
    read, unusable = read_runs(find_directories([runs, runs / "none", runs / "many/a"]), read_run)
    assert [run.path for run in read] == [runs / "c", runs / "many/deep/b"]
    assert [(str(each.error).removeprefix(f"{runs}/").split(" ")[:4], each.given) for each in unusable] == [
        (["none", "is", "not", "a"], True),
        (["results.yaml", "is", "damaged", "or"], False),
        (["foreign/results.yaml", "is", "damaged", "or"], False),
        (["many/a/results.yaml", "is", "damaged", "or"], True),
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
    assert columns == folds[0].keys() | {"reason"}
    for record, fold in zip(records[1:3], folds, strict=True):
        assert record.items() >= {key: fold.get(key) for key in columns}.items()
