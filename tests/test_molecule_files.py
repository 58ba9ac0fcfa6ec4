import numpy as np
import pytest

from qm7cli.errors import QM7Error
from qm7cli.molecule_files import BOHR, describe_left_out, read_molecules

pytest.importorskip("ase", reason="ASE is not installed")

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
        ("x.xyz", "2\n\nO 0 0 0\nH 0 0 nan\n", r"x.xyz:0: some coordinates are no numbers"),
        ("x.xyz", "1\ncharge=some\nO 0 0 0\n", "x.xyz:0: its charge is some, which is no number"),
        ("x.xyz", "1\n\nX 0 0 0\n", r"x.xyz:0: it has no atoms, or some of no element"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_sentence(write, name, text, message):
    with pytest.raises(QM7Error, match=message):
        read_molecules([write(name, text)])


def test_a_file_that_is_not_there_is_one_sentence(tmp_path):
    with pytest.raises(QM7Error, match=r"cannot read .*none.xyz: it is no file"):
        read_molecules([tmp_path / "none.xyz"])
