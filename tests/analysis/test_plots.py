import csv
import re
import shutil
import sys
from itertools import combinations
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from matplotlib.text import Text

from conftest import QUICK, remove_checksums
from qm7cli.analysis.compare import compare_groups
from qm7cli.analysis.figure_style import FORMATS, GROUP_STYLES, as_svg, save
from qm7cli.analysis.plots import KINDS
from qm7cli.core.errors import QM7Error
from qm7cli.runs.collect import find_runs
from qm7cli.runs.experiment import resolve
from qm7cli.training.train_run import train_run

FOLDS = (0, 1)


@pytest.fixture(scope="module")
def trained(once, small):
    """Runs of three variants on two folds, one variant with two seeds; to be read only."""

    def make(path):
        for variant, seed in (("original", 0), ("original", 1), ("corrected", 0), ("no-prebias", 0)):
            experiment = resolve(None, [*QUICK, f"split.folds={list(FOLDS)}"], {"variant": variant, "seed": seed})
            train_run(experiment, small, path / f"{variant}-{seed}")

    return once("plots", make)


@pytest.fixture
def runs(trained, tmp_path):
    """A copy of the runs."""
    return remove_checksums(shutil.copytree(trained, tmp_path / "runs"))


def comparison(path, **options):
    return compare_groups(find_runs([path]), **options)


def table(run, fold, name):
    """Return a file of a fold as a dictionary of columns."""
    with (run / f"fold-{fold}" / name).open() as file:
        rows = list(csv.DictReader(file))
    return {column: np.array([float(row[column] or "nan") for row in rows]) for column in rows[0]}


def drawn(figure):
    """Draw a picture, so that everything has its place."""
    figure.draw_without_rendering()
    return figure


def texts(figure):
    """Return all texts that are drawn."""
    found = {}
    draw = Text.draw
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Text, "draw", lambda text, renderer: found.setdefault(text) or draw(text, renderer))
        figure.draw_without_rendering()
    return [text for text in found if text.get_visible() and text.get_text().strip()]


@pytest.mark.parametrize("kind", KINDS)
def test_every_axis_has_a_label_and_every_energy_its_unit(trained, kind):
    figure = KINDS[kind](comparison(trained))
    across = [axes.get_xlabel() for axes in figure.axes if axes.get_xlabel()] or [figure.get_supxlabel()]
    upward = [axes.get_ylabel() for axes in figure.axes if axes.get_ylabel()] or [figure.get_supylabel()]
    assert len(across) == len(upward) == 1
    for label in (*across, *upward):
        assert label.endswith("(kcal/mol)") == ("MAE" in label or "energy" in label)
    assert any("(kcal/mol)" in label for label in (*across, *upward))


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_is_as_wide_as_a_column_with_letters_that_can_be_read(trained, kind):
    figure = drawn(KINDS[kind](comparison(trained)))
    assert figure.get_figwidth() * 25.4 == pytest.approx(85)
    assert {text.get_fontsize() for text in texts(figure)} <= {7, 8}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("number", [1, 2, 3, 4, 7])
def test_no_text_is_cut_off_or_lies_on_another(trained, kind, number):
    groups = comparison(trained).groups
    names = [f"corrected, encoding.noise={k}, network.hidden=[400, 100], split.train_size=300" for k in range(number)]
    many = comparison(trained)._replace(groups=[groups[k % 3]._replace(name=name) for k, name in enumerate(names)])
    if kind == "parity" and number > 4:
        return
    figure = drawn(KINDS[kind](many))
    boxes = {text: text.get_window_extent() for text in texts(figure)}
    width, height = figure.get_size_inches() * figure.dpi
    for text, box in boxes.items():
        inside = box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height
        assert inside, text.get_text()
    for (one, box), (other, beside) in combinations(boxes.items(), 2):
        assert not box.overlaps(beside), (one.get_text(), other.get_text())
    assert min(axes.get_window_extent().height for axes in figure.axes) > 0.9 * figure.dpi


def test_groups_can_be_told_apart_in_colour_and_in_grey():
    assert len({(look["color"], look["linestyle"]) for look in GROUP_STYLES}) == len(GROUP_STYLES)
    assert len({(look["linestyle"], look["marker"]) for look in GROUP_STYLES}) == len(GROUP_STYLES)
    assert len({look["color"] for look in GROUP_STYLES[:7]}) == 7


