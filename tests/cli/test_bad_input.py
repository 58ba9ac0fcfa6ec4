"""What cannot be done is one sentence, and leaves everything as it was."""

import shutil

import pytest

import molecules
from conftest import within

GONE = "No such file or directory"
CASES = [
    ("train --fold 5", "there is no fold 5: this split has the folds 0 to 4"),
    ("train --config none.yaml", f"cannot read none.yaml: {GONE}"),
    ("train --config /dev/zero", "cannot read /dev/zero: it is a pipe or a device"),
    ("train --data none.mat", "no data set: looked at none.mat, which does not exist"),
    ("train --out x.npz", "x.npz is a file, not a directory"),
    ("train --out thesis", "thesis is a directory with other files, not a run; choose another --out"),
    ("train --config run/config.yaml --out run --seed 1", "run was trained with other settings (seed differs); choose"),
    ("baseline --model knn --set baseline.neighbours=99", "fold 0 has 48 training molecules, fewer than the 99 neigh"),
    ("baseline --set baseline.memory=1e-5", "fold 0 would take 0.00"),
    ("split --within 5", "there is no fold 5: this split has the folds 0 to 4"),
    ("split --within 0 --count 49", "the count is 49, but fold 0 has only 48 training molecules"),
    ("split --scheme random --count 61", "split.count is 61, but there are only 60 molecules"),
    ("split --scheme other.yaml", "other.yaml splits another data set: SHA-256 "),
    ("split --scheme other.yaml --output other.yaml", "other.yaml is also read here; choose another"),
    ("split --output none/folds.yaml", f"cannot write none/folds.yaml: {GONE}"),
    ("augment --output y.npz --fold 0 --split none.yaml", f"cannot read none.yaml: {GONE}"),
    ("augment --output x.npz --draws 1000000000", "x.npz would take "),
    ("augment --output x.npz --data x.npz", "x.npz is also read here; choose another output"),
    ("augment --output /dev/null", "cannot write /dev/null: it is not a file"),
    ("convert mine.xyz --energy-key U0 --output y.npz", "mine.xyz:0: there is no U0; the file has energy, label"),
    ("convert mine.xyz --energy-key label --output y.npz", "mine.xyz:0: label is 'a', which is not a number"),
    ("convert mine.xyz --energy-key energy --output y.npz", "1 molecules are too few for 5 folds"),
    (
        "convert bad.xyz --energy-key energy --output y.npz",
        "bad.xyz:0 has 3.5 kcal/mol, 1.8 per atom, where a mole",
    ),
    ("convert mine.xyz --energy-key energy --count 2 --output x.npz", "x.npz is there already; --force replaces it"),
    ("predict --run run none.xyz", "none.xyz does not exist"),
    ("predict --run run empty.xyz", "empty.xyz has no molecule"),
    ("predict --run run run/config.yaml", "run/config.yaml cannot be read as a file of molecules"),
    ("predict run mine.xyz", "run is a directory, not a file of molecules; if it is a run, write --run run"),
    ("predict --run none mine.xyz", "none is not a run: it does not exist"),
    ("predict CC(=O)O", "CC(=O)O is no file; if it is a SMILES, write --smiles 'CC(=O)O'"),
    ("predict --run run mine.xyz --fold 3", "run has no complete fold 3; it has 0, 1"),
    ("predict --run run --smiles C(", "no molecule is left: 'C(' is not a SMILES that RDKit reads"),
    ("predict --run run mine.xyz --output none/x", f"cannot write none/x: {GONE}"),
    ("predict --run run mine.xyz --output run/x.csv", "run/x.csv lies in the run run; choose another output"),
    ("eval run --output run/x", "run/x lies in the run run; choose another output"),
    ("eval run --output data.mat --data data.mat", "data.mat is also read here; choose another output"),
    ("centering run --output data.mat --data data.mat", "data.mat is also read here; choose another output"),
    ("collect run --output link/x", "link/x lies in the run run; choose another output"),
    ("compare run --output run/results.yaml", "run/results.yaml lies in the run run; choose another output"),
    ("compare thesis", "thesis is not a run, and there is none below it: "),
    ("plot run --kind curves --output run/x.svg", "run/x.svg lies in the run run; choose another output"),
    ("plot run --kind setting --output x.png", "there is no axis to draw along: the runs differ in no numeric setting"),
    ("report run --output run/x.html", "run/x.html lies in the run run; choose another output"),
    (
        "report run --output x.html --reference variant=none",
        "the reference variant=none: variant is not one of ",
    ),
    ("eval", "there is no directory runs here"),
]


@pytest.fixture
def place(command, three_variants, tmp_path, mat):
    """A directory with a run, data sets, molecules, a split of other molecules and files of the user's own."""
    shutil.copytree(three_variants / "original", tmp_path / "run")
    shutil.copy(mat, tmp_path / "data.mat")
    (tmp_path / "link").symlink_to("run/fold-0")
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis/chapter.tex").touch()
    (tmp_path / "x.npz").write_text("before")
    (tmp_path / "empty.xyz").touch()
    (tmp_path / "mine.xyz").write_text("2\nenergy=-100 label=a\nH 0 0 0\nH 0 0 0.74\n" * 2)
    (tmp_path / "bad.xyz").write_text("2\nenergy=3.5\nH 0 0 0\nH 0 0 0.74\n" * 2)
    command("split", "--data", molecules.write(tmp_path / "other.mat", seed=1), "--output", "other.yaml")
    return tmp_path


@pytest.mark.parametrize(("line", "message"), CASES)
def test_what_cannot_be_done_is_one_sentence_and_leaves_everything_as_it_was(command, place, line, message):
    def tree():
        return {path: path.is_file() and path.read_bytes() for path in place.rglob("*") if path.name != ".lock"}

    before = tree()
    with within(60):
        done = command(*line.split(), status=1)
    assert done.stdout == ""
    assert done.stderr.splitlines()[-1].startswith(f"qm7: {message}")
    assert done.stderr.count("qm7: ") == 1
    assert tree() == before
