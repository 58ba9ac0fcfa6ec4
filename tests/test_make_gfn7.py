"""The tool that makes the bundled set, where what it needs is installed (the extra `generate`)."""

import numpy as np
import pytest

from qm7cli.data import dataset

make_gfn7 = pytest.importorskip("make_gfn7", reason="tblite is not installed")


@pytest.fixture(scope="module")
def bundled():
    with np.load(dataset.BUNDLED["gfn7"]) as arrays:
        return dict(arrays)


def test_strained_and_reactive_graphs_are_left_out_and_ordinary_ones_are_not(bundled):
    strained = ("COOC", "C=C=C", "C=CO", "OCO", "CN=O", "C1=CC1", "NNN", "C1CC12CC2", "CSSC")
    assert not any(map(make_gfn7._is_allowed, strained))
    assert all(map(make_gfn7._is_allowed, ["CCO", "CC#N", "c1cc[nH]c1", "CC(=O)N", "CSC"]))
    assert all(map(make_gfn7._is_allowed, bundled["smiles"].tolist()))


@pytest.mark.parametrize("smiles", ["CCO", "C#N", "CSC"])
def test_a_molecule_is_computed_as_it_is_in_the_set(bundled, smiles):
    record = make_gfn7.compute(smiles)
    k = bundled["smiles"].tolist().index(smiles)
    atoms = len(record["Z"])
    assert record["Z"] == bundled["Z"][k, :atoms].tolist()
    assert record["T"] == pytest.approx(bundled["T"][k], abs=0.02)
