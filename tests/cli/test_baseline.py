import csv
import io
import re
import signal
from pathlib import Path

import pytest
import yaml

from conftest import wait_for
from qm7cli.data.dataset import SYMBOLS
from qm7cli.data.molecules import BOHR
from qm7cli.training.hyperparameter_search import SEARCHED

LAPLACIAN = ("baseline", "--kernel", "laplacian", "--scale", "100", "--ridge", "1e-6")


def test_a_baseline_is_a_run_like_any_other(command, tmp_path):
    done = command("baseline", "--model", "knn", "--fold", "1", "--fold", "3", "--jobs", "1")
    lines = done.stdout.splitlines()
    assert [line.split()[:2] for line in lines[1:3]] == [["1", "complete"], ["3", "complete"]]
    assert lines[-1] == "runs/small-knn-seed0/results.yaml"
    results = yaml.safe_load((tmp_path / "runs/small-knn-seed0/results.yaml").read_text())
    assert (results["variant"], results["baseline"], results["status"]) == (None, "knn", "complete")
    assert [fold["train_molecules"] for fold in results["folds"]] == [48, 48]
    assert set(results["folds"][0]["hyperparameters"]) == {"neighbours"}
    names = sorted(path.name for path in (tmp_path / "runs/small-knn-seed0/fold-1").iterdir())
    assert names == [".lock", "model.npz", "predictions.csv", "result.yaml"]
    again = command("baseline", "--model", "knn", "--fold", "1", "--fold", "3", "--jobs", "1")
    assert again.stdout == done.stdout  # nothing is done again


def test_the_help_the_page_and_the_reference_experiment_give_the_kernels_formulas(command):
    root = Path(__file__).parents[2]
    texts = [(root / name).read_text() for name in ("docs/baselines.md", "experiments/paper.yaml")]
    for text in (command("baseline", "--help").stdout, *texts):
        plain = " ".join(text.split())
        assert re.search(
            r"gaussian( kernel)?, exp\(-d\^2 / \(2 sigma\^2\)\), d the Euclidean distance, or laplacian, ", plain
        )
        assert "laplacian, exp(-|d|_1 / sigma)" in plain


def test_the_help_says_how_many_matrices_the_search_takes(command):
    assert f"at most {SEARCHED} matrices" in " ".join(command("baseline", "--help").stdout.split())


def test_folds_in_processes_give_the_same(command, tmp_path):
    flags = ("--representation", "random", "--draws", "2")
    for jobs in (1, 2):
        command(*LAPLACIAN, *flags, "--fold", "0", "--fold", "1", "--jobs", jobs, "--out", f"run{jobs}", "--quiet")
    for name in ("fold-0/predictions.csv", "fold-1/predictions.csv"):
        assert (tmp_path / "run1" / name).read_bytes() == (tmp_path / "run2" / name).read_bytes()
    assert (tmp_path / "run1/fold-0/predictions.csv").read_text().splitlines()[1].split(",")[3]  # spread over draws


def test_the_memory_is_told_and_too_much_refused_before_anything_is_written(command, tmp_path):
    assert "a fold takes up to 0.00" in command("baseline").stderr
    done = command("baseline", "--memory", "1e-5", "--out", "refused", status=1)
    assert "\nqm7: fold 0 would take 0.00" in done.stderr
    assert "more than baseline.memory allows (1e-05)" in done.stderr
    assert not (tmp_path / "refused").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "knn", "--neighbours", "99"], "fold 0 has 48 training molecules, fewer than the 99 neighbours"),
        (["--fold", "9"], "there is no fold 9"),
    ],
)
def test_wrong_settings_are_one_sentence_and_nothing_is_written(command, tmp_path, arguments, message):
    done = command("baseline", *arguments, "--quiet", status=1)
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "mean", "--ridge", "1"], "baseline.ridge is 1.0, but mean takes none"),
        (
            ["--neighbours", "3"],
            "baseline.neighbours is 3, but krr takes none, only scale, ridge, representation, kernel",
        ),
        (["--scale", "-1"], "baseline.scale is -1"),
        (["--scale", "1e-300"], "baseline.scale is 1e-300"),
    ],
)
def test_options_that_cannot_be_are_wrong_usage(command, tmp_path, arguments, message):
    done = command("baseline", *arguments, status=2)
    assert message in done.stderr
    assert done.stderr.endswith(" (see qm7 baseline --help)\n")
    assert not (tmp_path / "runs").exists()


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


