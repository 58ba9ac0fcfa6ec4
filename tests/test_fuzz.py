"""Damaged files of others, and odd command lines: one sentence or a sound result, never a traceback or a hang."""

import io
import re
import shutil
from contextlib import redirect_stderr, redirect_stdout

import make_reference
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.main import get_command

import molecules
from conftest import QUICK, within
from qm7cli.cli import main
from qm7cli.core.errors import QM7Error
from qm7cli.core.yaml_text import format_yaml
from qm7cli.data import dataset, download, soundness
from qm7cli.data.molecule_files import read_groups, read_molecules
from qm7cli.data.splits import Split, make_folds, select_folds, write_split
from qm7cli.runs.experiment import resolve
from qm7cli.training.fold_training import FoldTraining
from qm7cli.training.sweep import read_sweep
from qm7cli.training.train_run import train_run

SWEEP = "base: {split: {folds: [0]}, training: {iterations: 3}}\ngrid: {seed: [0, 1], variant: [original, corrected]}\n"


def examples(number):
    """Return the settings of a test of so many examples."""
    usual = {"derandomize": True, "database": None, "deadline": None, "suppress_health_check": list(HealthCheck)}
    return settings(max_examples=number, **usual)


@pytest.fixture(scope="module")
def sound(tmp_path_factory, small):
    """A directory with a sound file of each kind, and a run; to be copied."""
    path = tmp_path_factory.mktemp("sound")
    experiment = resolve(None, [*QUICK, "split.folds=[0]"], {})
    train_run(experiment, small, path / "run")
    (path / "experiment.yaml").write_text(format_yaml(experiment.model_dump(mode="json")))
    (path / "sweep.yaml").write_text(SWEEP)
    (path / "water.xyz").write_text("3\nenergy=-200\nO 0 0 0\nH 0 0 0.96\nH 0.93 0 -0.24\n" * 2)
    (path / "few.smi").write_text("CCO ethanol\nC#N\n")
    write_split(path / "split.yaml", small, "random", 0, make_folds(small, Split(scheme="random")))
    molecules.write(path / "small.mat")
    variables = molecules.variables()
    np.savez_compressed(path / "small.npz", **{name: variables[name] for name in "ZRP"}, T=variables["T"][0])
    return path


def train_on(path):
    """Use a data set as a training does."""
    data, experiment = dataset.load(path), resolve(None, QUICK, {})
    soundness.describe(data)
    with np.errstate(all="ignore"):
        FoldTraining(experiment, data, select_folds(data, experiment.split)[0]).iterate()


READERS = {  # by file; a sound file gives a value that is sound, too
    "small.mat": train_on,
    "small.npz": train_on,
    "few.smi": lambda path: list(read_groups([path])),
    "water.xyz": lambda path: read_molecules([path]),
    "experiment.yaml": lambda path: resolve(path, [], {}),
    "split.yaml": lambda path: make_folds(dataset.load(path.with_name("small.mat")), Split(scheme=str(path))),
    "sweep.yaml": read_sweep,
}
EDITS = st.lists(  # where, how much goes, and what comes there instead
    st.tuples(
        st.one_of(st.integers(0, 300), st.integers(-300, -1), st.integers(0, 2**31)),
        st.one_of(st.integers(0, 8), st.integers(0, 2000), st.just(2**31)),
        st.binary(max_size=16),
    ),
    min_size=1,
    max_size=3,
)


@pytest.mark.parametrize("name", READERS)
@given(edits=EDITS)
@examples(30)
def test_a_damaged_file_is_one_sentence_or_a_sound_value(sound, tmp_path, name, edits):
    content = (sound / name).read_bytes()
    for place, length, more in edits:
        k = place % max(1, len(content))
        content = content[:k] + more + content[k + length :]
    shutil.copytree(sound, tmp_path, dirs_exist_ok=True)
    (tmp_path / name).write_bytes(content)
    sentence = "all is well"
    try:
        with within(20):
            READERS[name](tmp_path / name)
    except QM7Error as error:
        sentence = str(error)
    assert 10 < len(sentence) < 1000
    assert not re.search(r"Traceback|object at 0x", sentence)


