import bz2
import gzip
import lzma
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from qm7cli.core.errors import QM7Error
from qm7cli.data import molecules as molecule_files
from qm7cli.data.molecules import BOHR, describe_left_out, read_molecules

ase_io = pytest.importorskip("ase.io", reason="ASE is not installed")

METHANE = "5\n\nC 0 0 0\nH 0.6 0.6 0.6\nH 0.6 -0.6 -0.6\nH -0.6 0.6 -0.6\nH -0.6 -0.6 0.6\n"
WATER = "3\n{comment}\nO 0 0 0\nH 0 0 0.96\nH 0.93 0 -0.24\n"
SDF = """{title}
  made by hand

  3  2  0  0  0  0            999 V2000
    0.0000    0.0000    0.0000 O   0  0
    0.0000    0.0000    0.9600 H   0  0
    0.9300    0.0000   -0.2400 H   0  0
  1  2  1  0
  1  3  1  0
{charge}M  END
> <energy>
{energy}

$$$$
"""
ATOM = "ATOM  {k:5d} {symbol:>4} MOL     1    {x:8.3f}{y:8.3f}{z:8.3f}  1.00  0.00          {symbol:>2}\n"
PDB = "".join(ATOM.format(k=k, symbol=s, x=0, y=0, z=z) for k, s, z in ((1, "O", 0), (2, "H", 0.96)))


@pytest.fixture
def write(tmp_path):
    """Writes a file and gives its path."""

    def make(name, text):
        path = tmp_path / name
        path.write_text(text)
        return path

    return make


def test_angstrom_become_bohr_and_the_matrix_is_the_equation_s(write):
    (molecule,), left_out = read_molecules([write("water.xyz", WATER.format(comment=""))])
    assert molecule.Z.tolist() == [8, 1, 1]
    assert molecule.R[1, 2] == pytest.approx(0.96 / 0.529177210903)
    assert not left_out
    C = molecule.coulomb_matrix(5)
    assert C.shape == (5, 5)
    assert C[0, 1] == pytest.approx(8 / (0.96 / BOHR))
    assert C[0, 0] == pytest.approx(0.5 * 8**2.4)
    assert not C[3:].any()


def test_many_molecules_a_file_and_many_files_keep_their_order_and_their_values(write):
    two = write("two.xyz", WATER.format(comment="energy=-1.5 label=a") + WATER.format(comment="energy=-2.5 label=b"))
    one = write("one.sdf", SDF.format(title="w", charge="", energy="-3.5") * 2)
    molecules, _ = read_molecules([two, one])
    assert [molecule.name for molecule in molecules] == [f"{two}:0", f"{two}:1", f"{one}:0", f"{one}:1"]
    assert [float(molecule.values["energy"]) for molecule in molecules] == [-1.5, -2.5, -3.5, -3.5]
    np.testing.assert_allclose(molecules[0].R, molecules[2].R, rtol=1e-6)


