"""Damaged and crafted files, and odd command lines: one sentence or a sound result, never a traceback or a hang.

`make fuzz` tries others, for as long as it is told.
"""

import fcntl
import io
import os
import re
import resource
import shutil
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import astuple, is_dataclass

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from typer.main import get_command

import molecules
from conftest import QUICK, within
from qm7cli.analysis.compare import compare_groups
from qm7cli.cli import main
from qm7cli.core.arrays import parse_arrays, write_arrays
from qm7cli.core.errors import QM7Error
from qm7cli.core.yaml_text import format_record, format_yaml
from qm7cli.data import dataset, download, soundness
from qm7cli.data.smiles import read_smi
from qm7cli.data.splits import Split, make_folds, select_folds, write_split
from qm7cli.model.baseline_model import load_fold_model
from qm7cli.model.bundled import load_bundled, save_bundled
from qm7cli.model.domain import Domain
from qm7cli.runs.collect import collect_folds, find_runs, read_run
from qm7cli.runs.experiment import read_experiment, resolve
from qm7cli.runs.history import read_history
from qm7cli.runs.models import load_networks
from qm7cli.runs.predictions import read_predictions
from qm7cli.runs.results import read_fold
from qm7cli.training.checkpoint import load_checkpoint
from qm7cli.training.fold_training import FoldTraining
from qm7cli.training.sweep import read_sweep
from qm7cli.training.train_run import train_run

TIMES = int(os.environ.get("QM7_FUZZ", "0"))  # as many examples, and other ones each time
MEMORY = 400e6  # bytes that no example takes
SWEEP = (
    "base: {split: {folds: [0]}, training: {iterations: 3}}\ngrid:\n  variant: [original, corrected]\n  seed: [0, 1]\n"
)
WATER = "3\nenergy=-200\nO 0 0 0\nH 0 0 0.96\nH 0.93 0 -0.24\n"