COMMANDS = get_command(main.app).commands
NUMBERS = ["0", "1", "2", "3", "-1", "1.5", "nan", "inf", "1e999", "", "x", "0x1", "1_0", "1e0", "10**3", "1e30",
           "9223372036854775807", "9223372036854775808"]  # fmt: skip
PATHS = ["run", "run/fold-0", "run/results.yaml", ".", "none", "none/x", "", "/dev/null", "link", "loop",
         "empty", "noise", "experiment.yaml", "sweep.yaml", "split.yaml", "small.mat", "small.npz", "water.xyz",
         "out.csv", "out.npz", "out.svg", "x" * 300, "a\nb", "\x1b[2J", "-", "--", "\udcff"]  # fmt: skip
SETTINGS = ["seed=1", "seed=", "=", "seed", "seed=nan", "seed=[", "training.batch_size=2", "training.batch_size=0",
            "training.schedule=[[1,1e30]]", "encoding.noise=1e9", "encoding.step=1000", "network.hidden=[]",
            "network.hidden=[1]", "network=1", "split.folds=[0]", "split.folds=[7]", "split.train_size=2",
            "evaluation.draws=1", "evaluation.every=1", "baseline.model=krr", "data=none", "variant=x"]  # fmt: skip
OWN = {  # what an argument or an option is given more often
    "run": ["run"], "runs": ["run"], "file": ["sweep.yaml"], "files": ["water.xyz"],
    "--data": ["small.mat", "small.npz"], "--fold": ["0"], "--seed": ["0", "1"], "--count": ["2", "3"],
    "--draws": ["1", "2"], "--split": ["stratified", "random", "split.yaml"],
    "--scheme": ["stratified", "random"], "--reference": ["variant=original", "run"], "--by": ["variant", "seed"],
    "--energy-key": ["energy"], "--config": ["experiment.yaml"], "--set": SETTINGS,
    "--output": ["out.csv", "out.npz", "out.svg", "out.html"],
}  # fmt: skip
LAST = {"train": ["--iterations", "2", "--jobs", "1"], "baseline": ["--jobs", "1"], "sweep": ["--dry-run"]}  # short


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
        own = make_reference._choices(parameter.type_descriptor.annotation)
        own = own or OWN.get(options[0] if options else parameter.name, PATHS)
        value = draw(words if draw(st.integers(0, 3)) == 0 else st.sampled_from(own))
        line += [*options[:1], *([] if getattr(parameter, "is_flag", False) else [value])]
    if draw(st.integers(0, 9)) == 0:
        line.insert(draw(st.integers(0, len(line))), draw(words))
    return line + (LAST.get(line[0], []) if draw(st.integers(0, 30)) or line[0] in LAST else ["--help"])


@given(line=command_lines())
@examples(80)
def test_any_command_line_ends_with_a_status_and_one_sentence_if_it_is_wrong(sound, tmp_path, monkeypatch, line):
    place = tmp_path / "place"
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(sound, place)
    (place / "empty").mkdir()
    (place / "noise").write_bytes(bytes(range(256)))
    (place / "link").symlink_to("run")
    (place / "loop").symlink_to("loop")
    monkeypatch.chdir(place)
    monkeypatch.setenv("QM7_DATA", "small.mat")
    monkeypatch.setattr(download, "MIRRORS", ("http://127.0.0.1:9/",))
    output, errors = io.StringIO(), io.StringIO()
    with within(60), redirect_stdout(output), redirect_stderr(errors):
        status = main.run(line)
    assert status in {0, 1, 2}
    complaints = [text for text in errors.getvalue().splitlines() if text.startswith("qm7: ")]
    assert status == 0 or complaints
    assert all(text.isprintable() and len(text) < 1000 for text in complaints)