def test_charged_and_periodic_systems_are_left_out_and_counted(write):
    periodic = 'Lattice="9 0 0 0 9 0 0 0 9" pbc="T T T"'
    xyz = write("a.xyz", "".join(WATER.format(comment=comment) for comment in ("", "charge=1", periodic, "charge=0")))
    sdf = write("b.sdf", SDF.format(title="w", charge="M  CHG  1   1  -1\n", energy="0"))
    molecules, left_out = read_molecules([xyz, sdf])
    assert [molecule.name for molecule in molecules] == [f"{xyz}:0", f"{xyz}:3"]
    assert describe_left_out(left_out) == "2 charged left out, 1 periodic left out"
    with pytest.raises(QM7Error, match="no molecule is left: 1 charged left out"):
        read_molecules([sdf])


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("x.xyz", "", r"x.xyz cannot be read as a file of molecules|x.xyz has no molecule"),
        ("x.sdf", "", "x.sdf has no molecule"),
        ("x.xyz", "3\n\nO 0 0 0\n", "x.xyz cannot be read as a file of molecules"),
        ("x.xyz", "a thesis\n", "x.xyz cannot be read as a file of molecules"),
        ("x.unknown", "a thesis\n", "x.unknown cannot be read as a file of molecules"),
        ("x.sdf", "a\nb\nc\nd\n", "x.sdf cannot be read as a file of molecules"),
        ("x.xyz", "2\n\nO 0 0 0\nH 0 0 0\n", r"x.xyz:0: atoms 0 and 1 are in the same place"),
        ("x.xyz", "2\n\nO 0 0 0\nH 0 0 nan\n", r"x.xyz:0: some coordinates are not numbers"),
        ("x.xyz", "1\ncharge=some\nO 0 0 0\n", "x.xyz:0: its charge is some, which is not a number"),
        ("x.xyz", "1\n\nX 0 0 0\n", r"x.xyz:0: it has no atoms, or some of no element"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_sentence(write, name, text, message):
    with pytest.raises(QM7Error, match=message):
        read_molecules([write(name, text)])


def test_a_file_that_is_not_there_is_one_sentence(tmp_path):
    with pytest.raises(QM7Error, match=r"cannot read .*none.xyz: it is not a file"):
        read_molecules([tmp_path / "none.xyz"])


def names(paths):
    """Return the names of the molecules of files, without their directories."""
    return [Path(molecule.name).name for molecule in read_molecules(paths)[0]]


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("set@0", "set"),
        ("set@:", "set"),
        ("batch@298K.xyz", "batch"),
        ("a@0.xyz", "a"),
        ("b.xyz@1", "b.xyz"),
        ("mysql.xyz", "mysql"),
        ("mysql", "mysql.db"),
        ("postgres-run.xyz", "postgres"),
        ("mariadb", "maria"),
        ("db.aselmdb.xyz", "db"),
    ],
)
def test_the_file_that_is_named_is_read_and_no_other(write, tmp_path, monkeypatch, name, other):
    write(name, WATER.format(comment=""))
    write(other, METHANE * 2)
    monkeypatch.chdir(tmp_path)
    (molecule,), _ = read_molecules([Path(name)])
    assert (molecule.name, molecule.Z.tolist()) == (f"{name}:0", [8, 1, 1])


@pytest.mark.parametrize("name", ["x.json", "x.db", "x.aselmdb", "POSCAR", "x.cif", "x.py", "mysql://x", "-"])
def test_formats_that_may_lead_to_other_files_are_refused(write, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).parent.mkdir(exist_ok=True)
    write(name, '{"1": {"numbers": [1], "positions": [[0, 0, 0]]}, "ids": [1], "nextid": 2}')
    with pytest.raises(QM7Error, match=f"^{Path(name)} cannot be read as a file of molecules: it is not one of XYZ, "):
        read_molecules([Path(name)])
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 1  # such as a lock
    (tmp_path / "bundle.traj").mkdir()
    with pytest.raises(QM7Error, match=r"cannot read bundle.traj: it is not a file"):
        read_molecules([Path("bundle.traj")])


PACKERS = {"": bytes, ".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress, ".GZ": gzip.compress}


@pytest.mark.parametrize("packed", PACKERS)
@pytest.mark.parametrize("ending", [".sdf", ".SDF", ".mol", ".Mol"])
def test_three_records_are_three_molecules_whatever_the_file_is_called(tmp_path, packed, ending):
    records = [SDF.format(title="w", charge="", energy=f"-{k}.5").removesuffix("$$$$\n") for k in (1, 2, 3)]
    path = tmp_path / f"m{ending}{packed}"
    for separator, line_end in product(("$$$$", "$$$$ ", "$$$$\t"), ("\n", "\r\n")):
        for text in (f"{separator}\n".join(records), "".join(f"{record}{separator}\n" for record in records)):
            path.write_bytes(PACKERS[packed](text.replace("\n", line_end).encode()))
            molecules, _ = read_molecules([path])
            assert [molecule.values["energy"] for molecule in molecules] == ["-1.5", "-2.5", "-3.5"]


def test_a_record_s_charge_and_data_fields_are_kept(write):
    charged = SDF.format(title="w", charge="M  CHG  2   1  -1   2   1\n", energy="-1.5\nhartree\n\n>  25 <id> (7)\nA 7")
    (molecule,), _ = read_molecules([write("x.mol", charged.replace("\n", "\r\n"))])
    assert molecule.values == {"charge": 0, "energy": "-1.5\nhartree", "id": "A 7"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (SDF.replace("V2000", "V3000") * 2, "molecule 0: it is written as V3000; of SDF, V2000 is read"),
        (SDF + SDF.replace("M  END\n", ""), "molecule 1: it has 0 lines with M  END, not one: it is cut short, or "),
        (SDF.replace("$$$$\n", "") * 2, "molecule 0: it has 2 lines with M  END, not one: "),
        (SDF + "$$$$\n" + SDF, "molecule 1: it has 0 lines with M  END"),
        (SDF + "\n\n$$$$\n" + SDF, "molecule 1: it has 0 lines with M  END"),
        (SDF + SDF.replace("  3  2  0", "  5  2  0"), "molecule 1: "),
        (SDF + "a remark\n", "molecule 1: it has 0 lines with M  END"),
    ],
)
def test_a_record_that_cannot_be_read_is_an_error(write, text, reason):
    path = write("x.sdf", text.replace("{charge}", "").replace("{title}", "w").replace("{energy}", "-1"))
    with pytest.raises(QM7Error) as error:
        read_molecules([path])
    assert str(error.value).startswith(f"{path} cannot be read as a file of molecules ({reason}")


