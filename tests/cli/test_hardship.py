"""A command that reads runs, one that writes a file and one that trains, where the machine is against them."""

import os
import shutil
from contextlib import suppress
from pathlib import Path

import pytest

from conftest import bits

WRITTEN = {"collect": "folds.csv", "augment": "set.npz", "train": "run/fold-0/model.npz"}
ODD = "\n[分子] \udcff\x1b]0;title\x07\x9b\r\u202e"  # line breaks, no UTF-8, what steers a terminal


@pytest.fixture
def arguments(quick_flags, three_variants, tmp_path):
    """Gives the arguments of a command that writes what `WRITTEN` says into a place."""

    def make(name, place="."):
        if name == "collect":
            shutil.copytree(three_variants / "original", tmp_path / place / "trained")
        return {
            "collect": ["collect", f"{place}/trained", "--format", "csv", "--output", f"{place}/folds.csv"],
            "augment": ["augment", "--draws", "2", "--output", f"{place}/set.npz", "--quiet"],
            "train": ["train", *quick_flags, "--fold", "0", "--out", f"{place}/run", "--quiet"],
        }[name]

    return make


def models(run):
    return {name: content for name, content in bits(run).items() if name.name != "config.yaml"}


def assert_one_sentence(done, start):
    assert done.stderr.startswith(f"qm7: {start}"), done.stderr
    assert done.stderr.count("\n") == 1, done.stderr


@pytest.mark.parametrize("name", ["collect", "augment"])
def test_a_full_disk_is_one_sentence_and_what_was_there_stays(command, arguments, tmp_path, name):
    args, file = arguments(name), tmp_path / WRITTEN[name]
    file.write_text("before")
    before = sorted(tmp_path.iterdir())
    done = command(*args, limit=50, status=1)
    assert_one_sentence(done, f"cannot write {WRITTEN[name]}: File too large")
    assert (file.read_text(), sorted(tmp_path.iterdir())) == ("before", before)


def test_a_run_on_a_full_disk_goes_on_to_the_same_bits_when_there_is_room(command, arguments, tmp_path):
    args = arguments("train")
    command(*args)
    more = [*args, "--iterations", "400"]
    before = models(tmp_path / "run")
    assert_one_sentence(command(*more, limit=1500, status=1), "cannot write run/")
    assert models(tmp_path / "run") == before
    assert "iterations: 300" in (tmp_path / "run/results.yaml").read_text()
    command(*more)
    command(*more, "--out", "whole")
    assert models(tmp_path / "run") == models(tmp_path / "whole") != before


@pytest.mark.parametrize("name", WRITTEN)
def test_a_full_standard_output_is_one_sentence_and_the_work_is_done(command, arguments, tmp_path, name):
    args = arguments(name)
    args = args[: args.index("--output")] if name == "collect" else args
    with suppress(OSError), Path("/dev/full").open("w") as full:  # what is left in its buffer fails again
        done = command(*args, stdout=full, status=1, own=name == "train", PYTHONUNBUFFERED=None)
    assert_one_sentence(done, "standard output: No space left on device")
    assert name == "collect" or (tmp_path / WRITTEN[name]).exists()


@pytest.mark.parametrize("name", WRITTEN)
def test_a_place_that_nobody_may_write_is_one_sentence(command, arguments, name):
    done = command(*(f"{arg}".replace("./", "/proc/") for arg in arguments(name)), status=1)
    assert_one_sentence(done, f"cannot {'make the directory' if name == 'train' else 'write'} /proc/")


@pytest.mark.parametrize("name", ["collect", "train"])
def test_odd_paths_without_home_or_temporary_directory_in_an_old_locale(command, arguments, tmp_path, mat, name):
    place = f"ein Lauf ü{ODD}".replace("\udcff", "")  # which YAML cannot hold
    (tmp_path / place).mkdir()
    shutil.copy(mat, tmp_path / place / "kleine ä.mat")
    data = [] if name == "collect" else ["--data", f"{place}/kleine ä.mat"]
    own = {"HOME": None, "TMPDIR": "/nowhere", "LC_ALL": "C", "QM7_DATA": None}
    done = command(*arguments(name, place), *data, own=True, **own)
    assert (tmp_path / place / WRITTEN[name]).exists()
    assert all(map(str.isprintable, (done.stdout + done.stderr).split("\n")))
    if name == "train":
        command("train", "--config", f"{place}/run/config.yaml", "--out", "again", HOME="/nowhere")
        assert models(tmp_path / "again") == models(tmp_path / place / "run")
        assert done.stdout.splitlines()[-1].endswith("/run/results.yaml")


def test_a_reader_that_has_had_enough_is_no_error_to_tell(command, arguments):
    read, write = os.pipe()
    os.close(read)
    with suppress(OSError), os.fdopen(write, "w") as closed:
        done = command(*arguments("collect")[:-2], stdout=closed, status=1)
    assert done.stderr == ""