def test_a_baseline_is_evaluated_and_predicts_like_a_network(command, quick_flags, small, tmp_path):
    pytest.importorskip("ase", reason="ASE is not installed")
    bonds = ("--representation", "bag-of-bonds", "--fold", "0", "--fold", "1", "--out", "runs/krr")
    command(*LAPLACIAN, *bonds)
    command("train", "--fold", "0", "--fold", "1", *quick_flags, "--out", "runs/network")
    results = yaml.safe_load((tmp_path / "runs/krr/results.yaml").read_text())
    evaluated = yaml.safe_load(command("eval", "runs/krr", "--format", "yaml").stdout)
    assert [fold["mae"] for fold in evaluated["folds"]] == [fold["mae"] for fold in results["folds"]]
    assert (evaluated["mae"], evaluated["variant"]) == (results["mae"], None)
    assert "runs/krr" not in command("eval", "runs", "--part", "both").stderr
    frames = []
    for k in small.P[0][:2]:
        atoms = [
            f"{SYMBOLS[int(z)]} {' '.join(f'{x * BOHR:.8f}' for x in r)}"
            for z, r in zip(small.Z[k], small.R[k], strict=True)
            if z
        ]
        frames.append(f"{len(atoms)}\n\n" + "".join(line + "\n" for line in atoms))
    (tmp_path / "two.xyz").write_text("".join(frames))
    (tmp_path / "odd.xyz").write_text("2\n\nSi 0 0 0\nH 1.5 0 0\n")
    rows = list(
        csv.DictReader(
            io.StringIO(command("predict", "--run", "runs/krr", "two.xyz", "--fold", "0", "--format", "csv").stdout)
        )
    )
    expected = list(csv.DictReader((tmp_path / "runs/krr/fold-0/predictions.csv").read_text().splitlines()))
    known = {int(row["molecule"]): float(row["prediction"]) for row in expected}
    assert [float(row["energy_kcal_mol"]) for row in rows] == pytest.approx(
        [known[k] for k in small.P[0][:2]], abs=0.05
    )
    done = command("predict", "--run", "runs/krr", "odd.xyz", status=1)
    assert done.stderr == "odd.xyz:0: Si, an element that the model does not take\n"
    done = command("centering", "runs/krr", status=1)
    assert done.stderr == "qm7: runs/krr is a run of the baseline krr, which has no layers\n"


def test_a_test_molecule_that_the_bags_do_not_hold_is_one_sentence(command, tmp_path):
    (tmp_path / "few.yaml").write_text(
        "base: {data: gfn7, split: {train_size: 20, folds: [0]}}\n"
        "points: [{baseline.model: linear, baseline.representation: bag-of-bonds, baseline.ridge: 1}]\n"
    )
    done = command("sweep", "few.yaml", "--jobs", "1", status=1)
    assert re.search(
        r"fold 0: its test molecule \d+ cannot be represented: \d+ .*, more than the \d+ that the model takes",
        done.stderr,
    )
    assert not list(tmp_path.glob("runs/few/*/fold-0/*.npz"))


def test_a_sweep_has_baselines_beside_networks(command, quick_flags, tmp_path):
    (tmp_path / "both.yaml").write_text(
        "base: {split: {folds: [0]}}\npoints:\n- {}\n- {baseline.model: mean}\n- {baseline.model: linear}\n"
    )
    done = command("sweep", "both.yaml", *quick_flags)
    assert "small-mean-seed0 fold 0: test MAE" in done.stderr
    assert " 0 iterations" not in done.stderr
    again = command("sweep", "both.yaml", *quick_flags)
    assert again.stderr == "3 of 3 jobs are complete already\nthe runs are in runs/both\n"
    assert again.stdout == done.stdout


def test_an_interrupted_search_leaves_a_run_that_the_same_command_finishes(command, background, tmp_path):
    search = ("baseline", "--data", "gfn7", "--scale", "100", "--fold", "0", "--jobs", "1", "--out", "run")
    process = background(*search)
    wait_for((tmp_path / "run/fold-0/result.yaml").exists, process)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    assert yaml.safe_load((tmp_path / "run/results.yaml").read_text())["status"] == "partial"
    assert "complete" in command(*search).stdout
