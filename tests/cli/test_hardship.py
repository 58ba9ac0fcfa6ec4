"""Every command on a machine that is full, locked, short of everything or oddly set up."""

import ctypes
import os
import re
import resource
import shutil
import signal
import subprocess
import time
from contextlib import contextmanager, suppress
from itertools import combinations_with_replacement
from pathlib import Path

import pytest
import yaml

import molecules
from conftest import QUICK, Terminal, qm7_path, run_here

WRITTEN = {
    "download": "qm7.mat",
    "split": "folds.yaml",
    "augment": "set.npz",
    "train": "run/fold-0/model.npz",
    "train-2": "run/fold-1/model.npz",
    "baseline": "linear/fold-0/predictions.csv",
    "sweep": "sweep/small-original-seed0-network.hidden=20,10-evaluation.draws=3/fold-0/model.npz",
    "eval": "errors.csv",
    "collect": "folds.csv",
    "compare": "compared.csv",
    "plot": "curves.svg",
    "report": "report.html",
    "gradcheck": "gradients.yaml",
    "centering": "centering.csv",
    "predict": "energies.csv",
    "convert": "mine.npz",
}
SHOWERS = {"info", "experiments", "status", "clean"}  # have no --output
READERS = {"eval", "predict", "collect", "compare", "centering", "plot", "report", "status", "clean"}  # of trained runs
PRINTERS = {"gradcheck", *READERS} - {"plot", "report", *SHOWERS}  # print what they are not told to write
TRAINERS = {"train", "train-2", "baseline", "sweep"}
KEEPERS = {"download", "convert"}  # replace a file only with --force
TALKERS = {"download", "augment", "eval", "predict", "convert", *TRAINERS}  # have something to be quiet about
OWN = {"train", "sweep", "predict"}  # run in a process of their own, the others in that of the tests
SWEEP = "base: {split: {folds: [0, 1]}}\ngrid: {variant: [original, corrected]}"
MOLECULES = "3\nenergy=-200\nO 0 0 0\nH 0 0 0.96\nH 0.93 0 -0.24\n" * 2


@pytest.fixture
def arguments(server, quick_flags, three_variants, tmp_path):
    """Gives the arguments of a command that writes what `WRITTEN` says into a place."""

    def make(name, place="."):
        trained = ["train", *quick_flags, "--out"]
        if name in READERS:
            shutil.copytree(three_variants / "original", tmp_path / place / "trained")
        (tmp_path / place / "sweep.yaml").write_text(SWEEP)
        if name in {"predict", "convert"}:
            (tmp_path / place / "water.xyz").write_text(MOLECULES)
        water = f"{place}/water.xyz"
        return {
            "download": ["download", "--url", server.url("good"), "--sha256", "any", "--dest", f"{place}/qm7.mat"],
            "info": ["info"],
            "experiments": ["experiments"],
            "status": ["status", f"{place}/trained"],
            "clean": ["clean", f"{place}/trained", "--yes"],
            "split": ["split", "--output", f"{place}/folds.yaml"],
            "augment": ["augment", "--output", f"{place}/set.npz"],
            "train": [*trained, f"{place}/run", "--fold", "0"],
            "train-2": [*trained, f"{place}/run", "--fold", "0", "--fold", "1", "--jobs", "2"],
            "baseline": ["baseline", "--model", "linear", "--fold", "0", "--out", f"{place}/linear"],
            "sweep": ["sweep", f"{place}/sweep.yaml", *quick_flags, "--out", f"{place}/sweep"],
            "collect": ["collect", f"{place}/trained", "--format", "csv", "--output", f"{place}/folds.csv"],
            "compare": ["compare", f"{place}/trained", "--format", "csv", "--output", f"{place}/compared.csv"],
            "plot": ["plot", f"{place}/trained", "--kind", "curves", "--output", f"{place}/curves.svg"],
            "report": ["report", f"{place}/trained", "--output", f"{place}/report.html"],
            "gradcheck": ["gradcheck", "--format", "yaml", "--output", f"{place}/gradients.yaml"],
            "centering": ["centering", f"{place}/trained", "--format", "csv", "--output", f"{place}/centering.csv"],
            "eval": ["eval", f"{place}/trained", "--format", "csv", "--output", f"{place}/errors.csv"],
            "predict": [
                "predict",
                "--run",
                f"{place}/trained",
                water,
                "--format",
                "csv",
                "--output",
                f"{place}/energies.csv",
            ],
            "convert": ["convert", water, "--energy-key", "energy", "--count", "2", "--output", f"{place}/mine.npz"],
        }[name]

    return make