def test_a_curve_is_the_mean_over_folds_and_its_band_their_standard_deviation(trained):
    (axes,) = KINDS["curves"](comparison(trained)).axes
    for line, band, runs in zip(
        axes.lines,
        axes.collections,
        (("original-0", "original-1"), ("corrected-0",), ("no-prebias-0",)),
        strict=True,
    ):
        folds = np.mean(
            [[table(trained / run, fold, "history.csv")["test_mae"] for fold in FOLDS] for run in runs], axis=0
        )
        assert line.get_label() == runs[0].removesuffix("-0")
        np.testing.assert_array_equal(line.get_xdata(), [100, 200, 300])
        mean = (folds[0] + folds[1]) / 2
        np.testing.assert_allclose(line.get_ydata(), mean)
        half = abs(folds[0] - folds[1]) / 2  # the population standard deviation of two
        corners = band.get_paths()[0].vertices
        for k, iteration in enumerate((100, 200, 300)):
            heights = corners[corners[:, 0] == iteration, 1]
            assert (heights.min(), heights.max()) == pytest.approx((mean[k] - half[k], mean[k] + half[k]))


def test_only_iterations_at_which_all_folds_were_evaluated_are_drawn(runs):
    history = runs / "corrected-0/fold-1/history.csv"
    lines = history.read_text().splitlines(keepends=True)
    history.write_text("".join(lines[:2] + lines[3:]))
    (axes,) = KINDS["curves"](comparison(runs)).axes
    assert [list(line.get_xdata()) for line in axes.lines] == [[100, 200, 300], [100, 300], [100, 200, 300]]
    history.write_text(lines[0] + lines[1].replace("100,", "150,", 1))
    with pytest.raises(QM7Error, match=r"^the folds of corrected were evaluated at no iteration in common$"):
        KINDS["curves"](comparison(runs))


def test_the_papers_error_is_drawn_for_qm7_alone(runs):
    def line():
        (axes,) = KINDS["curves"](comparison(runs)).axes
        levels = [line.get_ydata()[0] for line in axes.lines[3:]]
        return levels, [text.get_text() for text in axes.texts]

    assert line() == ([], [])
    for file in runs.rglob("results.yaml"):
        file.write_text(file.read_text().replace("name: small", "name: qm7"))
    assert line() == ([3.51], ["3.51, Montavon et al. 2012"])


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(3.1, 16, ["4", "5", "7", "10", "15"]), (3.41, 3.59, ["3.45", "3.50", "3.55"]), (0.5, 4e7, None)],
)
def test_ticks_are_plain_numbers(runs, low, high, expected):
    for file in runs.rglob("history.csv"):
        header, *_ = file.read_text().splitlines()
        file.write_text(f"{header}\n1,0,{high},0,0,0\n1000000,0,{low},0,0,0\n")
    (axes,) = drawn(KINDS["curves"](comparison(runs))).axes
    for axis in (axes.xaxis, axes.yaxis):
        labels = [label.get_text() for label in axis.get_ticklabels()]
        assert [float(label.replace(",", "")) for label in labels] == pytest.approx(list(axis.get_ticklocs()))
        assert 2 <= len(labels) <= 7
        assert not axis.get_ticklabels(minor=True)
    if expected:
        inside = [text.get_text() for text in axes.get_yticklabels() if low <= float(text.get_text()) <= high]
        assert list(map(float, inside)) == list(map(float, expected))


def test_parity_has_a_panel_for_each_group_with_all_its_predictions(trained):
    figure = KINDS["parity"](comparison(trained))
    assert [axes.get_title() for axes in figure.axes] == ["original", "corrected", "no-prebias"]
    # Numbers stand below the lower panels, and below the upper right one, which has none below it.
    assert [axes.xaxis.get_tick_params()["labelbottom"] for axes in figure.axes] == [False, True, True]
    for axes, runs in zip(
        figure.axes, (("original-0", "original-1"), ("corrected-0",), ("no-prebias-0",)), strict=True
    ):
        identity, dots = axes.lines
        np.testing.assert_array_equal(identity.get_xdata(), identity.get_ydata())
        columns = [table(trained / run, fold, "predictions.csv") for run in runs for fold in FOLDS]
        expected = sorted((x, y) for each in columns for x, y in zip(each["target"], each["prediction"], strict=True))
        np.testing.assert_allclose(sorted(zip(*dots.get_data(), strict=True)), expected)


