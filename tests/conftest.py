"""Data sets and the installed command."""

import contextlib
import io
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
import venv
import warnings
from itertools import product
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as the command has it

import numpy as np
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

ERRORS = {"mae": 3.0, "rmse": 5.0, "train_mae": 1.0, "train_rmse": 2.0}
COMPLETE = FoldResult(
    fold=0, status="complete", iterations=9, seconds=1.0, train_molecules=48, test_molecules=12, **ERRORS
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
            if not (root / f"{name}.made").exists():
                path.mkdir(exist_ok=True)
                make(path)
                (root / f"{name}.made").touch()
        return path

    return once


@pytest.fixture(scope="session")
def installed(once):
    """The programs of a fresh environment into which the package's wheel, which lies above it, is installed."""

    def make(path):
        build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", path]
        subprocess.run(build, cwd=Path(__file__).parents[1], capture_output=True, check=True)
        venv.create(path / "venv")
        install = [sys.executable, "-m", "pip", "--python", path / "venv/bin/python", "install", "--quiet", "--no-deps"]
        subprocess.run([*install, "--no-index", next(path.glob("*.whl"))], check=True)
        (site,) = path.glob("venv/lib/python*/site-packages")
        (site / "dependencies.pth").write_text(sysconfig.get_path("purelib"))

    return once("installed", make) / "venv/bin"


@pytest.fixture(scope="session")
def three_variants(once, small):
    """Quick runs of the three variants on two folds, named after them; to be read only."""

    def make(path):
        for variant in ("original", "corrected", "no-prebias"):
            train_run(resolve(None, [*QUICK, "split.folds=[0,1]"], {"variant": variant}), small, path / variant)

    return once("three-variants", make)


@pytest.fixture
def copied(three_variants, tmp_path):
    """A copy of the three runs under `runs` of the command's directory."""
    return shutil.copytree(three_variants, tmp_path / "runs")


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

    def run(*args, status=0, own=False, stdout=None, **environment):
        """Run in this process or one of its `own`, which must exit with a status; None leaves a variable out."""
        environment = {"QM7_DATA": str(mat), **environment}
        if own or stdout or any(name.startswith("PYTHON") for name in environment):
            done = run_alone(args, tmp_path, stdout=stdout, **environment)
        else:
            done = run_here(args, tmp_path, **environment)
        assert done.returncode == status, done.stderr
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


def run_here(args, directory, **environment):
    """Run a command in this process, in a directory, as `run_alone` does in one of its own."""
    stdout, stderr = io.StringIO(), io.StringIO()
    argv = list(map(str, args))
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.chdir(directory),
        contextlib.redirect_stdout(stdout),
        contextlib.redirect_stderr(stderr),
        warnings.catch_warnings(action="ignore"),
    ):
        for name, value in environment.items():
            if value is None:
                patch.delenv(name, raising=False)
            else:
                patch.setenv(name, value)
        status = main.run(argv)
    return subprocess.CompletedProcess(argv, status, stdout.getvalue(), stderr.getvalue())


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


def fold_errors(run, fold):
    """Return errors and spreads of the predictions of a fold."""
    table = np.genfromtxt(run / f"fold-{fold}/predictions.csv", delimiter=",", names=True)
    return table["prediction"] - table["target"].astype(np.float32), table["spread"]


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


def bits(directory):
    """Return the bytes below a directory that do not tell the time."""
    names = ("model.npz", "predictions.csv", "config.yaml")
    return {path.relative_to(directory): path.read_bytes() for name in names for path in directory.rglob(name)}


def qm7_path():
    """Return the command that is installed beside this Python."""
    return str(Path(sys.executable).with_name("qm7"))