def tree(directory):
    """Return all files but locks, with their content."""
    return {path: path.read_bytes() for path in directory.rglob("*") if path.is_file() and path.name != ".lock"}


def results(run):
    return yaml.safe_load((run / "results.yaml").read_text())


def bits(run):
    """Return the bytes of a run that do not tell the time."""
    return {path.relative_to(run): path.read_bytes() for name in ("model.npz", "predictions.csv")
            for path in run.glob(f"fold-*/{name}")}  # fmt: skip


def assert_one_sentence(done, start):
    assert done.stderr.startswith(f"qm7: {start}"), done.stderr
    assert done.stderr.count("\n") == 1, done.stderr


@pytest.mark.parametrize("name", [name for name in WRITTEN if name not in TRAINERS])
def test_a_full_disk_is_one_sentence_and_what_was_there_stays(command, arguments, tmp_path, name):
    args = arguments(name)
    force = ["--force"] if name in KEEPERS else ["--quiet"] * (name in TALKERS)
    (tmp_path / WRITTEN[name]).write_text("before")
    before = tree(tmp_path)
    done = command(*args, *force, limit=(resource.RLIMIT_FSIZE, 50), status=1, own=name in OWN)
    assert_one_sentence(done, f"cannot write {WRITTEN[name]}: File too large")
    assert tree(tmp_path) == before
    command(*args, *force)
    assert tree(tmp_path) != before


@pytest.mark.parametrize("size", [50, 1500, 20_000])
def test_a_run_on_a_full_disk_goes_on_to_the_same_bits_when_there_is_room(command, arguments, tmp_path, size):
    args = [*arguments("train"), "--quiet"]
    command(*args)
    more = [*args, "--iterations", "400"]
    before = bits(tmp_path / "run")
    done = command(*more, limit=(resource.RLIMIT_FSIZE, size), status=1)
    assert_one_sentence(done, "cannot write run/")
    assert bits(tmp_path / "run") == before
    assert results(tmp_path / "run")["folds"][0]["iterations"] == 300
    assert not list(tmp_path.rglob("*.tmp"))
    command(*more)
    command(*more, "--out", "whole")
    assert bits(tmp_path / "run") == bits(tmp_path / "whole") != before


@pytest.mark.parametrize("name", [*sorted(SHOWERS), *WRITTEN])
def test_a_full_standard_output_is_one_sentence_and_the_work_is_done(command, arguments, tmp_path, name):
    args = arguments(name)
    if name in PRINTERS:
        args = args[: args.index("--output")]
    quiet = ["--quiet"] * (name in TALKERS)
    with suppress(OSError), Path("/dev/full").open("w") as full:  # what is left in its buffer fails again
        done = command(*args, *quiet, stdout=full, status=1, own=name in OWN, PYTHONUNBUFFERED=None)
    assert_one_sentence(done, "standard output: No space left on device")
    assert name in {*SHOWERS, *PRINTERS} or (tmp_path / WRITTEN[name]).exists()


@pytest.mark.parametrize("name", [*sorted(SHOWERS), *WRITTEN])
def test_a_reader_that_has_had_enough_is_no_error_to_tell_and_the_work_is_done(command, arguments, tmp_path, name):
    args = arguments(name)
    if name in PRINTERS:
        args = args[: args.index("--output")]
    read, write = os.pipe()
    os.close(read)
    quiet = ["--quiet"] * (name in TALKERS)
    with suppress(OSError), os.fdopen(write, "w") as closed:
        done = command(*args, *quiet, stdout=closed, status=1, own=name in OWN, PYTHONUNBUFFERED=None)
    assert done.stderr == ""
    assert name in {*SHOWERS, *PRINTERS} or (tmp_path / WRITTEN[name]).exists()


