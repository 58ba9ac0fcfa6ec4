"""Predictions of other programs become runs."""

import json

import numpy as np
import pytest

from qm7cli.runs.results import read_results
from qm7cli.training.imported import EXAMPLES


def rows_of(dataset, folds, header="molecule,prediction", row="{m},{p}"):
    """Return the text of a CSV file with predictions that are 2 kcal/mol too high in fold 0, 3 in fold 1, and so on."""
    molecules = [(k, int(m), dataset.T[m] + np.float64(2 + k)) for k in folds for m in dataset.P[k][::-1]]
    return "\n".join([header, *(row.format(k=k, m=m, p=p) for k, m, p in molecules)]) + "\n"


def test_predictions_become_a_run_that_is_compared_collected_and_drawn_beside_our_own(
    command, small, three_variants, tmp_path
):
    header, row = "spread, fold ,target,molecule,prediction", ",{k},7,{m},{p}"
    (tmp_path / "p.csv").write_text("\ufeff" + rows_of(small, (0, 1), header, row))
    shown = command("import", "p.csv", "--name", "SchNet (v2)", "--out", "schnet").stdout
    assert shown.splitlines()[3].split()[1:4] == ["2.50", "+-", "0.50"]
    results = read_results(tmp_path / "schnet")
    assert [(fold.mae, fold.train_molecules, fold.test_molecules) for fold in results.folds] == [
        (pytest.approx(2 + k), 48, 12) for k in (0, 1)
    ]
    runs = (three_variants / "original", three_variants / "corrected", "schnet")
    records = json.loads(command("compare", *runs, "--format", "json").stdout)
    assert [(each["group"], each["pairs"]) for each in records] == [
        ("original", None), ("corrected", 2), ("SchNet (v2)", 2),
    ]  # fmt: skip
    assert records[2]["difference"] == pytest.approx(2.5 - records[0]["mae_mean"])
    for own in (["schnet", runs[0]], ["schnet", runs[1]]):  # whose names differ in nothing else
        names = [each["group"] for each in json.loads(command("compare", *own, "--format", "json").stdout)]
        assert names == [own[1].name, "SchNet (v2)"]
    assert command("compare", *runs, "--reference", "SchNet (v2)").returncode == 0
    assert "SchNet (v2)" in command("collect", *runs).stdout
    assert "complete" in command("status", "schnet").stdout
    pytest.importorskip("matplotlib")
    for kind in ("parity", "folds", "curves", "differences"):
        command("plot", *runs, "--kind", kind, "--output", f"{kind}.svg")
    assert "SchNet (v2)" in (tmp_path / "parity.svg").read_text()
    command("report", *runs, "--output", "report.html")


def test_an_imported_run_has_no_model_and_is_not_trained(command, small, tmp_path):
    (tmp_path / "p.csv").write_text(rows_of(small, (2,)))
    command("import", "p.csv", "--name", "painn", "--seed", 3)
    run = f"runs/{small.name}-painn-seed3"
    for line in (f"eval {run}", f"predict --smiles C --run {run}", f"centering {run}"):
        assert f"{run} has no model" in command(*line.split(), status=1).stderr
    assert "other settings (imported differs)" in command("train", "--out", run, status=1).stderr
    for line in (f"train --config {run}/config.yaml", "train --set imported=painn"):
        assert "has no model to train" in command(*line.split(), status=1).stderr
    (tmp_path / "sweep.yaml").write_text("{grid: {imported: [painn, schnet]}}")
    assert "has no model to train" in command("sweep", "sweep.yaml", status=1).stderr
    again = ("import", "p.csv", "--name", "painn", "--seed", 3)
    assert "already; choose another --out, or --overwrite it" in command(*again, status=1).stderr
    (tmp_path / "p.csv").write_text(rows_of(small, (2, 4)))
    assert "fold  " in command(*again, "--overwrite").stdout
    assert [fold.fold for fold in read_results(tmp_path / run).folds] == [2, 4]


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("molecule,prediction", "molecule;prediction", "no column molecule; its first line is: molecule;prediction"),
        ("\n", f"\n{'9' * 140000},", "is not a CSV file: "),
        ("\n{a},", "\n{a},x", "wrong values (1): prediction is 'x"),
        ("\n{a},", "\n{a},nan\n{a},-1e10\n-1,2\n{a}.5,", "wrong values (4): prediction is 'nan' in line 2, "),
        ("\n{a},", "\n60,", "rows of no molecule of small, which has 0 to 59 (1): 60"),
        ("\n{a},", "\n{b},", "molecules in several rows (1): {b}"),
        ("\n{a},", "\n{other},1\n{a},", "no rows of some test molecules of fold 1 (11): "),
        ("\n{a},", "\n#{a},", "wrong values (1): molecule is '#"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_and_nothing_is_written(command, small, tmp_path, old, new, sentence):
    a, b = small.P[0][::-1][:2]
    old, new, sentence = (text.replace("{a}", f"{a}").replace("{b}", f"{b}") for text in (old, new, sentence))
    text = rows_of(small, (0,)).replace(old, new.replace("{other}", f"{small.P[1][0]}"), 1)
    (tmp_path / "p.csv").write_text(text)
    error = command("import", "p.csv", "--name", "x", status=1).stderr
    assert sentence in error
    assert error.count("\n") == 1
    assert not (tmp_path / "runs").exists()


def test_folds_must_be_those_of_the_split(command, small, tmp_path):
    (tmp_path / "p.csv").write_text(rows_of(small, (0, 1), "molecule,prediction,fold", "{m},{p},1"))
    first = ", ".join(f"{m} (1 instead of 0)" for m in small.P[0][::-1][:EXAMPLES])
    error = command("import", "p.csv", "--name", "x", status=1).stderr
    assert f"has molecules in another fold than in the split published (12): {first}, ..." in error
    command("split", "--within", 0, "--output", "within.yaml")
    (tmp_path / "p.csv").write_text(rows_of(small, range(5)))
    error = command("import", "p.csv", "--name", "x", "--split", "within.yaml", status=1).stderr
    assert "has rows of no test molecule of the split within.yaml (12): " in error
    command("import", "p.csv", "--name", "x", "--split", "stratified")
    for name in ("original", "krr", "network", "a/b", " x", ""):
        command("import", "p.csv", "--name", name, status=2)
