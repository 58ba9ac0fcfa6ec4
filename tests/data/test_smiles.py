import sys

import numpy as np
import pytest

from qm7cli.core.errors import QM7Error
from qm7cli.data.molecules import BOHR
from qm7cli.data.smiles import CONFORMERS, Smiles, embed_all, read_smiles


def embed(text):
    """Return the conformers of one SMILES."""
    (conformers,) = embed_all([Smiles(text, "a name")])
    return conformers


def test_conformers_have_the_hydrogens_and_lengths_of_bonds_in_bohr_and_are_the_same_each_time():
    pytest.importorskip("rdkit", reason="RDKit is not installed")
    conformers = embed("CCO")
    assert len(conformers) == CONFORMERS
    for each, again in zip(conformers, embed("CCO"), strict=True):
        assert each.name == "a name"
        assert sorted(each.Z) == [1] * 6 + [6, 6, 8]
        assert each.R.dtype == np.float32
        assert np.linalg.norm(each.R[0] - each.R[1]) * BOHR == pytest.approx(1.52, abs=0.03)
        assert np.array_equal(each.R, again.R)
    lengths = [np.linalg.norm(each.R[:, None] - each.R, axis=-1) for each in conformers]
    assert max(np.abs(length - lengths[0]).max() for length in lengths) > 0.5  # gauche and anti


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("CC(", "'CC(' is not a SMILES that RDKit reads"),
        ("c1ccc1c", "'c1ccc1c' is not a SMILES that RDKit reads"),
        ("[NH4+]", "[NH4+] is charged; the models know neutral molecules alone"),
        ("C*", "C* has an atom of no element"),
        ("C" * 40, f"{'C' * 40} has 122 atoms with its hydrogens, where at most 100 are embedded"),
        ("C1#CC1", "RDKit finds no geometry for C1#CC1: give a file with its coordinates"),
    ],
)
def test_what_is_no_molecule_is_one_sentence(text, sentence, capfd):
    pytest.importorskip("rdkit", reason="RDKit is not installed")
    with pytest.raises(QM7Error) as error:
        embed(text)
    assert str(error.value) == sentence
    assert capfd.readouterr().err == ""  # RDKit is silent


def test_without_rdkit_a_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "rdkit", None)
    with pytest.raises(QM7Error, match="SMILES are read by RDKit, which is not installed: pip install rdkit"):
        embed("C")


def test_a_file_has_a_smiles_and_a_name_a_line(tmp_path):
    path = tmp_path / "x.smi"
    path.write_text("CCO\n\nc1ccccc1  benzene, a ring \n C#N\tHCN\n")
    assert read_smiles(path) == [("CCO", "CCO"), ("c1ccccc1", "benzene, a ring"), ("C#N", "HCN")]
    path.write_text(" \n")
    with pytest.raises(QM7Error, match=r"x\.smi has no SMILES"):
        read_smiles(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(QM7Error, match="it is not text"):
        read_smiles(path)