def examples(number):
    """Return the settings of a test of so many examples."""
    return settings(
        max_examples=number * max(1, TIMES),
        derandomize=not TIMES,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


@pytest.fixture(scope="module", autouse=True)
def _bounded_memory():
    """No example of this module takes much memory."""

    def peak():
        return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    before = peak()
    yield
    assert peak() - before < MEMORY


BASELINES = {
    "bags": {
        "baseline.model": "krr",
        "baseline.representation": "bag-of-bonds",
        "baseline.scale": 100,
        "baseline.ridge": 0.1,
    },
    "neighbours": {"baseline.model": "knn", "baseline.representation": "random", "baseline.neighbours": 3},
}


@pytest.fixture(scope="module")
def sound(tmp_path_factory, small):
    """A directory with a sound file of each kind; to be copied."""
    path = tmp_path_factory.mktemp("sound")
    experiment = resolve(None, [*QUICK, "split.folds=[0]"], {})
    train_run(experiment, small, path / "run")
    for name, baseline in BASELINES.items():
        train_run(resolve(None, ["split.folds=[0]"], baseline), small, path / name)
    (path / "experiment.yaml").write_text(format_yaml(experiment.model_dump(mode="json")))
    (path / "sweep.yaml").write_text(SWEEP)
    (path / "water.xyz").write_text(WATER * 2)
    (path / "few.smi").write_text("CCO ethanol\nC#N\n")
    save_bundled(path / "network.npz", load_networks(path / "run")[0], "run", "small", 1.0, 2.0)
    write_split(path / "split.yaml", small, "random", 0, make_folds(small, Split(scheme="random")))
    molecules.write(path / "small.mat")
    variables = molecules.variables()
    np.savez(path / "plain.npz", **{name: variables[name] for name in "ZRP"}, T=variables["T"][0])
    np.savez_compressed(path / "small.npz", **{name: variables[name] for name in "ZRP"}, T=variables["T"][0])
    return path


@pytest.fixture
def place(sound, tmp_path):
    """A copy of the sound files."""
    return shutil.copytree(sound, tmp_path / "place")


@pytest.fixture
def readers(place, small):
    """By file, what reads it; a sound file gives a value that is sound, too."""
    experiment = resolve(None, [*QUICK, "split.folds=[0]"], {})
    (fold,) = select_folds(small, experiment.split)
    training = FoldTraining(experiment, small, fold)
    (run,) = find_runs([place / "run"])
    of_run = run.path, run.results.folds[0]

    def trained(path):
        """Use a data set as a training does."""
        data = dataset.load(path)
        soundness.describe(data)
        with np.errstate(all="ignore"):
            (fold,) = select_folds(data, experiment.split)
            assert Domain.of(data, fold.train, fold.test).threshold >= 0
            FoldTraining(experiment, data, fold).iterate()

    def resumed(path):
        with np.errstate(all="ignore"):
            FoldTraining.resume(experiment, small, fold, path).iterate()

    def predicted(path):
        model = load_fold_model(path)
        if model.fits(small):
            with np.errstate(all="ignore"):
                assert np.isfinite(model.evaluate(small, "test", 1).rmse)
        return model

    def results(path):
        found = read_run(path.parent)
        collect_folds([found])
        compare_groups([found])
        return found.results

    def checkpoint(path):
        resumed(path)
        return load_checkpoint(path, training.identity(), training.sizes, len(training.basis))

    return {
        "small.mat": trained,
        "small.npz": trained,
        "plain.npz": trained,
        "run/fold-0/model.npz": predicted,
        "network.npz": load_bundled,
        "few.smi": lambda path: read_smi(path.read_text(errors="replace"), str(path)),
        "bags/fold-0/model.npz": predicted,
        "neighbours/fold-0/model.npz": predicted,
        "run/fold-0/checkpoint.npz": checkpoint,
        "run/fold-0/result.yaml": lambda path: read_fold(path.parents[1], 0),
        "run/fold-0/predictions.csv": lambda _: read_predictions(*of_run),
        "run/fold-0/history.csv": lambda _: read_history(*of_run),
        "run/results.yaml": results,
        "experiment.yaml": read_experiment,
        "split.yaml": lambda path: make_folds(small, Split(scheme=str(path))),
        "sweep.yaml": read_sweep,
    }


CHECKED = {  # by file, what it must still have in it if it is to give the same
    "run/fold-0/model.npz": rb"",
    "network.npz": rb"",
    "bags/fold-0/model.npz": rb"",
    "neighbours/fold-0/model.npz": rb"",
    "run/fold-0/checkpoint.npz": rb"",
    "run/fold-0/predictions.csv": rb"",
    "run/fold-0/history.csv": rb"",
    "run/fold-0/result.yaml": rb"(?m)^checksum: '?\w+'?$",
    "run/results.yaml": rb"(?m)^checksum: '?\w+'?$",
}
TEXTS = ("run/fold-0/result.yaml", "run/results.yaml", "experiment.yaml", "split.yaml", "sweep.yaml",
         "run/fold-0/predictions.csv", "run/fold-0/history.csv")  # fmt: skip
FILES = (*CHECKED, "small.mat", "small.npz", "plain.npz", "few.smi", "experiment.yaml", "split.yaml", "sweep.yaml")


def attempt(read, path):
    """Return what is read of a file, or None if the error is one sentence."""
    try:
        with within(20):
            return read(path)
    except QM7Error as error:
        sentence = str(error)
    assert 10 < len(sentence) < 1000
    assert not re.search(r"Traceback|object at 0x", sentence)
    return None


def plain(value):
    """Return a value in a form that can be compared."""
    if isinstance(value, np.ndarray):
        return str(value.dtype), value.shape, value.tobytes()
    if is_dataclass(value):
        return plain(astuple(value))
    if isinstance(value, tuple | list):
        return [plain(each) for each in value]
    return value


PLACES = st.one_of(st.integers(0, 300), st.integers(-300, -1), st.integers(0, 2**31))
EDITS = st.lists(
    st.tuples(
        st.sampled_from(["flip", "cut", "delete", "repeat", "insert", "write", "move"]),
        PLACES,
        PLACES,
        st.one_of(st.integers(1, 8), st.integers(1, 2000)),
        st.binary(min_size=1, max_size=16),
    ),
    min_size=1,
    max_size=3,
)


def edited(content, edits):
    """Return damaged content."""
    for kind, place, other, length, more in edits:
        k, j = place % max(1, len(content)), other % max(1, len(content))
        before, after = content[:k], content[k:]
        content = {
            "flip": before + bytes([after[0] ^ 1 << length % 8]) + after[1:] if after else b"",
            "cut": before,
            "delete": before + after[length:],
            "repeat": before + after[:length] + after,
            "insert": before + more + after,
            "write": before + more + after[len(more) :],
            "move": before + content[j : j + length] + after[length:],
        }[kind]
    return content


@pytest.mark.parametrize("name", FILES)
@given(edits=EDITS)
@examples(40)
def test_a_damaged_file_is_one_sentence_or_gives_what_it_would_whole(place, readers, name, edits):
    path, read = place / name, readers[name]
    whole = path.read_bytes()
    expected = plain(read(path))
    damaged = edited(whole, edits)
    try:
        path.write_bytes(damaged)
        value = attempt(read, path)
    finally:
        path.write_bytes(whole)
    same = CHECKED.get(name)
    if value is not None and same is not None and re.findall(same, damaged)[:1] == re.findall(same, whole)[:1]:
        assert plain(value) == expected


WORDS = (
    *(b"nan", b"-1", b"0", b"1.5", b"1e999", b"9" * 25, b"9" * 5000, b"010", b"0x1F", b"2020-13-45", b"2020-01-01"),
    *(b"null", b"~", b"true", b"random", b"run/config.yaml", b"x" * 5000, b"", b"=", b"<<", b"'", b"%", b"---"),
    *(b"[]", b"{}", b"[[1, 2]]", b"{a: 1}", b"- ", b"? ", b"*a", b"&a 1", b"&a [*a]", b"!!bool x", b"!!set {a}"),
    *(
        b"!!binary eA==",
        b"!!python/object:os.system x",
        b"\n",
        b"\0",
        b"\xff",
        b"\x85",
        b"\xf0\x9f\x98\x80",
        b"\xed\xb3\xbf",
    ),
)


@pytest.mark.parametrize("name", TEXTS)
@given(changes=st.lists(st.tuples(st.integers(0, 10**6), st.sampled_from(WORDS)), min_size=1, max_size=3))
@examples(40)
def test_other_words_in_a_text_are_one_sentence_or_a_sound_value(place, readers, name, changes):
    path = place / name
    whole = content = path.read_bytes()
    if name.startswith("run/"):  # without its checksum, as of an older version
        content = re.sub(rb"(?m)^checksum: .*\n", b"", content)
    for which, word in changes:
        words = list(re.finditer(rb"[\w.+-]+", content)) or [re.match(b"", content)]
        start, end = words[which % len(words)].span()
        content = content[:start] + word + content[end:]
    try:
        path.write_bytes(content)
        attempt(readers[name], path)
    finally:
        path.write_bytes(whole)


TYPES = ("f2", "f4", "f8", ">f4", "i1", "i8", "u8", "c8", "?", "U3", "S2")
ODD = (np.nan, np.inf, -np.inf, -1, 0, 1, 0.5, 1e-30, 1e9, 1e30, 119, 2**31, -(2**63), 2**62)
CHANGES = st.one_of(
    st.tuples(st.just("value"), st.integers(0, 10**6), st.sampled_from(ODD)),
    st.tuples(st.just("all"), st.just(0), st.sampled_from(ODD)),
    st.tuples(st.just("type"), st.just(0), st.sampled_from(TYPES)),
    st.tuples(st.just("shape"), st.sampled_from(["flat", "more", "none", "turned", "last", "twice"]), st.just(0)),
    st.tuples(st.just("gone"), st.just(0), st.just(0)),
)


def changed(array, change):
    """Return another array in the place of one."""
    kind, how, value = change
    if kind == "type":
        with np.errstate(all="ignore"):
            return array.astype(value) if array.dtype.kind not in "UcS" else np.array(0)
    if kind == "shape":
        rows = array if array.ndim else array[None]
        return {
            "flat": array.ravel(),
            "more": array[None],
            "none": array.ravel()[:0],
            "turned": array.T,
            "last": rows[..., :-1],
            "twice": np.concatenate([rows, rows]),
        }[how]
    array = array.copy()
    with np.errstate(all="ignore"):
        value = np.asarray(value).astype(array.dtype)
    if array.size:
        array.flat[how % array.size if kind == "value" else slice(None)] = value
    return array


@pytest.mark.parametrize(
    "name",
    [
        "run/fold-0/model.npz",
        "bags/fold-0/model.npz",
        "neighbours/fold-0/model.npz",
        "run/fold-0/checkpoint.npz",
        "small.npz",
        "plain.npz",
        "small.mat",
    ],
)
@given(changes=st.lists(st.tuples(st.integers(0, 30), CHANGES), min_size=1, max_size=2))
@examples(40)
def test_other_arrays_with_right_checksums_are_one_sentence_or_a_sound_value(place, readers, name, changes):
    path = place / name
    whole = path.read_bytes()
    arrays = molecules.variables() if name.endswith("mat") else parse_arrays(whole, largest=10**7)
    for which, change in changes:
        key = sorted(arrays)[which % len(arrays)]
        array = arrays.pop(key)
        if change[0] != "gone":
            arrays[key] = changed(array, change).copy()
    try:
        if name.endswith("mat"):
            molecules.savemat(path, arrays)
        elif name == "small.npz":
            np.savez_compressed(path, **arrays)
        else:
            write_arrays(path, arrays)
        attempt(readers[name], path)
    finally:
        path.write_bytes(whole)


LEAVES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from([10**400, 2**63]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | st.integers(0, 3), inner, max_size=3)
    ),
    max_leaves=5,
)


