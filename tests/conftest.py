"""Data sets and the installed command."""

import contextlib
import io
import os
import resource
import signal
import subprocess
import sys
import time
import warnings
import zipfile
from itertools import product
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as the command has it

import pytest

import molecules
from qm7cli.cli import main
from qm7cli.core.locks import lock
from qm7cli.data import dataset
from qm7cli.runs.access import default_name, fold_directory, prepare_run, register_fold
from qm7cli.runs.experiment import resolve
from qm7cli.runs.results import FoldResult
from qm7cli.training.fold_training import read_about
from qm7cli.training.train_run import train_run
from server import serve

QUICK = (  # a run of a second
    "network.hidden=[20,10]",
    "training.iterations=300",
    "training.checkpoint_every=100",
    "evaluation.every=100",
    "evaluation.draws=3",
)
SWEEP = {
    "base": {"split": {"folds": [0, 3]}, "network": {"hidden": [20, 10]}, "evaluation": {"every": 250, "draws": 3}},
    "grid": {"variant": ["original", "corrected"], "seed": [0, 1]},
}
SHORT = ["--set", "training.iterations=500", "--set", "training.checkpoint_every=100"]
ENDLESS = ["--set", "training.iterations=100000000", "--set", "training.checkpoint_every=100"]

COMPLETE = FoldResult(
    fold=0,
    status="complete",
    mae=3.0,
    rmse=5.0,
    train_mae=1.0,
    train_rmse=2.0,
    iterations=9,
    seconds=1.0,
    train_molecules=48,
    test_molecules=12,
)


@pytest.fixture(scope="session", autouse=True)
def _signals_as_in_a_terminal():
    """Let commands be interrupted even where the tests themselves are not, as under nohup."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


@pytest.fixture(scope="session")
def mat(once):
    """A data set file of 60 small molecules, the same for all test workers: its header has the time."""
    return once("data", lambda path: molecules.write(path / "small.mat")) / "small.mat"


@pytest.fixture(scope="session")
def small(mat):
    """The data set of 60 small molecules."""
    return dataset.load(mat)


@pytest.fixture(scope="session")
def qm7():
    """QM7, where QM7_DATA names it."""
    if not os.environ.get("QM7_DATA"):
        pytest.skip("QM7_DATA names no data set")
    return dataset.load(dataset.locate(None))


@pytest.fixture
def server(mat):
    """Serves the small data set, well and badly."""
    with serve(mat.read_bytes()) as started:
        yield started


@pytest.fixture
def quick():
    """Makes a quick experiment, with settings."""

    def make(*assignments, **flags):
        return resolve(None, [*QUICK, *assignments], flags)

    return make


@pytest.fixture(scope="session")
def once(tmp_path_factory):
    """Makes a directory once for all test workers; to be read only."""
    root = tmp_path_factory.getbasetemp()
    root = root.parent if "PYTEST_XDIST_WORKER" in os.environ else root

    def once(name, make):
        path = root / name
        with lock(root / f"{name}.lock"):
            if not path.exists():
                unfinished = tmp_path_factory.mktemp(name)
                make(unfinished)
                unfinished.rename(path)
        return path

    return once


@pytest.fixture(scope="session")
def wheel(once):
    """A directory with the package's wheel, what that installs in `site`, and a `qm7` in `bin` that runs it."""

    def build(path):
        command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(path)]
        subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, check=True)
        with zipfile.ZipFile(next(path.glob("*.whl"))) as archive:
            archive.extractall(path / "site")
        program = path / "bin/qm7"
        program.parent.mkdir()
        program.write_text(f"#!{sys.executable}\nfrom qm7cli.__main__ import main\nmain()\n")
        program.chmod(0o755)

    return once("wheel", build)


@pytest.fixture(scope="session")
def three_variants(once, small):
    """Quick runs of the three variants on two folds, named after them; to be read only."""

    def make(path):
        for variant in ("original", "corrected", "no-prebias"):
            train_run(resolve(None, [*QUICK, "split.folds=[0,1]"], {"variant": variant}), small, path / variant)

    return once("three-variants", make)


@pytest.fixture(scope="session")
def one_by_one(once, small):
    """The bits of the runs of `SWEEP`, `SHORT`, trained without it."""

    def make(path):
        for variant, seed in product(*SWEEP["grid"].values()):
            experiment = resolve(SWEEP["base"], SHORT[1::2], {"variant": variant, "seed": seed})
            train_run(experiment, small, path / default_name(experiment, small.name))

    return bits(once("one-by-one", make))


