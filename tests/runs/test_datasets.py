from pathlib import Path

import pytest

import molecules
from qm7cli.core.errors import QM7Error
from qm7cli.data import dataset
from qm7cli.runs import datasets as run_datasets
from qm7cli.runs.datasets import RunDatasets
from qm7cli.runs.models import load_models
from qm7cli.training.train_run import train_run


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty directory to work in, without $QM7_DATA."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("QM7_DATA", raising=False)
    return tmp_path


@pytest.fixture
def trained(place, quick, small):
    """Trains a run of one fold, and gives its directory and its models."""

    def train(name, *assignments, data=small):
        run = place / name
        train_run(quick("split.folds=[0]", "training.iterations=5", *assignments), data, run)
        return run, load_models(run)

    return train


def test_it_is_found_where_the_configuration_says(trained, mat, small):
    assert RunDatasets().of(*trained("run", f"data={mat}")).sha256 == small.sha256


@pytest.mark.parametrize("variable", ["own.mat", None])
def test_it_is_found_in_the_environment_s_place_and_in_the_usual_one(trained, mat, small, monkeypatch, variable):
    run = trained("run", "data=gone.mat")
    path = Path(variable or "data/qm7.mat")
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(mat.read_bytes())
    if variable:
        monkeypatch.setenv("QM7_DATA", variable)
    assert RunDatasets().of(*run).sha256 == small.sha256


def test_a_bundled_set_is_found_without_any_file_and_known_by_the_models_alone(trained):
    gfn7 = dataset.load(dataset.locate("gfn7"))
    run, models = trained("run", data=gfn7)
    for name in ("config.yaml", "results.yaml"):
        (run / name).unlink()
    assert RunDatasets().of(run, models).sha256 == gfn7.sha256


def test_one_that_is_nowhere_is_a_sentence_with_the_places(trained, small):
    run, models = trained("run", "data=gone.mat")
    molecules.write(Path("data.mat"), seed=1)
    Path("data").mkdir()
    Path("data.mat").rename("data/qm7.mat")
    with pytest.raises(QM7Error) as raised:
        RunDatasets().of(run, models)
    assert str(raised.value) == (
        f"{run} was trained on small, SHA-256 {small.sha256[:12]}..., which is not found: "
        "looked at gone.mat (not there), data/qm7.mat (another data set); --data names its file"
    )


def test_each_is_read_once_however_many_runs_there_are(trained, mat, small, monkeypatch):
    gfn7 = dataset.load(dataset.locate("gfn7"))
    runs = [trained("a", f"data={mat}"), trained("b", data=gfn7), trained("c"), trained("d", data=gfn7)]
    monkeypatch.setenv("QM7_DATA", str(mat))
    read = []
    monkeypatch.setattr(run_datasets, "load", lambda path: read.append(path) or dataset.load(path))
    datasets = RunDatasets()
    assert [datasets.of(*run).sha256 for run in runs] == 2 * [small.sha256, gfn7.sha256]
    assert read == datasets.paths == [mat, dataset.BUNDLED["gfn7"]]


def test_one_that_is_given_is_the_only_one_looked_at(trained, mat):
    run = trained("run", f"data={mat}")
    with pytest.raises(QM7Error, match=r"fold 0 of .*run was trained on another data set"):
        RunDatasets("gfn7").of(*run)
    with pytest.raises(QM7Error, match=r"no data set: looked at none\.mat"):
        RunDatasets("none.mat")
