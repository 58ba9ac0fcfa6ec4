import csv
from dataclasses import replace

import numpy as np
import pytest

from qm7cli.analysis.largest_errors import largest_errors
from qm7cli.runs.collect import RunFold, find_runs
from qm7cli.runs.datasets import RunDatasets


def predictions(run, fold):
    with (run / f"fold-{fold}/predictions.csv").open() as file:
        return {int(row["molecule"]): (float(row["target"]), float(row["prediction"])) for row in csv.DictReader(file)}


def test_the_largest_errors_come_first_and_are_means_over_what_shares_a_fold(three_variants, mat, small):
    runs = find_runs([three_variants / "original", three_variants / "corrected"])
    folds = {(fold.fold, run.path.name): RunFold(run, fold) for run in runs for fold in run.results.folds}
    expected = []
    for fold in (0, 1):
        ours, theirs = (predictions(three_variants / name, fold) for name in ("original", "corrected"))
        for row, (energy, prediction) in ours.items():
            mean = (prediction + theirs[row][1]) / 2
            expected.append((row, fold, energy, mean, mean - energy))
    expected = sorted(expected, key=lambda record: -abs(record[-1]))[:4]
    records = largest_errors(folds, 4, RunDatasets(str(mat)))
    for record, (row, fold, energy, prediction, error) in zip(records, expected, strict=True):
        assert (record["row"], record["fold"]) == (row, fold)
        assert [record[key] for key in ("energy", "prediction", "error")] == pytest.approx([energy, prediction, error])
        assert record["molecule"] == f"{small.formula(row)} ({row})"


def test_without_the_data_set_a_molecule_is_called_by_its_row(three_variants, monkeypatch, tmp_path):
    (run,) = find_runs([three_variants / "original"])
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("QM7_DATA", raising=False)
    folds = {(fold.fold,): RunFold(run, fold) for fold in run.results.folds}
    (record,) = largest_errors(folds, 1, RunDatasets("gfn7"))  # another data set's formulas are wrong
    assert (record["molecule"], record["formula"]) == (str(record["row"]), None)


def test_a_formula_has_carbon_and_hydrogen_first_and_no_ones(small):
    Z = np.array([[6, 1, 1, 1, 1, 0], [8, 1, 1, 0, 0, 0], [17, 7, 6, 1, 8, 6]], dtype=np.float32)
    other = replace(small, Z=Z)
    assert [other.formula(row) for row in range(3)] == ["CH4", "H2O", "C2HClNO"]
