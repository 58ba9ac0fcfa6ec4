import csv
import re
import shutil
import sys
from itertools import combinations, product
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.text import Text

from conftest import QUICK, remove_checksums
from qm7cli.analysis.compare import compare_groups
from qm7cli.analysis.figure_style import CONTROL_STYLES, FORMATS, GROUP_STYLES, as_svg, save
from qm7cli.analysis.plots import KINDS, Options
from qm7cli.analysis.plots.training import PAPER
from qm7cli.core.errors import QM7Error
from qm7cli.runs.collect import find_runs
from qm7cli.runs.experiment import resolve
from qm7cli.training.train_run import train_run

FOLDS = (0, 1)
SWEPT = ("learning", "rates")  # kinds that draw along a setting


@pytest.fixture(scope="module")
def trained(once, small):
    """Runs of three variants on two folds, one variant with two seeds; to be read only."""

    def make(path):
        for variant, seed in (("original", 0), ("original", 1), ("corrected", 0), ("no-prebias", 0)):
            experiment = resolve(None, [*QUICK, f"split.folds={list(FOLDS)}"], {"variant": variant, "seed": seed})
            train_run(experiment, small, path / f"{variant}-{seed}")

    return once("plots", make)


@pytest.fixture(scope="module")
def swept(once, small):
    """Runs of two variants with two numbers of training molecules on two folds; to be read only."""

    def make(path):
        for variant, size in product(("original", "no-prebias"), (20, 40)):
            settings = [*QUICK, f"split.folds={list(FOLDS)}", f"split.train_size={size}"]
            train_run(resolve(None, settings, {"variant": variant}), small, path / f"{variant}-{size}")

    return once("swept", make)


@pytest.fixture
def whole(kind, trained, swept):
    """A comparison that a kind of picture can show."""
    return comparison(swept if kind in SWEPT else trained)


@pytest.fixture
def runs(trained, tmp_path):
    """A copy of the runs."""
    return remove_checksums(shutil.copytree(trained, tmp_path / "runs"))


def comparison(path, **options):
    return compare_groups(find_runs([path]), **options)


def draw(kind, comparison, **options):
    return KINDS[kind].draw(comparison, Options(**options))


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
def test_every_axis_has_a_label_and_every_energy_its_unit(whole, kind):
    figure = draw(kind, whole)
    across = [axes.get_xlabel() for axes in figure.axes if axes.get_xlabel()] or [figure.get_supxlabel()]
    upward = {axes.get_ylabel() for axes in figure.axes if axes.get_ylabel()} or {figure.get_supylabel()}
    assert len(across) == 1
    assert len(upward) == (2 if kind == "parity" else 1)
    for label in (*across, *upward):
        assert label.endswith("(kcal/mol)") == ("MAE" in label or "energy" in label.lower() or "Error" in label)
    assert any("(kcal/mol)" in label for label in (*across, *upward))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("width", [85, 60, 170])
def test_a_picture_is_as_wide_as_a_column_or_as_is_asked_with_letters_that_can_be_read(whole, kind, width):
    figure = drawn(draw(kind, whole, **({} if width == 85 else {"width": width})))
    assert figure.get_figwidth() * 25.4 == pytest.approx(width)
    assert {text.get_fontsize() for text in texts(figure)} <= {7, 8}