@pytest.mark.parametrize("name", ["info", *sorted(OWN)])
def test_without_standard_output_and_error_the_work_is_done(arguments, tmp_path, mat, name):
    args = arguments(name)
    done = subprocess.run(
        [qm7_path(), *args, *["--force"] * (name in KEEPERS)],
        cwd=tmp_path,
        env={**os.environ, "QM7_DATA": str(mat)},
        preexec_fn=lambda: (os.close(1), os.close(2)),
        check=False,
    )
    assert done.returncode == 0
    assert name == "info" or (tmp_path / WRITTEN[name]).exists()


def test_without_a_standard_error_no_error_goes_to_standard_output(tmp_path, mat):
    for line, status in (("augment --fold 9 --output x.npz", 1), ("train --fold 0 --iterations 1000 --out run", 0)):
        done = subprocess.run(
            [qm7_path(), *line.split(), "--data", mat],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            preexec_fn=lambda: os.close(2),
            text=True,
            check=False,
        )
        assert done.returncode == status
        assert "qm7:" not in done.stdout
        assert "iteration " not in done.stdout


def without_a_root_s_rights():
    """Return what to put before a command so that permissions count for it."""
    if os.geteuid():
        return []
    if not shutil.which("setpriv"):
        pytest.skip("root may write everywhere, and there is no setpriv to take that from it")
    return ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]


@contextmanager
def permissions_count():
    """Make permissions count for this process for a while, even if it is root's."""
    if os.geteuid():
        yield
        return
    libc = ctypes.CDLL(None)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # version 3 of the system call, this thread
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable; the last three for the upper 32
    assert libc.capget(header, sets) == 0
    before = sets[0]
    sets[0] &= ~0b110  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
    assert libc.capset(header, sets) == 0
    try:
        yield
    finally:
        sets[0] = before
        assert libc.capset(header, sets) == 0


@pytest.mark.parametrize("name", WRITTEN)
def test_a_read_only_directory_is_one_sentence(command, arguments, tmp_path, name):
    place = tmp_path / "place"
    place.mkdir()
    args = [*arguments(name, "place"), *["--quiet"] * (name in TALKERS)]
    place.chmod(0o555)
    if name in OWN:
        done = command(*args, before=without_a_root_s_rights(), status=1)
    else:
        with permissions_count():
            done = command(*args, status=1)
    place.chmod(0o755)
    what = "make the directory" if name in TRAINERS else "write"
    assert_one_sentence(done, f"cannot {what} place/")
    assert {path.name for path in place.iterdir()} <= {"trained", "water.xyz", "sweep.yaml"}


def test_a_read_only_run_can_be_evaluated_and_is_not_trained(command, arguments, tmp_path):
    command(*arguments("train"))
    content = tree(tmp_path)
    for path in (tmp_path / "run").rglob("*"):
        path.chmod(0o555 if path.is_dir() else 0o444)
    (tmp_path / "run").chmod(0o555)
    for more in (["--fold", "1"], ["--iterations", "400"], ["--overwrite"]):
        with permissions_count():
            done = command(*arguments("train"), *more, "--quiet", status=1)
        assert_one_sentence(done, "cannot lock run/.lock: Permission denied")
    command("eval", "run", before=without_a_root_s_rights())
    assert tree(tmp_path) == content
    (tmp_path / "run").chmod(0o755)
    (tmp_path / "run/fold-0").chmod(0o755)


@pytest.mark.parametrize("name", ["eval", "collect"])
def test_a_directory_that_cannot_be_read_is_left_out(command, arguments, tmp_path, name):
    arguments(name)
    (tmp_path / "secret").mkdir(mode=0)
    with permissions_count():
        done = command(name, ".", "--format", "json")
    assert done.stderr == "qm7: left out: cannot read secret: Permission denied\n"
    assert done.stdout == command(name, "trained", "--format", "json").stdout


