import numpy as np
import pytest

from qm7cli.core.errors import QM7Error, notices_to
from qm7cli.data.molecule_files import CONFORMERS, Smiles, embed, read_groups
from qm7cli.data.molecules import BOHR

pytest.importorskip("rdkit", reason="RDKit is not installed")


def test_conformers_have_the_hydrogens_and_lengths_of_bonds_in_bohr_and_are_the_same_each_time():
    conformers = embed(Smiles("CCO", "a name"))
    assert len(conformers) == CONFORMERS
    for each, again in zip(conformers, embed(Smiles("CCO", "a name")), strict=True):
        assert each.name == "a name"
        assert sorted(each.Z) == [1] * 6 + [6, 6, 8]
        assert each.R.dtype == np.float32
        assert np.linalg.norm(each.R[0] - each.R[1]) * BOHR == pytest.approx(1.52, abs=0.03)
        assert np.array_equal(each.R, again.R)
    lengths = [np.linalg.norm(each.R[:, None] - each.R, axis=-1) for each in conformers]
    assert max(np.abs(length - lengths[0]).max() for length in lengths) > 0.5  # gauche and anti
    assert {each.open_shell for each in embed(Smiles("[CH2]", "carbene"))} == {"2 unpaired electrons"}


@pytest.mark.parametrize(("text", "sentence"), [
    ("CC(", "'CC(' is not a SMILES that RDKit reads"),
    ("[NH4+]", "[NH4+] is charged (+1); molecules here are neutral"),
    ("C.C", "C.C has 2 fragments, where one molecule is needed"),
    ("C*", "C* has an atom of no element"),
    ("C" * 40, f"{'C' * 40} has 122 atoms with hydrogens, where at most 100 are embedded"),
    ("C1#CC1", "RDKit finds no geometry for C1#CC1: give a file with its coordinates"),
])  # fmt: skip
def test_what_is_no_molecule_is_one_sentence_that_names_its_place(text, sentence, capfd):
    with pytest.raises(QM7Error) as error:
        embed(Smiles(text, "", "x.smi, line 3: "))
    assert str(error.value) == f"x.smi, line 3: {sentence}"
    assert capfd.readouterr().err == ""  # RDKit is silent


@pytest.fixture
def found(tmp_path, monkeypatch):
    """Reads a file: names and rows of its molecules, why others are left out, and what is noticed."""
    monkeypatch.chdir(tmp_path)

    def read(name, text, column=None):
        path = tmp_path / name
        path.write_text(text)
        noticed = []
        with notices_to(noticed.append):
            groups, left_out = read_groups([path.relative_to(tmp_path)], None, column)
        return [(each.conformers[0].name, each.row) for each in groups], list(map(str, left_out)), noticed

    return read


def test_a_file_has_one_smiles_per_line_and_its_name_and_may_have_a_header(found):
    assert found("x.smi", "C\n\nCC  ethane, a gas \nC#N\tHCN\n")[0] == [("C", {}), ("ethane, a gas", {}), ("HCN", {})]
    groups, left_out, noticed = found("x.smi", "SMILES Name\nC methane\nfoo bar\n")
    assert groups == [("methane", {})]
    assert left_out == ["x.smi, line 3: 'foo' is not a SMILES that RDKit reads"]
    assert noticed == ["x.smi, line 1: 'SMILES Name' is no SMILES and is taken for a header"]
    with pytest.raises(QM7Error, match=r"x\.smi has no molecule"):
        found("x.smi", " \n")


def test_a_table_has_a_column_of_smiles_and_keeps_the_others(found):
    groups, left_out, _ = found("x.csv", "id,SMILES,dose\na,C,1\nb,[NH4+],2\nc,CC,3\n")
    rows = {"id": "a", "SMILES": "C", "dose": "1"}, {"id": "c", "SMILES": "CC", "dose": "3"}
    assert groups == list(zip("ac", rows, strict=True))
    assert left_out == ["x.csv, line 3: [NH4+] is charged (+1); molecules here are neutral"]
    assert found("x.csv", "structure;dose\nC;1\n", "structure")[0] == [("C", {"structure": "C", "dose": "1"})]
    with pytest.raises(QM7Error, match=r"x\.csv has no column smiles; --smiles-column names one of structure, dose"):
        found("x.csv", "structure;dose\nC;1\n")