def assert_texts_are_apart(figure):
    """Check that no text of a picture is cut off or lies on another, and that there is room left for the lines."""
    boxes = {text: text.get_window_extent() for text in texts(drawn(figure))}
    width, height = figure.get_size_inches() * figure.dpi
    for text, box in boxes.items():
        inside = box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height
        assert inside, text.get_text()
    for (one, box), (other, beside) in combinations(boxes.items(), 2):
        assert not box.overlaps(beside), (one.get_text(), other.get_text())
    assert max(axes.get_window_extent().height for axes in figure.axes) > 0.9 * figure.dpi


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in SWEPT])
@pytest.mark.parametrize("number", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("options", [{}, {"title": 8 * "A long title ", "width": 120}])
def test_no_text_is_cut_off_or_lies_on_another(trained, kind, number, options):
    groups = comparison(trained).groups
    names = [f"corrected, encoding.noise={k}, network.hidden=[400, 100], split.train_size=300" for k in range(number)]
    many = comparison(trained)._replace(groups=[groups[k % 3]._replace(name=name) for k, name in enumerate(names)])
    if (kind == "parity" and number > 4) or (kind == "differences" and number == 1):
        return
    assert_texts_are_apart(draw(kind, many, **options))


@pytest.mark.parametrize("kind", SWEPT)
@pytest.mark.parametrize("options", [{}, {"title": 8 * "A long title ", "width": 120}])
def test_no_text_of_a_picture_along_a_setting_is_cut_off(swept, kind, options):
    assert_texts_are_apart(draw(kind, comparison(swept), **options))


def test_the_title_stands_above(trained):
    for kind in ("curves", "parity"):  # with a legend and without one
        figure = drawn(draw(kind, comparison(trained), title="Three $rules$"))
        (title,) = (text for text in texts(figure) if text.get_text() == "Three $rules$")
        assert title.get_window_extent().y0 > max(
            text.get_window_extent().y0 for text in texts(figure) if text is not title
        )


def test_groups_can_be_told_apart_in_colour_and_in_grey():
    assert len({(look["color"], look["linestyle"]) for look in GROUP_STYLES}) == len(GROUP_STYLES)
    assert len({(look["linestyle"], look["marker"]) for look in GROUP_STYLES}) == len(GROUP_STYLES)
    assert len({look["color"] for look in GROUP_STYLES[:7]}) == 7
    greys = sorted(
        np.dot((0.299, 0.587, 0.114), to_rgb(look["color"])) for look in [*GROUP_STYLES[:3], CONTROL_STYLES[0]]
    )
    assert min(np.diff(greys)) > 0.1


def test_a_control_is_dashed_and_grey_and_takes_no_other_groups_look(trained):
    whole = comparison(trained)
    control = whole.groups[1]._replace(settings={"variant": "uncompensated"})
    (axes,) = draw("curves", whole._replace(groups=[whole.groups[0], control, whole.groups[2]])).axes
    lines = [line for line in axes.lines if not line.get_label().startswith("_")]
    red, green, blue = to_rgb(lines[1].get_color())
    assert red == green == blue
    assert [line.get_linestyle() for line in lines] == ["-", "--", "-."]
    assert "--" not in {look["linestyle"] for look in GROUP_STYLES}


def curves_of(axes):
    """Return the lines of a picture that have a name, and those of the band of each, which are drawn before it."""
    named = [k for k, line in enumerate(axes.lines) if not line.get_label().startswith("_")]
    return [(axes.lines[k], axes.lines[k - 2 : k]) for k in named]


def test_a_curve_is_the_mean_over_folds_and_its_band_their_standard_deviation(trained):
    figure = draw("curves", comparison(trained))
    (axes,) = figure.axes
    variants = (("original-0", "original-1"), ("corrected-0",), ("no-prebias-0",))
    for (line, band), runs in zip(curves_of(axes), variants, strict=True):
        folds = np.mean(
            [[table(trained / run, fold, "history.csv")["test_mae"] for fold in FOLDS] for run in runs], axis=0
        )
        assert line.get_label() == runs[0].removesuffix("-0")
        np.testing.assert_array_equal(line.get_xdata(), [100, 200, 300])
        mean = (folds[0] + folds[1]) / 2
        np.testing.assert_allclose(line.get_ydata(), mean)
        half = abs(folds[0] - folds[1]) / 2  # the population standard deviation of two
        np.testing.assert_allclose([edge.get_ydata() for edge in band], [mean - half, mean + half])
    assert not axes.collections
    assert "thin: one standard deviation over folds to each side" in figure.get_supxlabel().replace("\n", " ")


def test_a_difference_is_the_mean_of_pairs_with_the_interval_of_compare(trained):
    figure = draw("differences", comparison(trained), reference="corrected")
    (axes,) = figure.axes
    assert axes.lines[0].get_ydata() == [0, 0]
    assert "Level: corrected;" in figure.get_supxlabel()
    told = compare_groups(find_runs([trained]), reference="corrected").groups
    for (line, band), group in zip(curves_of(axes), (told[0], told[2]), strict=True):
        assert line.get_label() == group.name
        run = trained / f"{group.name}-0"  # of seed 0 alone, as the reference
        ours, theirs = (
            np.array([table(each, fold, "history.csv")["test_mae"] for fold in FOLDS])
            for each in (run, trained / "corrected-0")
        )
        np.testing.assert_allclose(line.get_ydata(), (ours - theirs).mean(axis=0))
        assert line.get_ydata()[-1] == pytest.approx(group.difference.mean)
        assert [edge.get_ydata()[-1] for edge in band] == pytest.approx(group.difference.t_test.interval)
        # Nadeau and Bengio's variance for two differences: 12 molecules tested, 48 trained on.
        error = np.sqrt((1 / 2 + 12 / 48) * (ours - theirs).var(axis=0, ddof=1))
        half = 12.706204736 * error
        np.testing.assert_allclose(band[1].get_ydata() - line.get_ydata(), half, rtol=1e-6)
        np.testing.assert_allclose(line.get_ydata() - band[0].get_ydata(), half, rtol=1e-6)


def test_the_reference_of_differences_is_that_of_compare(trained):
    names = [line.get_label() for line, _ in curves_of(draw("differences", comparison(trained)).axes[0])]
    assert names == ["corrected", "no-prebias"]
    with pytest.raises(QM7Error, match=r"^the reference variant=none is in no group"):
        draw("differences", comparison(trained), reference="variant=none")


def test_a_single_test_set_has_a_difference_without_a_band(runs):
    for file in runs.rglob("results.yaml"):
        file.write_text("".join(line for line in file.read_text().splitlines(True) if "- {fold: 1," not in line))
    figure = draw("differences", comparison(runs))
    assert len(figure.axes[0].lines) == 3
    assert figure.get_supxlabel() == "Level: original"


def test_what_has_no_counterpart_is_named_below_the_differences_or_refused(runs):
    file = runs / "no-prebias-0/results.yaml"
    file.write_text(re.sub(r"fold: (\d)", lambda found: f"fold: {int(found[1]) + 2}", file.read_text()))
    assert (
        draw("differences", comparison(runs)).get_supxlabel().replace("\n", " ").endswith("not comparable: no-prebias")
    )
    shutil.rmtree(runs / "corrected-0")
    reason = (
        "no-prebias cannot be compared with original: no fold of one agrees with a fold of the other in number and "
    )
    with pytest.raises(QM7Error, match=f"^{reason}all other settings$"):
        draw("differences", comparison(runs))
    with pytest.raises(QM7Error, match=r"^there is no difference to draw: all runs is the only group with a complete "):
        draw("differences", comparison(runs / "original-0"))


def test_only_iterations_at_which_all_folds_were_evaluated_are_drawn(runs):
    history = runs / "corrected-0/fold-1/history.csv"
    lines = history.read_text().splitlines(keepends=True)
    history.write_text("".join(lines[:2] + lines[3:]))
    (axes,) = draw("curves", comparison(runs)).axes
    assert [list(line.get_xdata()) for line, _ in curves_of(axes)] == [[100, 200, 300], [100, 300], [100, 200, 300]]
    history.write_text(lines[0] + lines[1].replace("100,", "150,", 1))
    with pytest.raises(QM7Error, match=r"^the folds of corrected were evaluated at no iteration in common$"):
        draw("curves", comparison(runs))


def test_the_papers_error_is_drawn_for_qm7_alone(runs):
    def line():
        figure = draw("curves", comparison(runs))
        levels = [line.get_ydata()[0] for line in figure.axes[0].lines[9:]]
        return (
            levels,
            [text.get_text() for text in figure.axes[0].texts],
            PAPER in figure.get_supxlabel().replace("\n", " "),
        )

    assert line() == ([], [], False)
    for file in runs.rglob("results.yaml"):
        file.write_text(file.read_text().replace("name: small", "name: qm7"))
    assert line() == ([3.51], ["3.51"], True)
    assert "1,000,000" in PAPER


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(3.1, 16, ["4", "5", "7", "10", "15"]), (3.41, 3.59, ["3.45", "3.50", "3.55"]), (0.5, 4e7, None)],
)
def test_ticks_are_plain_numbers(runs, low, high, expected):
    for file in runs.rglob("history.csv"):
        header, *_ = file.read_text().splitlines()
        file.write_text(f"{header}\n1,0,{high},0,0,0\n1000000,0,{low},0,0,0\n")
    (axes,) = drawn(draw("curves", comparison(runs))).axes
    for axis in (axes.xaxis, axes.yaxis):
        labels = [label.get_text() for label in axis.get_ticklabels()]
        assert [float(label.replace(",", "")) for label in labels] == pytest.approx(list(axis.get_ticklocs()))
        assert 2 <= len(labels) <= 7
        assert not axis.get_ticklabels(minor=True)
    if expected:
        inside = [text.get_text() for text in axes.get_yticklabels() if low <= float(text.get_text()) <= high]
        assert list(map(float, inside)) == list(map(float, expected))


