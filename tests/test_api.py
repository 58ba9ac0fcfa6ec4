import ast
import inspect
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import qm7cli
from conftest import bits
from qm7cli import Architecture, DomainWarning, Evaluation, Experiment, QM7Error, Split, Training
from qm7cli.runs.access import read_config
from qm7cli.training.train_run import train_run

EXPERIMENT = Experiment(
    split=Split(folds=[0, 1]),
    network=Architecture(hidden=[20, 10]),
    training=Training(iterations=300),
    evaluation=Evaluation(draws=3),
)


def alone(program):
    """Return what a program prints in a process of its own."""
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout


def test_what_type_checkers_see_is_what_there_is():
    block = next(node for node in ast.parse(Path(qm7cli.__file__).read_text()).body if isinstance(node, ast.If))
    seen = {each.module: tuple(name.name for name in each.names) for each in block.body}
    assert seen == {f"qm7cli.{module}": names for module, names in qm7cli._MODULES.items()}
    assert qm7cli.__all__ == sorted(name for names in seen.values() for name in names)
    for name in qm7cli.__all__:
        assert inspect.getdoc(getattr(qm7cli, name)), name
    assert not hasattr(qm7cli, "trian")


def test_importing_it_imports_nothing_else_and_without_scikit_learn_one_sentence_says_how_to_get_it():
    printed = alone("import sys, qm7cli; print(*[name.partition('.')[0] for name in sys.modules])").split()
    assert not {"numpy", "pydantic", "scipy", "sklearn"} & set(printed)
    assert printed.count("qm7cli") == 1
    hidden = "import sys; sys.modules['sklearn'] = None; import qm7cli; qm7cli.train; qm7cli.Model\n"
    printed = alone(f"{hidden}try: qm7cli.PreBiasRegressor\nexcept ImportError as error: print(error)")
    assert printed.startswith("PreBiasRegressor and RandomSortedCoulomb need scikit-learn 1.6 or newer: pip install ")


@pytest.fixture(scope="module")
def run(once, small):
    """A quick run of two folds, to be read only."""
    return once("api", lambda path: qm7cli.train(EXPERIMENT, small, path / "run")) / "run"


def test_training_is_that_of_the_command(run, small, tmp_path):
    train_run(EXPERIMENT, small, tmp_path / "other")
    ours, theirs = bits(run), bits(tmp_path / "other")
    assert len(ours) == 5
    assert {name for name in ours if ours[name] != theirs[name]} == {Path("config.yaml")}  # which names the data
    assert read_config(run).experiment.data == str(small.path)


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
    for path, fold, sentence in (
        ("", None, "has models of the folds 0, 1: say which, as fold=0"),
        ("", 3, "has no complete fold 3; it has 0, 1"),
        ("nowhere", None, "nowhere: No such file"),
    ):
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


def test_the_tilde_is_the_home_directory(run, small, monkeypatch):
    monkeypatch.setenv("HOME", str(run.parent))
    for home in ("~/run", Path("~/run")):
        assert qm7cli.load_run(home).results[0].mae == qm7cli.load_run(run).results[0].mae
        assert qm7cli.load_model(home, 1).fold == qm7cli.load_models(home)[1].fold == 1
        assert len(qm7cli.compare(home, reference=home).to_records()) == 1
        assert [fold.status for fold in qm7cli.train(EXPERIMENT, small, home).folds] == ["complete", "complete"]
    with pytest.raises(QM7Error, match=rf"^no data set: looked at {run.parent}/none.mat"):
        qm7cli.load_dataset("~/none.mat")


def test_a_comparison_of_runs_in_any_form_turns_into_records(three_variants):
    first, *others = (three_variants / name for name in ("original", "corrected", "no-prebias"))
    several = [qm7cli.load_run(first), *others]
    records = qm7cli.compare(several, by="variant", reference=three_variants / "original").to_records()
    assert records == qm7cli.compare(three_variants, reference="original").to_records()
    assert [record["group"] for record in records] == ["original", "corrected", "no-prebias"]
    html = qm7cli.compare(three_variants, margin=9)._repr_html_()
    assert html.count("<tr>") == 4
    assert "within 9 kcal/mol" in html
    with pytest.raises(QM7Error, match=r"has 3 runs below it, as .*corrected; compare takes several"):
        qm7cli.load_run(three_variants)
    with pytest.raises(QM7Error, match=r"^there are no runs to compare$"):
        qm7cli.compare([])


def test_a_sweep_of_experiments_gives_runs_that_are_drawn_and_fails_after_the_other_jobs(small, tmp_path):
    own = {"data": str(small.path), "split": Split(folds=[0, 1])}
    found = qm7cli.sweep([Experiment(**own, seed=seed, baseline={"model": "mean"}) for seed in (0, 1)], tmp_path / "s")
    assert [(run.path.name, run.results.status) for run in found] == [
        (f"small-mean-seed{seed}", "complete") for seed in (0, 1)
    ]
    assert [record["fold"] for record in found[0].results.to_records()] == [0, 1]
    assert found[0].results._repr_html_().count("<tr>") == 3
    pytest.importorskip("matplotlib")
    figure = qm7cli.plot(found, "folds", tmp_path / "f.svg", caption=False)
    assert figure.axes
    assert (tmp_path / "f.svg").read_text().count("<svg") == 1
    with pytest.raises(QM7Error, match=r"^there is no figure fold, only curves, "):
        qm7cli.plot(found, "fold")
    few = [Experiment(**own, baseline={"model": "knn", "neighbours": count}) for count in (5, 99)]
    with pytest.raises(QM7Error, match=r"^2 of 4 jobs failed: fold 0 has 48 training molecules, fewer than the 99"):
        qm7cli.sweep(few, tmp_path / "s")
    assert qm7cli.load_run(tmp_path / "s/small-knn-seed0-baseline.neighbours=5").results.status == "complete"


def test_what_a_notebook_shows_is_short(run, small, three_variants):
    comparison, of_run = qm7cli.compare(three_variants), qm7cli.load_run(run)
    shown = [small, of_run, of_run.results, of_run.results[0], EXPERIMENT, qm7cli.load_model(run, 0), comparison]
    assert all(20 < len(text(each)) < 300 for each in (*shown, comparison.groups[0]) for text in (repr, str))
    short = "Architecture(hidden=[20, 10]), training=Training(iterations=300), evaluation=Evaluation(draws=3))"
    assert str(EXPERIMENT) == f"Experiment(split=Split(folds=[0, 1]), network={short}"