@pytest.mark.parametrize("name", ["run/fold-0/result.yaml", "run/results.yaml"])
@given(which=st.integers(0, 10**6), value=LEAVES)
@examples(40)
def test_other_values_with_right_checksums_are_one_sentence_or_a_sound_value(place, readers, name, which, value):
    path = place / name
    whole = path.read_text()
    tree = yaml.safe_load(whole)
    del tree["checksum"]
    branches = [tree]
    for branch in branches:
        inner = branch.values() if isinstance(branch, dict) else branch
        branches += [each for each in inner if isinstance(each, dict | list)]
    leaves = [
        (branch, key) for branch in branches for key in (branch if isinstance(branch, dict) else range(len(branch)))
    ]
    branch, key = leaves[which % len(leaves)]
    branch[key] = value
    try:
        path.write_bytes(format_record(tree).encode(errors="backslashreplace"))
        attempt(readers[name], path)
    finally:
        path.write_text(whole)


COMMANDS = get_command(main.app).commands
NUMBERS = [
    "0",
    "1",
    "2",
    "3",
    "-1",
    "1.5",
    "nan",
    "inf",
    "1e999",
    "",
    "x",
    "0x1",
    "1_0",
    "1e0",
    "10**3",
    "9223372036854775807",
    "9223372036854775808",
    "1e30",
]
PATHS = ["run", "run/fold-0", "run/results.yaml", ".", "none", "none/x", "", "/dev/null", "fifo", "link", "loop",
         "empty", "noise", "experiment.yaml", "sweep.yaml", "split.yaml", "small.mat", "small.npz", "water.xyz",
         "water.sdf", "out.csv", "out.npz", "out.svg", "x" * 300, "a\nb", "\x1b[2J", "-", "--", "\udcff"]  # fmt: skip
