"""The model that comes with the program, as it is."""

import json
from dataclasses import replace

import numpy as np
import pytest
import yaml
from ase.build import molecule

from qm7cli.model.model import BUNDLED, load_bundled


def test_it_is_small_and_says_what_it_is():
    assert BUNDLED.stat().st_size <= 7_000_000
    record = yaml.safe_load(BUNDLED.with_suffix(".yaml").read_text())
    with np.load(BUNDLED, allow_pickle=False) as file:
        about = json.loads(str(file["about"]))
        assert len(file["train"]) == len(file["test"]) == 0  # no molecule comes along
    for key in ("run", "fold", "variant", "iterations", "sha256"):
        assert record[key] == about[key]
    assert record["held_out"]["mae"] == about["mae"]
    assert f"held-out MAE {about['mae']:.2f} kcal/mol" in load_bundled().description
    assert "covers neutral closed-shell molecules of H, C, N, O, S with up to 23 atoms" in load_bundled().description


def test_ethanol_is_near_its_atomization_energy_and_inside():
    model = load_bundled().model
    (energy,) = model.predict(molecule("CH3CH2OH"))  # which would warn if it were outside
    assert energy == pytest.approx(-807, abs=15)  # PBE0, as far as models of QM7 know
    assert 0 < model.half_width(1.0, model.draws) < 15


@pytest.mark.realdata
def test_on_qm7_it_has_the_error_that_it_says_and_its_interval_holds_as_many_of_the_held_out(qm7):
    model = load_bundled().model
    record = yaml.safe_load(BUNDLED.with_suffix(".yaml").read_text())
    test = qm7.P[record["fold"]]
    evaluation = replace(model, test=test).evaluate(qm7, "test", model.draws)
    assert evaluation.mae == pytest.approx(record["held_out"]["mae"], rel=1e-4)
    inside = np.abs(evaluation.residuals) <= model.interval.half_widths(evaluation.spreads)
    assert inside.mean() == pytest.approx(0.9, abs=0.005)
    domain = model.domain
    known = [not domain.warnings(Z[Z > 0], R[Z > 0]) for Z, R in zip(qm7.Z[test], qm7.R[test], strict=True)]
    assert np.mean(known) > 0.993
    assert inside[known].mean() >= 0.9
