"""Files of molecules as people have them: what is read, what is left out, and what is said of it."""

import gzip
import io
import lzma
import sys
from pathlib import Path

import numpy as np
import pytest

from qm7cli.core.errors import QM7Error
from qm7cli.data import molecule_files
from qm7cli.data.molecule_files import read_molecules
from qm7cli.data.molecules import BOHR

ase_io = pytest.importorskip("ase.io", reason="ASE is not installed")
pytest.importorskip("rdkit", reason="RDKit is not installed")

WATER = "3\n{comment}\nO 0 0 0\nH 0 0 0.96\nH 0.93 0 -0.24\n"
BLOCK = """{title}
     by hand        3D

  3  2  0  0  0  0            999 V2000
    0.0000    0.0000    0.0000 O   0  {column}  0  0  0  0
    0.0000    0.0000    0.9600 H   0  0  0  0  0  0
    0.9300    0.0000   -0.2400 H   0  0  0  0  0  0
  1  2  1  0
  1  3  1  0
{more}M  END
"""
ATOM = "HETATM{k:5d} {name:<4} MOL A   1    {x:8.3f}{y:8.3f}{z:8.3f}  1.00  0.00          {element}\n"
CELL = "CRYST1{0:9.3f}{0:9.3f}{0:9.3f}  90.00  90.00  90.00 P 1           1\n"


def block(title="", column=0, more="", **changes):
    text = BLOCK.format(title=title, column=column, more=more)
    for old, new in changes.items():
        text = text.replace(old, new)
    return text


def pdb(element=" O  ", names=(" O", " H", " H")):
    places = ((0, 0, 0), (0, 0, 0.96), (0.93, 0, -0.24))
    elements = (element, element and " H  ", element and " H  ")
    return "".join(
        ATOM.format(k=k, name=name, x=x, y=y, z=z, element=own)
        for k, (name, own, (x, y, z)) in enumerate(zip(names, elements, places, strict=True), start=1)
    )