def test_parity_has_all_predictions_of_each_group_and_their_errors_below(trained):
    figure = draw("parity", comparison(trained))
    upper, lower = (figure.axes[start : start + 2] for start in (0, 2))
    upper, lower = upper + figure.axes[4:5], lower + figure.axes[5:6]
    assert [axes.get_title() for axes in upper] == ["original", "corrected", "no-prebias"]
    assert len({axes.get_ylim() for axes in upper}) == len({axes.get_ylim() for axes in lower}) == 1
    runs = (("original-0", "original-1"), ("corrected-0",), ("no-prebias-0",))
    for above, below, names in zip(upper, lower, runs, strict=True):
        identity, dots = above.lines
        np.testing.assert_array_equal(identity.get_xdata(), identity.get_ydata())
        columns = [table(trained / run, fold, "predictions.csv") for run in names for fold in FOLDS]
        expected = sorted((x, y) for each in columns for x, y in zip(each["target"], each["prediction"], strict=True))
        np.testing.assert_allclose(sorted(zip(*dots.get_data(), strict=True)), expected)
        zero, errors = below.lines
        assert set(zero.get_ydata()) == {0}
        np.testing.assert_array_equal(errors.get_xdata(), dots.get_xdata())
        np.testing.assert_array_equal(errors.get_ydata(), dots.get_ydata() - dots.get_xdata())
    # Numbers stand below the lower panels, and below the upper right one, which has none below it.
    assert [axes.xaxis.get_tick_params()["labelbottom"] for axes in (*lower, *upper)] == [False, True, True] + 3 * [
        False
    ]


