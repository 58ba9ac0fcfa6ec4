"""The model that comes with the program, as it is."""

import json
from dataclasses import replace

import numpy as np
import pytest
import yaml

from qm7cli.model.model import BUNDLED, load_bundled

ETHANOL = """9
ethanol, in angstrom
C  1.1879 -0.3829  0.0000
C  0.0000  0.5526  0.0000
O -1.1867 -0.2472  0.0000
H -1.9237  0.3850  0.0000
H  2.0985  0.2306  0.0000
H  1.1184 -1.0093  0.8869
H  1.1184 -1.0093 -0.8869
H -0.0227  1.1812  0.8852
H -0.0227  1.1812 -0.8852
"""


def test_it_is_small_and_says_what_it_is():
    assert BUNDLED.stat().st_size <= 3_500_000
    record = yaml.safe_load(BUNDLED.with_suffix(".yaml").read_text())
    with np.load(BUNDLED, allow_pickle=False) as file:
        about = json.loads(str(file["about"]))
        assert len(file["train"]) == len(file["test"]) == 0  # no molecule comes along
    for key in ("run", "fold", "variant", "iterations", "sha256"):
        assert record[key] == about[key]
    assert record["held_out"]["mae"] == about["mae"]
    assert f"held-out MAE {about['mae']:.2f} kcal/mol" in load_bundled().description
    assert "covers neutral closed-shell molecules of H, C, N, O, S with up to 23 atoms" in load_bundled().description


def test_ethanol_is_near_its_atomization_energy_and_inside(command, tmp_path):
    pytest.importorskip("ase", reason="ASE is not installed")
    (tmp_path / "ethanol.xyz").write_text(ETHANOL)
    (record,) = json.loads(command("predict", "ethanol.xyz", "--format", "json").stdout)
    assert (record["outside"], record["reasons"]) == (False, [])
    assert record["energy_kcal_mol"] == pytest.approx(-807, abs=15)  # PBE0, as far as models of QM7 know
    assert 0 < record["interval_kcal_mol"] < 30


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
