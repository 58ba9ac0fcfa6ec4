import numpy as np
from scipy.io import savemat

import molecules
from qm7cli.data import dataset, inspection


def test_the_description_counts_what_is_there(tmp_path):
    two = {
        "Z": np.array([[1, 1, 0], [8, 1, 1]]),
        "R": np.array([[[0, 0, 0], [2, 0, 0], [0, 0, 0]], [[0, 0, 0], [2, 0, 0], [0, 4, 0]]], dtype=float),
        "T": np.array([[-100.0, -200.0]]),
        "P": np.array([[0], [1]]),
    }
    two["X"] = np.array([molecules.coulomb_matrix(*m) for m in zip(two["Z"], two["R"], strict=True)])
    two["X"][0, 0, 0] += 0.25
    savemat(tmp_path / "two.mat", two)
    description = inspection.describe(dataset.load(tmp_path / "two.mat"))
    assert description["molecules"] == "2"
    assert description["atoms"] == "2 to 3 a molecule, mean 2.50; room for 3"
    assert description["elements"] == "H 4, O 1"
    assert description["energy"] == "-200.00 to -100.00, mean -150.00, std 50.00 kcal/mol"
    assert description["mean of a fold"] == "-100.00, -200.00 kcal/mol"
    assert description["X of Z and R"] == "largest difference 0.25 hartree, in molecule 0"
    assert description["which is"] == "not the published file's"
    bundled = dataset.load(dataset.locate("gfn7"))
    assert inspection.describe(bundled)["which is"] == "that of gfn7, which comes with qm7"