def test_the_dots_of_parity_are_one_image_each_panel(trained):
    svg = as_svg(KINDS["parity"](comparison(trained)), "p")
    assert svg.count("<image ") == 3


@pytest.mark.parametrize(("kind", "most"), [("parity", 4), ("errors", 7), ("folds", 21), ("curves", 35)])
def test_too_many_groups_are_refused_with_their_number(trained, kind, most):
    whole = comparison(trained)
    KINDS[kind](whole._replace(groups=(12 * whole.groups)[:most]))
    with pytest.raises(
        QM7Error, match=rf"^there are {most + 1} groups, more than this picture can hold \({most}\); choose fewer runs$"
    ):
        KINDS[kind](whole._replace(groups=(12 * whole.groups)[: most + 1]))


def test_the_steps_of_errors_count_every_prediction(trained):
    (axes,) = KINDS["errors"](comparison(trained)).axes
    assert [steps.get_data().values.sum() for steps in axes.patches] == [48, 24, 24]
    assert len({tuple(steps.get_data().edges) for steps in axes.patches}) == 1
    differences = [
        float(error)
        for fold in FOLDS
        for columns in [table(trained / "corrected-0", fold, "predictions.csv")]
        for error in columns["prediction"] - columns["target"]
    ]
    values, edges, _ = axes.patches[1].get_data()
    np.testing.assert_array_equal(values, np.histogram(differences, edges)[0])


def test_the_molecules_named_have_the_largest_errors_averaged_over_seeds(trained):
    expected = {}
    for fold in FOLDS:
        columns = [table(trained / f"original-{seed}", fold, "predictions.csv") for seed in (0, 1)]
        for k, molecule in enumerate(columns[0]["molecule"]):
            error = sum(each["prediction"][k] - each["target"][k] for each in columns) / 2
            expected[f"molecule {molecule:.0f} (fold {fold}): {error:+.1f} kcal/mol"] = -abs(error)
    named = KINDS["errors"](comparison(trained)).get_supxlabel()
    assert named.startswith("\n  ".join(["Largest errors of original", *sorted(expected, key=expected.get)[:5]]))
    assert named.count("kcal/mol") == 15


def test_folds_stand_side_by_side_with_their_mean(trained):
    whole = comparison(trained)
    (axes,) = drawn(KINDS["folds"](whole)).axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0", "1", "mean"]
    places = set()
    for group, dots, mean in zip(whole.groups, axes.lines[:3], axes.collections, strict=True):
        assert dots.get_label() == group.name
        expected = [(round(key[0]), fold.mae) for key, fold in group.folds.items()]
        assert [(round(x), y) for x, y in dots.get_xydata()] == expected
        places |= set(dots.get_xdata())
        ((start, level), (end, same)) = mean.get_segments()[0]
        assert level == same == pytest.approx(np.mean([y for _, y in expected]))
        assert round(start) == round(end) == 2
    assert len(places) == 6


@pytest.mark.parametrize("kind", KINDS)
def test_a_single_fold_evaluated_once_is_drawn(runs, kind):
    run = runs / "corrected-0"
    results = (run / "results.yaml").read_text()
    (run / "results.yaml").write_text("".join(line for line in results.splitlines(True) if "- {fold: 1," not in line))
    history = run / "fold-0/history.csv"
    lines = history.read_text().splitlines(keepends=True)
    history.write_text(lines[0] + lines[-1])
    figure = drawn(KINDS[kind](comparison(run)))
    assert not figure.legends
    assert not any(axes.get_title() for axes in figure.axes)


def test_without_a_complete_fold_there_is_nothing_to_draw(runs):
    run = runs / "corrected-0"
    (run / "results.yaml").write_text((run / "results.yaml").read_text().replace("complete", "partial"))
    for kind in KINDS:
        with pytest.raises(QM7Error, match=r"^there is nothing to draw: no fold is complete$"):
            KINDS[kind](comparison(run))
    figure = KINDS["folds"](comparison(runs))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["original", "no-prebias"]


