"""`qm7 plot`."""

import re

import pytest

from qm7cli.analysis.plots import KINDS

MAGIC = {"png": b"\x89PNG\r\n", "svg": b"<?xml", "pdf": b"%PDF-"}


@pytest.mark.parametrize(("kind", "format_"), [("differences", "svg"), ("folds", "pdf"), ("parity", "png")])
def test_the_picture_is_written_and_its_path_printed(command, three_variants, tmp_path, kind, format_):
    inline = {"own": kind == "parity", "MPLBACKEND": "module://matplotlib_inline.backend_inline"}  # as in a notebook
    done = command("plot", three_variants, "--kind", kind, "--output", f"x.{format_}", **inline)
    assert (done.stdout, done.stderr) == (f"x.{format_}\n", "")
    assert (tmp_path / f"x.{format_}").read_bytes().startswith(MAGIC[format_])


def test_the_kinds_are_those_that_can_be_drawn(command):
    listed = command("plot", "--help").stdout.partition("Kinds:\n")[2].partition("\n\n")[0]
    assert re.findall(r"^ {4}(\w+)", listed, re.MULTILINE) == list(KINDS)
    assert "'--kind'" in command("plot", "x", "--kind", "pie", "--output", "x.png", status=2).stderr
    assert "'--output'" in command("plot", "x", "--kind", "curves", status=2).stderr


def test_without_matplotlib_or_predictions_it_is_one_sentence(command, copied):
    (copied / "original/fold-1/predictions.csv").unlink()
    done = command("plot", "runs", "--kind", "parity", "--output", "x.png", status=1)
    assert done.stderr == "qm7: runs/original/fold-1/predictions.csv is missing\n"
    (copied.parent / "matplotlib.py").write_text("raise ImportError('none here')")
    done = command("plot", "runs", "--kind", "curves", "--output", "x.png", PYTHONPATH=str(copied.parent), status=1)
    assert done.stderr == "qm7: figures need matplotlib, which is installed and cannot be imported: none here\n"


def test_width_caption_and_groups_are_those_that_are_asked_for(command, three_variants, tmp_path):
    arguments = ("plot", three_variants, "--kind", "differences", "--reference", "variant=no-prebias")
    command(*arguments, "--output", "x.png", "--width", "127")
    assert int.from_bytes((tmp_path / "x.png").read_bytes()[16:20]) == 1500  # 5 inches of 300 dots
    options = ("--caption", "none", "--by", "variant", "--by", "seed")
    command(*arguments[:-2], "--reference", "no-prebias, seed=0", "--output", "x.svg", *options)
    shown = {*re.findall(r"<text[^>]*>([^<]*)<", (tmp_path / "x.svg").read_text())}
    assert {"original, seed=0", "corrected, seed=0"} < shown
    assert not any("Zero" in text for text in shown)