@pytest.mark.parametrize("name", ["info", "download", "eval", *sorted(TRAINERS)])
def test_few_file_descriptors_are_enough_or_one_sentence_a_fold(command, arguments, tmp_path, name):
    args = arguments(name)
    endings = set()
    for number in (5, 12, 16) if name in {"train-2", "sweep"} else (5, 7):
        shutil.rmtree(tmp_path / "run", ignore_errors=True)
        shutil.rmtree(tmp_path / "sweep", ignore_errors=True)
        done = command(*args, limit=(resource.RLIMIT_NOFILE, number), status=None)
        endings.add(done.returncode)
        if done.returncode:
            sentences = [line for line in done.stderr.splitlines() if line.startswith("qm7: ")]
            assert sentences
            assert all("Too many open files" in sentence for sentence in sentences)
            assert not [
                line
                for line in done.stderr.splitlines()
                if not re.match("qm7: |a fold |fold |[1-4] of 4|the runs are in", line)
            ]
    assert endings == ({0, 1} if name in {"train-2", "sweep"} else endings & {0, 1})
    assert 0 in endings
    command(*args)


ODD = "\n[分子] \udcff\x1b]0;title\x07\x9b\r\u202e"  # line breaks, no UTF-8, what steers a terminal


@pytest.mark.parametrize("name", [*sorted(SHOWERS), *WRITTEN])
def test_odd_paths_without_home_or_temporary_directory_in_an_old_locale(command, arguments, tmp_path, mat, name):
    place = f"ein Lauf ü{ODD}"
    (tmp_path / place).mkdir()
    shutil.copy(mat, tmp_path / place / "kleine ä.mat")
    args = arguments(name, place)
    data = (
        []
        if name in {"download", "convert", "experiments", *READERS} - {"eval", "centering"}
        else ["--data", f"{place}/kleine ä.mat"]
    )
    done = command(*args, *data, own=name in OWN, HOME=None, TMPDIR="/nowhere", LC_ALL="C", QM7_DATA=None)
    assert name in SHOWERS or (tmp_path / place / WRITTEN[name].replace("small", "kleine ä")).exists()
    assert all(map(str.isprintable, (done.stdout + done.stderr).split("\n")))
    words = " ".join(done.stdout.split())  # a line may end in a name
    assert words.count("分子") == words.count("Lauf ü\\n[分子] \\udcff\\x1b]0;title\\x07\\x9b\\r\\u202e")
    if name == "train":
        command("train", "--config", f"{place}/run/config.yaml", "--out", "again", HOME="/nowhere")
        assert bits(tmp_path / "again") == bits(tmp_path / place / "run")
        assert done.stdout.splitlines()[-1].endswith("/run/results.yaml")


CLOCK = """
import datetime, time
class Back(datetime.datetime):
    now_ = datetime.datetime.now()
    @classmethod
    def now(cls, tz=None):
        cls.now_ -= datetime.timedelta(hours=1)
        return cls.now_.astimezone(tz)
started = time.time()
times = iter(range(10**9))
time.time = lambda: started - 3600 * next(times)
datetime.datetime = Back
"""


@pytest.mark.parametrize("name", ["download", *sorted(TRAINERS - {"train"})])  # those that ask for the time
def test_a_clock_that_goes_back_changes_nothing(command, arguments, tmp_path, name):
    (tmp_path / "site").mkdir()
    (tmp_path / "site/sitecustomize.py").write_text(CLOCK)
    done = command(*arguments(name), PYTHONPATH=str(tmp_path / "site"))
    if name.startswith("train"):
        environment = results(tmp_path / "run")["environment"]
        assert environment["finished"] < environment["started"]
        command(*arguments(name), "--out", "whole")
        assert bits(tmp_path / "run") == bits(tmp_path / "whole")
        assert "-" not in "".join(line for line in done.stderr.splitlines() if line.startswith("fold"))


@pytest.mark.parametrize("name", [*sorted(SHOWERS), *WRITTEN])
def test_on_a_terminal_of_40_columns_nothing_is_cut_and_no_name_steers_it(command, arguments, tmp_path, mat, name):
    (tmp_path / ODD).mkdir()
    args = arguments(name, ODD)
    if name in PRINTERS:
        args = args[: args.index("--format")]
    if name in OWN:
        printed = in_a_terminal_of_40_columns(args, tmp_path, mat)
    else:
        done = command(*args, stdout=Terminal(), COLUMNS="40", TERM="xterm", NO_COLOR=None)
        printed = done.stdout + done.stderr
    assert not [text for text in ("\x1b]0;", "\x07", "\x9b", "\u202e") if text in printed]
    assert "…" not in printed
    assert "..." not in printed
    shown = {
        "info": "SHA-256",
        "eval": "MAE",
        "predict": "energy",
        "collect": "MAE",
        "compare": "MAE",
        "sweep": "MAE",
        "gradcheck": "exponent",
        "centering": "spread",
        "status": "2 complete",
        "clean": "2 checkpoints",
        "experiments": "jobs",
        **dict.fromkeys(("train", "train-2", "baseline"), "results.yaml"),
    }
    assert shown.get(name, WRITTEN.get(name)) in printed


