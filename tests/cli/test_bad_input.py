"""What cannot be done is one sentence, and leaves everything as it was."""

import shutil

import pytest

import molecules
from conftest import within

GONE = "No such file or directory"
CASES = [
    ("train --fold 5", "there is no fold 5: this split has the folds 0 to 4"),
    ("train --config none.yaml", f"cannot read none.yaml: {GONE}"),
    ("train --data none.mat", "no data set: looked at none.mat, which does not exist"),
    ("train --out thesis", "thesis is a directory with other files, not a run; choose another --out"),
    ("train --config run/config.yaml --out run --seed 1", "run was trained with other settings (seed differs); choose"),
    ("split --within 0 --count 49", "the count is 49, but fold 0 has only 48 training molecules"),
    ("split --scheme random --count 61", "split.count is 61, but there are only 60 molecules"),
    ("split --scheme other.yaml", "other.yaml splits another data set: SHA-256 "),
    ("augment --output x.npz --draws 1000000000", "cannot write x.npz: it would take "),
    ("augment --output x.npz --data x.npz", "x.npz is also read here; choose another output"),
    ("convert mine.xyz --energy-key U0 --output y.npz", "mine.xyz:0: there is no U0; the file has energy"),
    ("convert mine.xyz --energy-key energy --output y.npz", "1 molecules are too few for 5 folds"),
    ("convert mine.xyz --energy-key energy --count 2 --output x.npz", "x.npz is there already; --force replaces it"),
    ("predict --run run none.xyz", "none.xyz does not exist"),
    ("predict run mine.xyz", "run is a directory, not a file of molecules; if it is a run, write --run run"),
    ("predict --run none mine.xyz", "none is not a run: it does not exist"),
    ("predict CC(=O)O", "CC(=O)O is no file; if it is a SMILES, write --smiles 'CC(=O)O'"),
    ("predict --run run mine.xyz --fold 3", "run has no complete fold 3; it has 0, 1"),
    ("predict --run run --smiles C(", "no molecule is left: 'C(' is not a SMILES that RDKit reads"),
    ("eval run --output run/x", "run/x lies in the run run; choose another output"),
    ("eval run --output data.mat --data data.mat", "data.mat is also read here; choose another output"),
    ("collect run --output link/x", "link/x lies in the run run; choose another output"),
    ("compare thesis", "thesis is not a run, and there is none below it: "),
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
    (tmp_path / "mine.xyz").write_text("2\nenergy=-100\nH 0 0 0\nH 0 0 0.74\n" * 2)
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
