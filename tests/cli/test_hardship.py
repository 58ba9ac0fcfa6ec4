"""A command that reads runs and one that trains, where the machine is against them."""

import os
import resource
import shutil
from contextlib import contextmanager
from pathlib import Path

import pytest

from conftest import QUICK, bits

ODD = "\n[分子] \x1b]0;title\x07\x9b\r\u202e"  # line breaks, what steers a terminal
TRAIN = ("train", *(f"--set={each}" for each in QUICK), "--fold", "0", "--quiet", "--out")
COLLECT = ("collect", "trained", "--format", "csv")


@pytest.fixture(autouse=True)
def _trained(three_variants, tmp_path):
    shutil.copytree(three_variants / "original", tmp_path / "trained")


@contextmanager
def limited(size):
    """Limit how large the files of this process may become for a while."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def models(run):
    return {name: content for name, content in bits(run).items() if name.name != "config.yaml"}


def assert_one_sentence(done, start):
    assert done.stderr.startswith(f"qm7: {start}"), done.stderr
    assert done.stderr.count("\n") == 1, done.stderr


def test_on_a_full_disk_a_file_that_was_there_stays(command, tmp_path):
    (tmp_path / "x.csv").write_text("before")
    before = sorted(tmp_path.iterdir())
    with limited(50):
        done = command(*COLLECT, "--output", "x.csv", status=1)
    assert_one_sentence(done, "cannot write x.csv: File too large")
    assert ((tmp_path / "x.csv").read_text(), sorted(tmp_path.iterdir())) == ("before", before)


def test_a_run_on_a_full_disk_goes_on_to_the_same_bits_when_there_is_room(command, tmp_path):
    before = models(tmp_path / "trained")
    more = (*TRAIN, "trained", "--iterations", "400")
    with limited(1500):
        done = command(*more, status=1)
    assert_one_sentence(done, "cannot write trained/")
    assert models(tmp_path / "trained") == before
    assert "iterations: 300" in (tmp_path / "trained/results.yaml").read_text()
    command(*more)
    command(*more[:-3], "whole", *more[-2:])
    whole = models(tmp_path / "whole")
    assert whole.items() <= models(tmp_path / "trained").items()
    assert not whole.items() <= before.items()


def test_a_full_standard_output_is_one_sentence_and_the_work_is_done(command, tmp_path):
    for args in (COLLECT, (*TRAIN, "run")):
        with Path("/dev/full").open("w") as full:
            done = command(*args, stdout=full, status=1, PYTHONUNBUFFERED=None)
        assert_one_sentence(done, "standard output: No space left on device")
    assert (tmp_path / "run/results.yaml").exists()


def test_a_place_that_nobody_may_write_is_one_sentence(command):
    assert_one_sentence(command(*COLLECT, "--output", "/proc/x.csv", status=1), "cannot write /proc/x.csv")
    assert_one_sentence(command(*TRAIN, "/proc/run", status=1), "cannot make the directory /proc/run")


def test_odd_paths_without_home_or_temporary_directory_in_an_old_locale(command, tmp_path, mat):
    place = f"ein Lauf ü{ODD}"
    (tmp_path / place).mkdir()
    shutil.copy(mat, tmp_path / place / "kleine ä.mat")
    own = {"HOME": None, "TMPDIR": "/nowhere", "LC_ALL": "C", "QM7_DATA": None}
    done = command(*TRAIN, f"{place}/run", "--data", f"{place}/kleine ä.mat", own=True, **own)
    assert all(map(str.isprintable, (done.stdout + done.stderr).split("\n")))
    assert done.stdout.splitlines()[-1].endswith("/run/results.yaml")
    command("train", "--config", f"{place}/run/config.yaml", "--out", "again", HOME="/nowhere")
    assert models(tmp_path / "again") == models(tmp_path / place / "run")


def test_a_reader_that_has_had_enough_is_no_error_to_tell(command):
    read, write = os.pipe()
    os.close(read)
    assert command(*COLLECT, stdout=write, status=1).stderr == ""
    os.close(write)