@pytest.mark.parametrize("kind", KINDS)
def test_names_are_drawn_as_they_are(trained, kind, tmp_path):
    whole = comparison(trained)
    groups = [whole.groups[0]._replace(name="data=$\\no$ <b>\udcff"), whole.groups[1]._replace(name="分子 --> &")]
    save(KINDS[kind](whole._replace(groups=groups)), tmp_path / "odd.svg")
    ET.parse(tmp_path / "odd.svg")  # noqa: S314 - our own
    told = "\n".join(text.get_text() for text in texts(KINDS[kind](whole._replace(groups=groups[:1] * 2))))
    assert "data=$\\no$ <b>\\udcff" in told


@pytest.mark.parametrize(
    ("kind", "name", "content"),
    [
        ("curves", "history.csv", None),
        ("curves", "history.csv", ""),
        ("curves", "history.csv", "iteration,test_mae\n1,x\n"),
        ("curves", "history.csv", "iteration\n1\n"),
        ("curves", "history.csv", "iteration,test_mae\n1\n"),
        ("parity", "predictions.csv", None),
        ("parity", "predictions.csv", "molecule,target,prediction\n1,2\n"),
        ("errors", "predictions.csv", None),
    ],
)
def test_a_missing_or_damaged_file_is_named(runs, kind, name, content):
    path = runs / "corrected-0/fold-1" / name
    whole = comparison(runs)
    path.unlink()
    if content is not None:
        path.write_text(content)
    with pytest.raises(QM7Error, match=re.escape(str(path))):
        KINDS[kind](whole)


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("kind", KINDS)
def test_the_same_runs_give_the_same_bytes(trained, kind, format_, tmp_path, monkeypatch):
    save(KINDS[kind](comparison(trained)), tmp_path / f"one.{format_}")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000000000")
    save(KINDS[kind](comparison(trained)), tmp_path / f"two.{format_.upper()}")
    content = (tmp_path / f"one.{format_}").read_bytes()
    assert content == (tmp_path / f"two.{format_.upper()}").read_bytes()
    assert content.startswith({"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[format_])
    assert b"2001-09-09" not in content


@pytest.mark.parametrize("name", ["x.jpg", "x", "x.png.txt", ".svg"])
def test_another_ending_is_refused_and_nothing_written(trained, tmp_path, name):
    figure = KINDS["folds"](comparison(trained))
    with pytest.raises(QM7Error, match=r"is not the name of a picture: it should end in \.png, \.svg or \.pdf$"):
        save(figure, tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_what_was_there_stays_when_drawing_fails(trained, tmp_path, monkeypatch):
    figure = KINDS["folds"](comparison(trained))
    path = tmp_path / "x.pdf"
    save(figure, path)
    before = path.read_bytes()
    monkeypatch.setattr(figure, "savefig", lambda file, **_: file.write(b"half") and 1 / 0)
    with pytest.raises(ZeroDivisionError):
        save(figure, path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_pictures_in_one_page_have_ids_of_their_own_and_all_that_they_refer_to(trained):
    found = []
    for kind in KINDS:
        svg = as_svg(KINDS[kind](comparison(trained)), kind)
        assert svg.startswith("<svg ")
        assert "<text" not in svg
        ET.fromstring(svg)  # noqa: S314 - our own
        ids = re.findall(r'\bid="([^"]*)"', svg)
        assert len(ids) == len(set(ids))
        referred = {*re.findall(r'href="#([^"]*)"', svg), *re.findall(r"url\(#([^)]*)\)", svg)}
        assert referred
        assert referred <= set(ids)
        found += ids
    assert len(found) == len(set(found))


def test_the_users_own_settings_of_matplotlib_change_nothing(trained):
    import matplotlib as mpl  # noqa: PLC0415

    usual = as_svg(KINDS["curves"](comparison(trained)), "x")
    with mpl.rc_context({"font.size": 20, "xtick.direction": "in", "svg.fonttype": "none"}):
        before = dict(mpl.rcParams)
        assert as_svg(KINDS["curves"](comparison(trained)), "x") == usual
        assert dict(mpl.rcParams) == before


def test_without_matplotlib_one_sentence_names_the_extra(trained, monkeypatch):
    whole = comparison(trained)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for draw in KINDS.values():
        with pytest.raises(QM7Error, match=r"^pictures .* pip install 'qm7cli\[plots\]'$"):
            draw(whole)