def test_the_dots_of_parity_are_one_image_each_panel(trained):
    svg = as_svg(draw("parity", comparison(trained)), "p")
    assert svg.count("<image ") == 6


@pytest.mark.parametrize(
    ("kind", "most"), [("parity", 4), ("errors", 7), ("folds", 21), ("curves", 35), ("differences", 35)]
)
def test_too_many_groups_are_refused_with_their_number(trained, kind, most):
    whole = comparison(trained)
    draw(kind, whole._replace(groups=(12 * whole.groups)[:most]))
    with pytest.raises(
        QM7Error, match=rf"^there are {most + 1} groups, more than this picture can hold \({most}\); choose fewer runs$"
    ):
        draw(kind, whole._replace(groups=(12 * whole.groups)[: most + 1]))


def test_the_steps_of_errors_count_every_prediction(trained):
    (axes,) = draw("errors", comparison(trained)).axes
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


def test_folds_stand_side_by_side_with_their_mean_and_a_line_joins_what_is_paired(trained):
    whole = comparison(trained)
    (axes,) = drawn(draw("folds", whole)).axes
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
    dots = [
        dict(zip(group.folds, line.get_xydata().tolist(), strict=True))
        for group, line in zip(whole.groups, axes.lines[:3], strict=True)
    ]
    joined = [line.get_xydata().tolist() for line in axes.lines[3:-1]]
    assert joined == [[own[key] for own in dots if key in own] for key in whole.groups[0].folds]
    assert sorted(map(len, joined)) == [1, 1, 3, 3]  # one variant has a second seed


@pytest.mark.parametrize(("factor", "scale"), [(1, "linear"), (9, "linear"), (11, "log")])
def test_the_axis_of_folds_is_logarithmic_where_groups_differ_by_ten_times(runs, factor, scale):
    level = {"original": 5.0, "corrected": 5.0 * factor, "no-prebias": 6.0}
    for file in runs.rglob("results.yaml"):
        mae = level[file.parent.name.rpartition("-")[0]]
        file.write_text(re.sub(r", mae: [^,]*", f", mae: {mae}", file.read_text()))
    assert draw("folds", comparison(runs)).axes[0].get_yscale() == scale
    assert draw("folds", comparison(runs), log=True).axes[0].get_yscale() == "log"
    assert draw("folds", comparison(runs), log=False).axes[0].get_yscale() == "linear"


@pytest.mark.parametrize("kind", [kind for kind in KINDS if "log" in KINDS[kind].takes])
def test_the_axis_of_errors_is_logarithmic_or_not_as_is_asked(whole, kind):
    assert {draw(kind, whole, log=log).axes[0].get_yscale() for log in (True,)} == {"log"}
    assert {draw(kind, whole, log=log).axes[0].get_yscale() for log in (False,)} == {"linear"}


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in {*SWEPT, "differences"}])
def test_a_single_fold_evaluated_once_is_drawn(runs, kind):
    run = runs / "corrected-0"
    results = (run / "results.yaml").read_text()
    (run / "results.yaml").write_text("".join(line for line in results.splitlines(True) if "- {fold: 1," not in line))
    history = run / "fold-0/history.csv"
    lines = history.read_text().splitlines(keepends=True)
    history.write_text(lines[0] + lines[-1])
    figure = drawn(draw(kind, comparison(run)))
    assert not figure.legends
    assert not any(axes.get_title() for axes in figure.axes)