def in_a_terminal_of_40_columns(args, directory, data):
    """Return what a command prints, in a process of its own."""
    line = "stty cols 40; exec " + " ".join(f"'{part}'" for part in [qm7_path(), *args])
    environment = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "NO_COLOR"}}
    done = subprocess.run(
        ["script", "-qec", line, "/dev/null"],
        cwd=directory,
        env={**environment, "QM7_DATA": str(data), "TERM": "xterm"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout


def test_a_data_file_replaced_during_training_changes_nothing_and_is_refused_after(command, arguments, tmp_path, mat):
    data = tmp_path / "x.mat"
    shutil.copy(mat, data)
    args = [*arguments("train"), "--data", "x.mat", "--set", "training.iterations=100000", "--quiet"]
    process = subprocess.Popen([qm7_path(), *args], cwd=tmp_path, stdout=subprocess.DEVNULL)
    while not (tmp_path / "run/fold-0/checkpoint.npz").exists():
        assert process.poll() is None
        time.sleep(0.01)
    molecules.write(data, seed=1)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    reached = results(tmp_path / "run")["folds"][0]["iterations"]
    before = tree(tmp_path)
    more = [*args, "--iterations", str(reached + 50)]
    assert_one_sentence(command(*more, status=1), "run was trained with other settings (data (SHA-256 ")
    assert tree(tmp_path) == before
    assert_one_sentence(command(*more, "--fold", "1", status=1), "run was trained with other settings (data (")
    shutil.copy(mat, data)
    command(*more)
    command(*more, "--out", "whole")
    assert bits(tmp_path / "run") == bits(tmp_path / "whole")


@pytest.fixture(scope="module")
def trained(once, mat):
    """A directory with `run`, whose fold 2 is finished, and `whole`, three folds of more iterations."""
    settings = [part for assignment in QUICK for part in ("--set", assignment)]

    def make(directory):
        for more in (["--out", "run", "--fold", "2"], ["--out", "whole", *THREE, "--iterations", "400"]):
            done = run_here(["train", *settings, *more, "--data", mat], directory)
            assert done.returncode == 0, done.stderr

    return once("hardship", make)


THREE = ["--fold", "0", "--fold", "1", "--fold", "2"]
TOGETHER = ("--fold 0 --fold 1 --jobs 2", "--fold 1 --overwrite", "--fold 0 --iterations 400", "eval")


@pytest.mark.parametrize(("one", "other"), list(combinations_with_replacement(TOGETHER, 2))[:-1])
def test_two_processes_in_one_run_lose_nothing(command, trained, quick_flags, tmp_path, mat, one, other):
    shutil.copytree(trained / "run", tmp_path / "run")
    finished = bits(tmp_path / "run")
    train = ["train", *quick_flags, "--out", "run", "--quiet"]
    both = [
        subprocess.Popen(
            [qm7_path(), *(["eval", "run"] if more == "eval" else [*train, *more.split()])],
            cwd=tmp_path,
            env={**os.environ, "QM7_DATA": str(mat)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for more in (one, other)
    ]
    for process in both:
        _, stderr = process.communicate(timeout=60)
        lines = stderr.splitlines()
        busy = bool(lines) and all(line.endswith("another process") for line in lines)
        assert process.returncode == (75 if busy else 1 if lines else 0)
        for line in lines:
            assert re.fullmatch(
                "qm7: fold [01] of run (is being trained by another process|"
                "has been trained for 400 iterations, more than the 300 asked for; .*)",
                line,
            )
    assert bits(tmp_path / "run").items() >= finished.items()
    assert results(tmp_path / "run")["status"] == "complete"
    command(*train, *THREE, "--iterations", "400")
    assert bits(tmp_path / "run") == bits(trained / "whole")
    assert [fold["iterations"] for fold in results(tmp_path / "run")["folds"]] == [400, 400, 400]