@pytest.fixture
def run(tmp_path, quick, small):
    """A run directory, opened but not trained."""
    path = tmp_path / "run"
    experiment = quick("split.folds=[0, 2]")
    prepare_run(path, experiment, [0, 2], small, overwrite=False)
    for fold in (0, 2):
        fold_directory(path, fold).mkdir()
        register_fold(path, experiment, fold, small)
    return path


@pytest.fixture
def command(tmp_path, mat):
    """Runs qm7 in an empty directory, with the small data set as $QM7_DATA."""

    def run(*args, status=0, own=False, limit=None, stdout=None, **environment):
        """Run in this process or one of its `own`; files may become as large as `limit`, None leaves a variable out.

        `status` is what the command must exit with, None if it may be any.
        """
        own = own or any(name.startswith("PYTHON") and environment[name] for name in environment)
        environment = {"QM7_DATA": str(mat), **environment}
        if own:
            done = run_alone(args, tmp_path, stdout=stdout, **environment)
        else:
            done = run_here(args, tmp_path, limit=limit, stdout=stdout, **environment)
        assert status in {None, done.returncode}, done.stderr
        assert "Traceback" not in done.stderr, done.stderr
        return done

    return run


@pytest.fixture
def background(tmp_path, mat):
    """Starts the installed qm7 as `command` does, in a process group of its own that is killed at the end."""
    started = []

    def start(*args):
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "start_new_session": True}
        env = {**os.environ, "QM7_DATA": str(mat)}
        started.append(subprocess.Popen([qm7_path(), *map(str, args)], cwd=tmp_path, env=env, **pipes))
        return started[-1]

    yield start
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.fixture
def quick_flags():
    """The flags of a quick training."""
    return [part for assignment in QUICK for part in ("--set", assignment)]


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self):
        return True


def run_here(args, directory, *, limit=None, stdout=None, **environment):
    """Run a command in this process, in a directory, as `run_alone` does in one of its own."""
    stdout, stderr = stdout or io.StringIO(), Terminal() if isinstance(stdout, Terminal) else io.StringIO()
    argv = list(map(str, args))
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.chdir(directory),
        contextlib.redirect_stdout(stdout),
        contextlib.redirect_stderr(stderr),
        warnings.catch_warnings(action="ignore"),
        limited(limit) if limit else contextlib.nullcontext(),
    ):
        for name, value in environment.items():
            if value is None:
                patch.delenv(name, raising=False)
            else:
                patch.setenv(name, value)
        status = main.run(argv)
    printed = [stream.getvalue() if isinstance(stream, io.StringIO) else None for stream in (stdout, stderr)]
    return subprocess.CompletedProcess(argv, status, *printed)


@contextlib.contextmanager
def limited(size):
    """Limit how large the files of this process may become for a while."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def run_alone(args, directory, *, stdout=None, **environment):
    """Run the installed command in a process of its own."""
    changed = {**os.environ, **environment}
    return subprocess.run(
        [qm7_path(), *map(str, args)],
        cwd=directory,
        env={name: value for name, value in changed.items() if value is not None},
        stdout=stdout or subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        timeout=120,
        check=False,
    )


def iterations_in(checkpoint):
    """Return after how many iterations a checkpoint was written."""
    return read_about(checkpoint).iteration


@contextlib.contextmanager
def within(seconds):
    """Fails, rather than hangs, if what it holds takes longer."""

    def late(*_):
        pytest.fail(f"this takes longer than {seconds} s")  # which no "except Exception" takes for its own

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def wait_for(condition, process=None):
    """Wait until a condition holds; it must within a minute, and while the process runs."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        assert process is None or process.poll() is None, process.communicate()
        time.sleep(0.01)


def children(process):
    """Return the ids and the command lines of the processes that a process has started."""
    listing = ["ps", "-ww", "-o", "pid=,args=", "--ppid", str(process.pid)]
    listed = subprocess.run(listing, capture_output=True, text=True, check=False)
    return {int(pid): args for pid, args in (line.split(None, 1) for line in listed.stdout.splitlines())}


def bits(directory):
    """Return the bytes below a directory that do not tell the time."""
    names = ("model.npz", "predictions.csv", "config.yaml")
    return {path.relative_to(directory): path.read_bytes() for name in names for path in directory.rglob(name)}


def qm7_path():
    """Return the command that is installed beside this Python."""
    return str(Path(sys.executable).with_name("qm7"))