def test_frames_behind_a_blank_line_are_read(write):
    text = f"\n{WATER.format(comment='')}\n\n{METHANE}  \nVEC"
    with pytest.raises(QM7Error, match="molecule 2: there is 'VEC' instead of its number of atoms"):
        read_molecules([write("x.xyz", text)])
    assert names([write("x.xyz", text.removesuffix("VEC"))]) == ["x.xyz:0", "x.xyz:1"]


def test_models_of_a_pdb_file_are_read_to_the_last_and_share_its_cell(write):
    model = f"MODEL        1\n{PDB}ENDMDL\n"
    assert names([write("x.pdb", model * 3 + "CONECT    1    2\nEND\n")]) == ["x.pdb:0", "x.pdb:1", "x.pdb:2"]
    assert names([write("x.pdb", model * 2 + PDB)]) == ["x.pdb:0", "x.pdb:1", "x.pdb:2"]
    assert names([write("x.pdb", PDB)]) == ["x.pdb:0"]
    cell = "CRYST1   20.000   20.000   20.000  90.00  90.00  90.00 P 1           1\n"
    with pytest.raises(QM7Error, match="no molecule is left: 3 periodic left out"):
        read_molecules([write("x.pdb", cell + model * 3)])


@pytest.mark.parametrize("name", ["x.traj", "x.traj.gz", "x"])
def test_trajectories_are_read_packed_or_not_whatever_they_are_called(write, tmp_path, name):
    frames = ase_io.read(write("two.xyz", WATER.format(comment="energy=-1.5") * 2), ":")
    ase_io.write(tmp_path / name, frames, format="traj")
    molecules, _ = read_molecules([tmp_path / name])
    assert [(molecule.Z.tolist(), molecule.values["energy"]) for molecule in molecules] == [([8, 1, 1], -1.5)] * 2


@pytest.mark.parametrize(
    ("comment", "atoms", "reason"),
    [
        ("", 99_999_999, "99999999 atoms, where at most 1000 are read"),
        ("", -1, "-1 atoms, where at most 1000 are read"),
        ("", 999, "it says that it has 999 atoms, but the file ends before them"),
        ("Properties=species:S:1:pos:R:3:x:R:999999999", 3, "it has 1000000003 columns, where 1000 are the most"),
    ],
)
def test_what_a_file_says_of_its_size_takes_no_memory(write, comment, atoms, reason):
    path = write("x.xyz", WATER.format(comment="") + WATER.format(comment=comment).replace("3", f"{atoms}", 1))
    with pytest.raises(QM7Error) as error:
        read_molecules([path])
    assert str(error.value) == f"{path} cannot be read as a file of molecules (molecule 1: {reason})"


def test_a_molecule_with_more_atoms_than_are_read_is_refused_before_its_matrix_is_made(write):
    text = "".join(ATOM.format(k=k, symbol="H", x=k % 100, y=k // 100, z=0) for k in range(1001))
    with pytest.raises(QM7Error, match=r"x.pdb:0: 1001 atoms, where at most 1000 are read"):
        read_molecules([write("x.pdb", text)])


@pytest.mark.parametrize("packed", [".gz", ".bz2", ".xz"])
def test_a_file_that_becomes_absurdly_large_is_refused_on_the_way(tmp_path, monkeypatch, packed):
    monkeypatch.setattr(molecule_files, "UNPACKED", 2_000_000)
    path = tmp_path / f"x.xyz{packed}"
    path.write_bytes(PACKERS[packed](WATER.format(comment="").encode() * 100_000))
    with pytest.raises(QM7Error, match=r"x.xyz.* unpacks to more than 2 MB; if that is right, unpack it first"):
        read_molecules([path])
    path.write_bytes(PACKERS[packed](WATER.format(comment="").encode() * 100))
    assert len(read_molecules([path])[0]) == 100