SETTINGS = ["seed=1", "seed=", "=", "seed", "seed=nan", "seed=[", "training.batch_size=2", "training.batch_size=0",
            "training.schedule=[[1,1e30]]", "encoding.noise=1e9", "encoding.step=1000", "network.hidden=[]",
            "network.hidden=[1]", "network=1", "split.folds=[0]", "split.folds=[7]", "split.train_size=2",
            "evaluation.draws=1", "evaluation.every=1", "baseline.model=krr", "data=none", "variant=x"]  # fmt: skip
OWN = {  # what an argument or an option is given more often
    "run": ["run"],
    "runs": ["run"],
    "file": ["sweep.yaml"],
    "files": ["water.xyz"],
    "--data": ["small.mat", "small.npz"],
    "--fold": ["0"],
    "--seed": ["0", "1"],
    "--count": ["2", "3"],
    "--draws": ["1", "2"],
    "--format": ["table", "csv", "json", "yaml", "markdown", "latex"],
    "--part": ["test", "train", "both"],
    "--split": ["stratified", "random", "split.yaml"],
    "--scheme": ["stratified", "random"],
    "--kind": ["curves", "parity", "errors", "folds"],
    "--variant": ["corrected", "no-prebias"],
    "--model": ["mean", "knn", "linear", "krr"],
    "--representation": ["eigenspectrum", "sorted", "random"],
    "--kernel": ["gaussian", "laplacian"],
    "--reference": ["variant=original", "run"],
    "--by": ["variant", "seed"],
    "--units": ["eV", "kcal/mol"],
    "--energy-key": ["energy"],
    "--config": ["experiment.yaml"],
    "--output": ["out.csv", "out.npz", "out.svg", "out.html"],
    "--set": SETTINGS,
}
LAST = {  # so that no command works for long, or looks for anything elsewhere
    "train": ["--iterations", "2", "--jobs", "1"],
    "baseline": ["--jobs", "1"],
    "sweep": ["--dry-run"],
}