def test_without_a_complete_fold_there_is_nothing_to_draw(runs):
    run = runs / "corrected-0"
    (run / "results.yaml").write_text((run / "results.yaml").read_text().replace("complete", "partial"))
    for kind in KINDS:
        with pytest.raises(QM7Error, match=r"^there is nothing to draw: no fold is complete$"):
            draw(kind, comparison(run))
    figure = draw("folds", comparison(runs))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["original", "no-prebias"]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in SWEPT])
def test_names_are_drawn_as_they_are(trained, kind, tmp_path):
    whole = comparison(trained)
    groups = [whole.groups[0]._replace(name="data=$\\no$ <b>\udcff"), whole.groups[1]._replace(name="分子 --> &")]
    save(draw(kind, whole._replace(groups=groups)), tmp_path / "odd.svg")
    ET.parse(tmp_path / "odd.svg")  # noqa: S314 - our own
    told = "\n".join(
        text.get_text() for text in texts(draw(kind, whole._replace(groups=[groups[0], groups[0]._replace()])))
    )
    assert "data=$\\no$ <b>\\udcff" in told


@pytest.mark.parametrize(
    ("kind", "name", "content"),
    [
        ("curves", "history.csv", None),
        ("curves", "history.csv", ""),
        ("curves", "history.csv", "iteration,test_mae\n1,x\n"),
        ("curves", "history.csv", "iteration\n1\n"),
        ("curves", "history.csv", "iteration,test_mae\n1\n"),
        ("differences", "history.csv", None),
        ("differences", "history.csv", "iteration\n1\n"),
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
        draw(kind, whole)


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("kind", KINDS)
def test_the_same_runs_give_the_same_bytes(whole, kind, format_, tmp_path, monkeypatch):
    save(draw(kind, whole), tmp_path / f"one.{format_}")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000000000")
    save(draw(kind, whole), tmp_path / f"two.{format_.upper()}")
    content = (tmp_path / f"one.{format_}").read_bytes()
    assert content == (tmp_path / f"two.{format_.upper()}").read_bytes()
    assert content.startswith({"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[format_])
    assert b"2001-09-09" not in content


@pytest.mark.parametrize("name", ["x.jpg", "x", "x.png.txt", ".svg"])
def test_another_ending_is_refused_and_nothing_written(trained, tmp_path, name):
    figure = draw("folds", comparison(trained))
    with pytest.raises(QM7Error, match=r"is not the name of a picture: it should end in \.png, \.svg or \.pdf$"):
        save(figure, tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_what_was_there_stays_when_drawing_fails(trained, tmp_path, monkeypatch):
    figure = draw("folds", comparison(trained))
    path = tmp_path / "x.pdf"
    save(figure, path)
    before = path.read_bytes()
    monkeypatch.setattr(figure, "savefig", lambda file, **_: file.write(b"half") and 1 / 0)
    with pytest.raises(ZeroDivisionError):
        save(figure, path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_pictures_in_one_page_have_ids_of_their_own_and_all_that_they_refer_to(trained, swept):
    found = []
    for kind in KINDS:
        svg = as_svg(draw(kind, comparison(swept if kind in SWEPT else trained)), kind)
        assert svg.startswith("<svg ")
        assert "<text" in svg
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

    usual = as_svg(draw("curves", comparison(trained)), "x")
    with mpl.rc_context({"font.size": 20, "xtick.direction": "in", "svg.fonttype": "none"}):
        before = dict(mpl.rcParams)
        assert as_svg(draw("curves", comparison(trained)), "x") == usual
        assert dict(mpl.rcParams) == before


@pytest.mark.parametrize("kind", KINDS)
def test_without_matplotlib_one_sentence_names_the_extra(whole, kind, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(QM7Error, match=r"^pictures .* pip install 'qm7cli\[plots\]'$"):
        draw(kind, whole)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "rates"])  # which has crosses
@pytest.mark.parametrize("ended", [0, 1])
def test_folds_that_diverged_are_told_below(whole, kind, ended):
    *others, last = whole.groups
    folds = dict(last.folds)
    complete = dict(list(folds.items())[:ended])
    diverged = {
        key: fold._replace(
            result=fold.result.model_copy(update={"reason": f"fold {key[0]} diverged at iteration 7 (rate 0.5)"})
        )
        for key, fold in folds.items()
        if key not in complete
    }
    groups = [*others, last._replace(folds=complete, diverged=diverged)]
    note = draw(kind, whole._replace(groups=groups)).get_supxlabel().replace("\n", " ")
    said = f"{last.name} diverged in {2 - ended} of 2 folds, at iteration 7 (rate 0.5)"
    said += ", and is drawn without these" * ended
    assert note.lower().endswith(said)
    assert "diverged" not in draw(kind, whole).get_supxlabel()
