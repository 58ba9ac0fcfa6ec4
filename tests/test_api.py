import ast
import inspect
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import qm7cli
from conftest import bits
from qm7cli import Architecture, Baseline, DomainWarning, Evaluation, Experiment, QM7Error, Split, Training
from qm7cli.data.dataset import BUNDLED
from qm7cli.runs.experiment import read_experiment
from qm7cli.training.train_run import train_run

EXPERIMENT = Experiment(
    split=Split(folds=[0, 1]),
    network=Architecture(hidden=[20, 10]),
    training=Training(iterations=300),
    evaluation=Evaluation(draws=3),
)


def alone(program, **environment):
    """Return what a program prints in a process of its own."""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, env=environment or None, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def imported_for_types():
    """Return the names that qm7cli imports for type checkers alone, by their modules."""
    tree = ast.parse(Path(qm7cli.__file__).read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    return {each.module: tuple(name.name for name in each.names) for each in block.body}


def test_what_type_checkers_see_is_what_there_is():
    listed = {f"qm7cli.{module}": names for module, names in qm7cli._MODULES.items()}
    assert imported_for_types() == listed
    assert sorted(qm7cli.__all__) == sorted(name for names in listed.values() for name in names)
    assert set(qm7cli.__all__) <= set(dir(qm7cli))
    for module, names in listed.items():
        for name in names:
            if module == "qm7cli.estimators":
                pytest.importorskip("sklearn")
            assert inspect.getdoc(getattr(qm7cli, name)), name
            assert getattr(qm7cli, name) is getattr(sys.modules[module], name)


def test_importing_it_imports_none_of_the_package_nor_what_that_needs():
    printed = alone("import sys, qm7cli; print(*[name.partition('.')[0] for name in sys.modules])").split()
    assert {"qm7cli"} < set(printed)
    assert not {"numpy", "pydantic", "scipy", "sklearn"} & set(printed)
    assert printed.count("qm7cli") == 1


def test_a_name_that_it_lacks_is_an_attribute_error():
    assert not hasattr(qm7cli, "trian")
    with pytest.raises(ImportError, match=r"cannot import name 'trian'"):
        from qm7cli import trian  # noqa: F401, PLC0415


def test_without_scikit_learn_one_sentence_says_how_to_get_it_and_all_else_works():
    hidden = "import sys; sys.modules['sklearn'] = None; import qm7cli; qm7cli.train; qm7cli.Model\n"
    printed = alone(f"{hidden}try: qm7cli.PreBiasRegressor\nexcept ImportError as error: print(error)")
    assert printed == (
        "PreBiasRegressor and RandomSortedCoulomb need scikit-learn 1.6 or newer: pip install 'qm7cli[sklearn]'\n"
    )


@pytest.fixture(scope="module")
def run(once, small):
    """A quick run of two folds, to be read only."""
    return once("api", lambda path: qm7cli.train(EXPERIMENT, small, path / "run")) / "run"


def test_a_data_set_is_a_path_or_a_name(mat, small, monkeypatch):
    for given in (mat, str(mat)):
        assert qm7cli.load_dataset(given).sha256 == small.sha256
    monkeypatch.setenv("QM7_DATA", str(mat))
    assert qm7cli.load_dataset().sha256 == small.sha256
    assert qm7cli.load_dataset("gfn7").path == BUNDLED["gfn7"]
    with pytest.raises(QM7Error, match=r"^no data set: looked at nowhere"):
        qm7cli.load_dataset("nowhere")


def test_training_is_that_of_the_command(run, small, tmp_path):
    train_run(EXPERIMENT, small, tmp_path / "other")
    ours, theirs = bits(run), bits(tmp_path / "other")
    for files in (ours, theirs):
        files.pop(Path("config.yaml"))  # which names the data
    assert ours == theirs
    assert len(ours) == 4
    assert read_experiment(run / "config.yaml").data == str(small.path)


def test_training_returns_the_results_and_keeps_what_is_there(run, small):
    before = bits(run)
    reports = []
    results = qm7cli.train(EXPERIMENT, small, str(run), report=reports.append)
    assert [fold.status for fold in results.folds] == ["complete", "complete"]
    assert results[0].mae == qm7cli.load_run(run).results[0].mae
    assert reports == []
    assert bits(run) == before


def test_a_run_goes_by_default_where_the_command_puts_it(small, tmp_path, monkeypatch, command, quick_flags):
    monkeypatch.chdir(tmp_path)
    experiment = EXPERIMENT.model_copy(update={"split": Split(folds=[0])})
    reports = []
    qm7cli.train(experiment, small, report=reports.append)
    (ours,) = Path("runs").iterdir()
    assert reports[-1].run == ours
    command("train", "--fold", 0, *quick_flags, "--overwrite")
    assert list(Path("runs").iterdir()) == [ours]


def test_a_bundled_set_is_recorded_by_its_name(tmp_path):
    experiment = EXPERIMENT.model_copy(update={"split": Split(folds=[0]), "training": Training(iterations=1)})
    qm7cli.train(experiment, qm7cli.load_dataset("gfn7"), tmp_path / "run")
    assert read_experiment(tmp_path / "run/config.yaml").data == "gfn7"


def test_a_fold_that_diverges_is_raised_and_the_others_are_there(small, tmp_path):
    good = EXPERIMENT.model_copy(update={"split": Split(folds=[1])})
    steep = Training(iterations=300, schedule=[(1, 100.0)])
    with pytest.raises(qm7cli.FoldsError, match=r"^fold 0 diverged at .*; fold 1 diverged at ") as error:
        qm7cli.train(EXPERIMENT.model_copy(update={"training": steep}), small, tmp_path / "steep")
    assert sorted(error.value.errors) == [0, 1]
    assert error.value.results.status == "diverged"
    assert qm7cli.train(good, small, tmp_path / "good")[1].status == "complete"
    with pytest.raises(QM7Error, match=r"was trained with other settings"):
        qm7cli.train(EXPERIMENT.model_copy(update={"seed": 1}), small, tmp_path / "good")


def test_a_model_is_found_by_run_and_fold_directory_or_file(run):
    for path, fold in ((run, 1), (run / "fold-1", None), (run / "fold-1/model.npz", None), (str(run), 1)):
        assert qm7cli.load_model(path, fold).fold == 1
    assert [model.fold for model in qm7cli.load_models(run)] == [0, 1]
    assert [model.fold for model in qm7cli.load_models(run, [1])] == [1]


def test_a_baseline_predicts_as_a_network_does(small, tmp_path):
    knn = Experiment(baseline=Baseline(model="knn", neighbours=1), split=Split(folds=[0]))
    qm7cli.train(knn, small, tmp_path / "knn")
    model = qm7cli.load_model(tmp_path / "knn")
    assert isinstance(model, qm7cli.FoldModel)
    known = qm7cli.predict(model, small.Z[model.train], small.R[model.train])
    assert [prediction.energy for prediction in known] == pytest.approx(small.T[model.train].tolist(), abs=1e-3)


@pytest.mark.parametrize(
    ("path", "fold", "sentence"),
    [
        ("", None, "has models of the folds 0, 1: say which, as fold=0"),
        ("", 3, "has no complete fold 3; it has 0, 1"),
        ("nowhere", None, "nowhere: No such file"),
        ("fold-0/result.yaml", None, "result.yaml"),
    ],
)
def test_a_model_that_is_not_there_is_one_sentence(run, path, fold, sentence):
    with pytest.raises(QM7Error, match=sentence):
        qm7cli.load_model(run / path, fold)


def test_predicting_gives_energies_of_arrays_and_the_rest_on_request(run, small):
    model, models = qm7cli.load_model(run, 0), qm7cli.load_models(run)
    inside = [not prediction.warnings for prediction in qm7cli.predict(model, small.Z, small.R)]
    Z, R = small.Z[inside][:5], small.R[inside][:5]
    energies = model.predict(Z, R)
    assert energies.dtype == np.float64
    assert energies.tolist() == [prediction.energy for prediction in qm7cli.predict(model, Z, R)]
    both, first, second = (qm7cli.predict(each, Z, R)[2] for each in (models, models[0], models[1]))
    assert both.energy == pytest.approx((first.energy + second.energy) / 2)
    assert both.fold_spread > 0
    assert model.predict(Z[0], R[0]).tolist() == [energies[0]]
    assert model.predict([], []).shape == (0,)
    assert qm7cli.predict(model, Z, R, draws=1)[0].energy != energies[0]


def test_a_molecule_that_is_unlike_those_trained_on_is_warned_of(run, small):
    model = qm7cli.load_model(run, 0)
    k, Z = model.train[0], small.Z[:2].copy()
    Z[1][0] = 16  # sulfur
    with pytest.warns(DomainWarning, match=r"^outside of .*, 1 of 2 molecules: molecule 1: 1 S, an element") as caught:
        model.predict([small.Z[k], Z[1]], [small.R[k], small.R[1]])
    assert caught[0].filename == __file__


def test_what_cannot_be_predicted_is_one_sentence(run, small):
    model = qm7cli.load_model(run, 0)
    line = np.arange(27).reshape(9, 3)
    with pytest.raises(QM7Error, match=r"^molecule 0: 9 atoms, more than the 7 that the model takes$"):
        model.predict(np.ones(9), line)
    assert qm7cli.predict(model, np.ones(9), line)[0].energy is None
    with pytest.raises(QM7Error, match=r"^draws is 0; it should be 1 or more$"):
        model.predict(small.Z, small.R, draws=0)
    with pytest.raises(QM7Error, match=r"^there are no models to predict with$"):
        qm7cli.predict([], small.Z, small.R)


def test_a_comparison_of_runs_in_any_form_turns_into_records(three_variants):
    by_path = qm7cli.compare(three_variants, reference="original")
    one_by_one = qm7cli.compare(
        [
            qm7cli.load_run(three_variants / "original"),
            *(three_variants / name for name in ("corrected", "no-prebias")),
        ],
        by="variant",
        reference=three_variants / "original",
    )
    assert by_path.records() == one_by_one.records()
    records = by_path.records()
    assert [record["group"] for record in records] == ["original", "corrected", "no-prebias"]
    assert {type(value) for record in records for value in record.values()} <= {str, int, float, type(None)}
    assert records[1]["pairs"] == 2
    assert len(qm7cli.compare(qm7cli.load_run(three_variants / "original")).records()) == 1
    with pytest.raises(QM7Error, match=r"^there are no runs to compare$"):
        qm7cli.compare([])


def test_a_run_is_one_directory(three_variants, tmp_path):
    assert qm7cli.load_run(three_variants / "corrected").settings["variant"] == "corrected"
    with pytest.raises(QM7Error, match=r"has 3 runs below it, as .*corrected; compare takes several"):
        qm7cli.load_run(three_variants)
    with pytest.raises(QM7Error, match=r"nowhere is not a run: it does not exist"):
        qm7cli.load_run(tmp_path / "nowhere")
