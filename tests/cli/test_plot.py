import re
import shutil

import pytest

from qm7cli.analysis.plots import KINDS

MAGIC = {"png": b"\x89PNG\r\n", "svg": b"<?xml", "pdf": b"%PDF-"}


@pytest.mark.parametrize(
    ("kind", "format_"),
    [("curves", "png"), ("differences", "svg"), ("folds", "pdf"), ("errors", "svg"), ("parity", "png")],
)
def test_the_picture_is_written_and_its_path_printed(command, three_variants, tmp_path, kind, format_):
    done = command("plot", three_variants, "--kind", kind, "--output", f"x.{format_}")
    assert (done.stdout, done.stderr) == (f"x.{format_}\n", "")
    assert (tmp_path / f"x.{format_}").read_bytes().startswith(MAGIC[format_])


def test_the_kinds_are_those_that_can_be_drawn(command):
    assert re.search(rf"--kind \W{'[|]'.join(KINDS)}\W", command("plot", "--help", COLUMNS="200").stdout)
    message = command("plot", "x", "--kind", "pie", "--output", "x.png", status=2).stderr
    assert "'--kind'" in message


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--kind", "folds", "--x", "seed"], "--x is for --kind rates, not for folds"),
        (["--kind", "curves", "--reference", "a"], "--reference is for --kind differences, not for curves"),
        (["--kind", "parity", "--log"], "--log is for --kind curves or folds or learning or rates or errors, not for "),
        (["--kind", "differences", "--no-log"], "--log is for --kind curves or folds or learning or rates or errors"),
        (["--kind", "folds", "--dpi", "100", "--output", "x.svg"], "--dpi is for PNG, which x.svg is not"),
    ],
)
def test_an_option_that_would_do_nothing_is_refused_before_anything_is_read(command, tmp_path, options, reason):
    done = command("plot", "nowhere", "--output", "x.png", *options, status=2)
    assert done.stderr.startswith(f"qm7: {reason}")
    assert not list(tmp_path.iterdir())


def test_a_picture_that_cannot_be_drawn_is_one_sentence(command, three_variants, tmp_path):
    for kind, reason in (
        ("rates", "there is no axis to draw along: the runs differ in no numeric setting"),
        ("learning", "there is no learning curve to draw: no group was trained on two numbers of molecules"),
    ):
        done = command("plot", three_variants, "--kind", kind, "--output", "x.png", status=1)
        assert (done.stdout, done.stderr) == ("", f"qm7: {reason}\n")
    assert not list(tmp_path.glob("x.*"))


def test_width_dots_and_title_are_those_that_are_asked_for(command, three_variants, tmp_path):
    arguments = ("plot", three_variants, "--kind", "differences", "--reference", "variant=no-prebias")
    command(*arguments, "--output", "x.png", "--width", "127", "--dpi", "100")
    assert int.from_bytes((tmp_path / "x.png").read_bytes()[16:20]) == 500  # 5 inches
    command(*arguments, "--output", "x.svg", "--title", "Less that of no-prebias")
    shown = re.findall(r"<!-- (.*?) -->", (tmp_path / "x.svg").read_text())
    assert {"Less that of no-prebias", "original", "corrected"} < {*shown}


def test_groups_are_made_by_the_settings_that_are_asked_for(command, three_variants, tmp_path):
    sets = []
    for options in ([], ["--by", "variant", "--by", "seed"]):
        command("plot", three_variants, "--kind", "folds", "--output", "x.svg", *options)
        sets.append(set(re.findall(r"<!-- (.*?) -->", (tmp_path / "x.svg").read_text())))
    assert sets[1] - sets[0] == {"original, seed=0", "corrected, seed=0", "no-prebias, seed=0"}
    assert (
        "there is no setting varient"
        in command("plot", three_variants, "--kind", "folds", "--output", "x.svg", "--by", "varient", status=1).stderr
    )


def test_another_ending_is_refused_before_anything_is_read(command, tmp_path):
    done = command("plot", "nowhere", "--kind", "curves", "--output", "x.jpg", status=2)
    assert done.stdout == ""
    assert done.stderr.startswith(
        "qm7: x.jpg is not the name of a picture: it should end in .png, .svg or .pdf (see qm7 "
    )
    assert not list(tmp_path.iterdir())


def test_what_was_there_stays_when_it_fails(command, three_variants, tmp_path):
    shutil.copytree(three_variants, tmp_path / "runs")
    command("plot", "runs", "--kind", "parity", "--output", "x.png")
    before = (tmp_path / "x.png").read_bytes()
    (tmp_path / "runs/original/fold-1/predictions.csv").unlink()
    done = command("plot", "runs", "--kind", "parity", "--output", "x.png", status=1)
    assert (done.stdout, done.stderr) == ("", "qm7: runs/original/fold-1/predictions.csv is missing\n")
    assert (tmp_path / "x.png").read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {"runs", "x.png"}


@pytest.mark.parametrize("format_", MAGIC)
def test_the_bytes_depend_on_the_runs_alone(command, three_variants, tmp_path, format_):
    (tmp_path / "rc").write_text("font.size: 20\nsvg.fonttype: none\nsavefig.bbox: tight\n")
    contents = set()
    for number, settings in (("1", None), ("2", str(tmp_path / "rc"))):
        changed = {
            "PYTHONHASHSEED": number,
            "SOURCE_DATE_EPOCH": number,
            "TZ": f"UTC{number}",
            "MATPLOTLIBRC": settings,
        }
        command("plot", three_variants, "--kind", "errors", "--output", f"{number}.{format_}", **changed)
        contents.add((tmp_path / f"{number}.{format_}").read_bytes())
    assert len(contents) == 1


def test_without_matplotlib_one_sentence_names_the_extra(command, three_variants, tmp_path):
    (tmp_path / "path").mkdir()
    (tmp_path / "path/matplotlib.py").write_text("raise ImportError('none here')")
    arguments = ("plot", three_variants, "--kind", "curves", "--output", "x.png")
    done = command(*arguments, PYTHONPATH=str(tmp_path / "path"), status=1)
    assert done.stderr == "qm7: pictures are drawn by matplotlib, which is missing: pip install 'qm7cli[plots]'\n"
    assert not (tmp_path / "x.png").exists()


def test_kind_and_output_are_needed(command):
    assert "'--kind'" in command("plot", "x", "--output", "x.png", status=2).stderr
    assert "'--output'" in command("plot", "x", "--kind", "curves", status=2).stderr