@st.composite
def command_lines(draw):
    """Make a command and its arguments."""
    name = draw(st.sampled_from(sorted(COMMANDS)))
    words = st.sampled_from(PATHS) | st.sampled_from(NUMBERS) | st.sampled_from(SETTINGS) | st.text(max_size=8)
    line = [name]
    for parameter in COMMANDS[name].params:
        options = [option for option in parameter.opts if option.startswith("-")]
        wanted = not options or parameter.required
        if options == ["--scheduler"] or draw(st.integers(0, 9)) >= (9 if wanted else 3):
            continue
        own = OWN.get(options[0] if options else parameter.name, PATHS)
        value = draw(words if draw(st.integers(0, 3)) == 0 else st.sampled_from(own))
        line += [*options[:1], *([] if getattr(parameter, "is_flag", False) else [value])]
    if draw(st.integers(0, 9)) == 0:
        line.insert(draw(st.integers(0, len(line))), draw(words))
    return line + (LAST.get(line[0], []) if draw(st.integers(0, 30)) or line[0] in LAST else ["--help"])


@given(line=command_lines())
@examples(200)
def test_any_command_line_ends_with_a_status_and_one_sentence_if_it_is_wrong(sound, tmp_path, monkeypatch, line):
    place = tmp_path / "place"
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(sound, place)
    (place / "empty").mkdir()
    (place / "noise").write_bytes(bytes(range(256)))
    (place / "water.sdf").write_text("\n\n\n  0  0\n$$$$\n")
    (place / "link").symlink_to("run")
    (place / "loop").symlink_to("loop")
    os.mkfifo(place / "fifo")
    reader = os.open(place / "fifo", os.O_RDONLY | os.O_NONBLOCK)  # else an output into it would wait for one
    fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, 2**20)
    monkeypatch.chdir(place)
    monkeypatch.setenv("QM7_DATA", "small.mat")
    monkeypatch.setattr(download, "MIRRORS", ("http://127.0.0.1:9/",))
    output, errors = io.StringIO(), io.StringIO()
    with within(60), redirect_stdout(output), redirect_stderr(errors):
        status = main.run(line)
    os.close(reader)
    event(f"{line[0]}: {status}")
    assert status in {0, 1, 2}
    complaints = [text for text in errors.getvalue().splitlines() if text.startswith("qm7: ")]
    assert status == 0 or complaints
    assert all(text.isprintable() and len(text) < 1000 for text in complaints)