@pytest.fixture
def read(tmp_path, monkeypatch):
    """Writes a file, reads it, and gives names and formulas of its molecules and why others are left out."""
    monkeypatch.chdir(tmp_path)

    def make(name, content, kind=None):
        Path(name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_molecules([Path(name)], kind)

    return make


@pytest.mark.parametrize(("name", "content"), [
    ("x.xyz", WATER.format(comment="")),
    ("x.xyz", WATER.format(comment="").replace("\n", "\r\n")),
    ("x.xyz", WATER.format(comment="").encode("utf-16")),
    ("x.xyz", WATER.format(comment="").replace("H", "D").replace("O", "8")),
    ("x.extxyz", WATER.format(comment='Lattice="0 0 0 0 0 0 0 0 0" charge=0 multiplicity=1')),
    ("x.xyz", WATER.format(comment='Lattice="9 0 0 0 9 0 0 0 9" pbc=None')),
    ("x.xyz.gz", gzip.compress(WATER.format(comment="").encode(), mtime=0)),
    ("x.sdf", block() + "$$$$\n"),
    ("x.mol", block(**{" H ": " D "})),
    ("x.pdb", pdb()),
    ("x.pdb", CELL.format(1) + pdb() + "END\n"),
    ("x.pdb", pdb(element="", names=(" OG ", " HA1", " H1 "))),
    ("mysql", WATER.format(comment="")),
])  # fmt: skip
def test_water_is_read_whatever_the_file_is(read, name, content):
    (molecule,), left_out = read(name, content)
    assert molecule.Z.tolist() == [8, 1, 1]
    assert np.linalg.norm(molecule.R[0] - molecule.R[1]) == pytest.approx(0.96 / BOHR, rel=1e-4)
    assert (molecule.open_shell, molecule.name, left_out) == ("", f"{name}:0", [])
    assert molecule.coulomb_matrix(5)[0, 1] == pytest.approx(8 / (0.96 / BOHR), rel=1e-4)


@pytest.mark.parametrize(("name", "content", "sentence"), [
    *(
        ("x.xyz", WATER.format(comment=comment), f"is charged ({charge:+d}); molecules here are neutral")
        for comment, charge in (
            ("Charge=-1", -1),
            ("charge=0 net_charge=1", 1),
            ("Charge: 1 Mult: 1", 1),
            ("Properties=species:S:1:pos:R:3 charge=1", 1),
        )
    ),
    ("x.sdf", block(more="M  CHG  1   1  -1\n"), "is charged (-1)"),
    ("x.sdf", block(more="M  CHG  1   1   1\n") + "> <charge>\n0\n\n$$$$\n", "is charged (+1)"),
    ("x.pdb", pdb(element=" O1-"), "is charged (-1)"),
    ("x.xyz", WATER.format(comment="charge=some"), "its charge is some, which is not a number"),
    ("x.xyz", WATER.format(comment='Lattice="9 0 0 0 9 0 0 0 9"'), "is periodic"),
    ("x.pdb", CELL.format(42) + pdb(), "is periodic"),
    (
        "x.sdf",
        block(**{" 0.0000    0.96": " 0.9600    0.00", " 0.0000   -0.24": " 0.2400    0.00", "3D": "2D"}),
        "is a 2D drawing, not a geom",
    ),
    ("x.sdf", block(**{" O ": " C "}), "hydrogens are missing, 2 by its"),
    ("x.sdf", block(**{"  3  2": "  3  1", "  1  3  1  0\n": "", " O ": " F "}), "has 2 fragments, where one mol"),
    ("x.sdf", block(**{"  3  2": "  3  9"}), "is not a record of an SDF or MOL file that RDKit reads"),
    ("x.xyz", WATER.format(comment="").replace("O", "Xx"), "'Xx' is not an element"),
    ("x.xyz", WATER.format(comment="").replace("0.96", "nan"), "some coordinates are not numbers"),
    ("x.xyz", WATER.format(comment="").replace("0.96", "0"), "atoms 0 and 1 are in the same place"),
    ("x.xyz", WATER.format(comment="").replace("0.96", "a"), "cannot be read: "),
    ("x.xyz", WATER.format(comment="")[:-20], "the file ends before its 3 atoms"),
    ("x.xyz", WATER.format(comment="").replace("3", "99999999"), "99999999 atoms, where at most 1000 are read"),
    ("x.xyz", WATER.format(comment="Properties=species:S:1:pos:R:3:x:R:999999999"), "it has 1000000003 columns"),
    ("x.xyz", "a thesis\n", "line 1: there is 'a thesis' instead of a number of atoms"),
])  # fmt: skip
def test_what_is_no_neutral_molecule_is_left_out_and_named(read, name, content, sentence):
    with pytest.raises(QM7Error, match="no molecule is left: x") as error:
        read(name, content)
    assert sentence in str(error.value)


def test_what_is_no_singlet_says_so(read):
    assert read("x.xyz", WATER.format(comment="multiplicity=3"))[0][0].open_shell == "multiplicity 3, not a singlet"
    assert read("x.mol", block(more="M  RAD  1   1   2\n"))[0][0].open_shell == "1 unpaired electron"


def test_one_that_is_bad_does_not_lose_the_others(read):
    good, bad = WATER.format(comment="energy=-1.5"), WATER.format(comment="").replace("O", "Xx")
    molecules, left_out = read("x.xyz", good + bad + good + "a remark\nof two lines\n" + good + good[:20])
    assert [molecule.name for molecule in molecules] == ["x.xyz:0", "x.xyz:2", "x.xyz:3"]
    assert [float(molecule.values["energy"]) for molecule in molecules] == [-1.5] * 3
    assert list(map(str, left_out)) == [
        "x.xyz:1: 'Xx' is not an element",
        "x.xyz, line 16: there is 'a remark' instead of a number of atoms",
        "x.xyz:4: the file ends before its 3 atoms",
    ]
    records = [block(), block(column=3), "rubbish\n", block(title="the last") + ">  25 <id> (7)\nA 7\n\n"]
    molecules, left_out = read("x.sdf", "$$$$ \n".join(records))
    assert [molecule.name for molecule in molecules] == ["x.sdf:0", "the last"]
    assert molecules[1].values["id"] == "A 7"
    assert len(left_out) == 2
    model = f"MODEL        1\n{pdb()}ENDMDL\n"
    molecules, _ = read("x.pdb", model * 2 + "CONECT    1    2\nEND\n")
    assert [molecule.name for molecule in molecules] == ["x.pdb:0", "x.pdb:1"]


def test_names_are_those_that_the_file_gives(read):
    comments = ("name=water", 'title="heavy water"', "ice", "two words")
    molecules, _ = read("x.xyz", "".join(WATER.format(comment=comment) for comment in comments))
    assert [molecule.name for molecule in molecules] == ["water", "heavy water", "ice", "x.xyz:3"]


def test_trajectories_are_read(read, tmp_path):
    frames = [ase_io.read(io.StringIO(WATER.format(comment=f"energy=-{k}.5")), format="extxyz") for k in (1, 2)]
    ase_io.write(tmp_path / "made.traj", frames)
    content = (tmp_path / "made.traj").read_bytes()
    for name in ("x.traj", "x"):
        molecules, _ = read(name, content)
        assert [molecule.values["energy"] for molecule in molecules] == [-1.5, -2.5]
    with pytest.raises(QM7Error, match=r"x\.traj cannot be read to its end"):
        read("x.traj", content[:200])


@pytest.mark.parametrize(("name", "content", "kind", "message"), [
    ("x.xyz", "", None, "x.xyz has no molecule"),
    ("POSCAR", "a thesis\n", None, "POSCAR cannot be read as a file of molecules: it is not one of XYZ"),
    ("x.smi", "C", None, "x.smi has SMILES, and this needs coordinates"),
    ("x.xyz.gz", gzip.compress(b"3", mtime=0)[:-4], None, "cannot read x.xyz.gz: Compressed file ended before"),
    ("x.xyz.xz", lzma.compress(b" " * 2_000_000), None, "x.xyz.xz has more than 1 MB; give it in parts"),
])  # fmt: skip
def test_a_file_that_cannot_be_read_is_one_sentence(read, monkeypatch, name, content, kind, message):
    monkeypatch.setattr(molecule_files, "LARGEST_FILE", 1_000_000)
    with pytest.raises(QM7Error, match=f"^{message}"):
        read(name, content, kind)
    for path, sentence in (("none.xyz", "none.xyz does not exist"), (".", ". is a directory, not a file of molecules")):
        with pytest.raises(QM7Error, match=sentence):
            read_molecules([Path(path)])


def test_standard_input_is_read_by_its_content_or_as_it_is_told(monkeypatch):
    for kind in (None, "xyz"):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(WATER.format(comment="").encode())))
        (molecule,), _ = read_molecules([Path("-")], kind)
        assert molecule.name == "standard input:0"
