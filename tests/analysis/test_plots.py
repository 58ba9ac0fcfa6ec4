"""Pictures: each is drawn, and shows the numbers of the runs."""

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from matplotlib.text import Text

from qm7cli.analysis.compare import compare_groups
from qm7cli.analysis.figure_style import COLORS, METHODS, Options, as_svg, looks, save
from qm7cli.analysis.paired_difference import corrected_t
from qm7cli.analysis.plots import KINDS
from qm7cli.core.errors import QM7Error
from qm7cli.runs.collect import find_runs
from qm7cli.runs.models import read_predictions
from records import change, evaluated, make_run

MAES = {"original": (3.0, 5.0), "corrected": (3.5, 5.1), "no-prebias": (2.0, 4.5)}


def of_variant(variant, maes=None, settings=(), name="", seed=0, **changes):
    """Return a run of two folds that were evaluated after 100, 200 and 1,000 iterations."""
    given = [f"variant={variant}", f"seed={seed}", "training.iterations=1000", *settings]
    run = make_run(name or f"{variant}-{seed}", given, maes or MAES[variant], **changes)
    ends = [mae or 20 for mae in maes or MAES[variant]]
    return evaluated(run, *({100: 3 * mae, 200: 2 * mae, 1000: mae} for mae in ends))


@pytest.fixture
def runs():
    """Three variants, one with two seeds."""
    return [*map(of_variant, MAES), of_variant("original", (4.0, 4.0), seed=1)]


def draw(kind, runs, by=(), **options):
    return KINDS[kind].draw(compare_groups(runs, by, paired=False), Options(**options))


def lines(axes):
    """Return the drawn lines that have a name, by it."""
    return {line.get_label(): line for line in axes.lines if not line.get_label().startswith("_")}


def note(figure):
    return figure.get_supxlabel().replace("\n", " ")


def edges(band):
    """Return the x, and the low and high y, of a filled band."""
    corners = band.get_paths()[0].vertices
    places = sorted(set(corners[:, 0]))
    return places, *([pick(corners[corners[:, 0] == x, 1]) for x in places] for pick in (min, max))


def offsets(*values, variant="original", maes=(3.0, 5.0), settings=()):
    return [
        of_variant(variant, maes, [f"network.offset={value}", *settings], f"{variant}-{value}-{settings}")
        for value in values
    ]


@pytest.fixture
def of_kind(three_variants):
    """Runs that a kind of picture can show."""
    return {"setting": offsets(0, 1), "parity": find_runs([three_variants])}


@pytest.mark.parametrize("kind", KINDS)
def test_every_axis_has_a_label_and_every_energy_its_unit(of_kind, runs, kind):
    figure = draw(kind, of_kind.get(kind, runs), width=120)
    labels = {label for axes in figure.axes for label in (axes.get_xlabel(), axes.get_ylabel()) if label}
    assert len(labels) == (3 if kind == "parity" else 2)
    for label in labels:
        assert label.endswith("(kcal/mol)") == ("MAE" in label or "energy" in label.lower() or "Error" in label)
    figure.draw_without_rendering()
    assert {text.get_fontsize() for text in figure.findobj(Text) if text.get_text().strip()} <= {7, 8}
    assert note(figure)


def test_a_rule_has_one_color_and_marker_in_every_picture(runs):
    for kind in ("curves", "folds", "differences"):
        (axes,) = draw(kind, runs).axes
        for name, line in lines(axes).items():
            assert (line.get_color(), line.get_marker()) == (COLORS[METHODS.index(name)], "os^"[METHODS.index(name)])
    control = of_variant("uncompensated", (3, 4))
    (axes,) = draw("curves", [*runs, control]).axes
    assert lines(axes)["uncompensated (control)"].get_linestyle() == "--"
    several = looks(["original", "original", "corrected", "uncompensated", "original"])
    assert len({(look["color"], str(look["linestyle"])) for look in several}) == 5
    assert several[0]["color"] == COLORS[0]
    own = looks(["original"] * 4)
    assert {(look["color"], look["marker"]) for look in own} == {(COLORS[0], "o")}
    assert len({(str(look["linestyle"]), look["fillstyle"]) for look in own}) == 4
    others = looks([*METHODS, "painn", "schnet", "uncompensated", "", ""])
    assert len({look["color"] for look in others}) == len({look["marker"] for look in others}) == len(others)


def test_a_curve_is_the_mean_over_folds_and_its_band_their_standard_deviation(runs):
    (axes,) = draw("curves", runs).axes
    expected = {"original": (3.5, 4.5), "corrected": (3.5, 5.1), "no-prebias": (2.0, 4.5)}  # seeds are averaged first
    assert list(lines(axes)) == list(expected)
    for (name, maes), band in zip(expected.items(), axes.collections, strict=True):
        assert lines(axes)[name].get_xdata().tolist() == [100, 200, 1000]
        mean = np.array([3, 2, 1]) * np.mean(maes)
        np.testing.assert_allclose(lines(axes)[name].get_ydata(), mean)
        half = np.array([3, 2, 1]) * np.std(maes)
        np.testing.assert_allclose(edges(band), [[100, 200, 1000], mean - half, mean + half])


def test_only_iterations_at_which_all_folds_were_evaluated_are_drawn(runs):
    runs[1] = evaluated(runs[1], {100: 5, 1000: 3}, {50: 9, 100: 6, 200: 5, 1000: 4})
    assert lines(draw("curves", runs).axes[0])["corrected"].get_xdata().tolist() == [100, 1000]
    runs[1] = evaluated(runs[1], {100: 5}, {50: 9})
    with pytest.raises(QM7Error, match=r"^the folds of corrected were evaluated at no iteration in common$"):
        draw("curves", runs)


def test_a_baseline_is_a_level_line_and_a_group_that_diverged_ends_in_a_cross(runs):
    baseline = make_run("krr", ["baseline.model=krr"], [2.5, 3.5], iterations=0)
    gone = of_variant("uncompensated", (None, None))
    figure = draw("curves", [*runs, baseline, gone], by=["variant", "baseline.model"])
    (axes,) = figure.axes
    assert set(lines(axes)["krr"].get_ydata()) == {3.0}
    (cross,) = [line for line in axes.lines if line.get_marker() == "x"]
    assert cross.get_xydata().tolist() == [[12503, 20]]
    assert note(figure).endswith("diverged in 2 of 2 folds (iterations 12503 to 12504, learning rate 0.01)")
    with pytest.raises(QM7Error, match=r"^there is no curve to draw: baselines are fitted at once$"):
        draw("curves", [baseline])


@pytest.mark.parametrize(("dataset", "maes", "drawn"), [("small", (3, 4), 0), ("qm7", (3, 4), 1), ("qm7", (9, 10), 0)])
def test_the_papers_error_is_drawn_for_qm7_alone_and_named_where_it_is_out_of_range(dataset, maes, drawn):
    figure = draw("curves", [of_variant("original", maes, dataset=dataset)])
    assert [text.get_text() for text in figure.axes[0].texts] == ["3.51"] * drawn
    assert ("3.51 is the paper's after 1,000,000" in note(figure)) == (dataset == "qm7")


def test_a_difference_is_the_mean_of_pairs_with_the_interval_of_compare(runs):
    figure = draw("differences", runs, reference="corrected")
    (axes,) = figure.axes
    told = {group.name: group.difference for group in compare_groups(runs, reference="corrected").groups}
    assert list(lines(axes)) == ["original", "no-prebias"]
    assert note(figure).startswith("Zero: corrected;")
    for name, band in zip(lines(axes), axes.collections, strict=True):
        own = np.array([3, 2, 1]) * np.mean(np.subtract(MAES[name], MAES["corrected"]))
        np.testing.assert_allclose(lines(axes)[name].get_ydata(), own)
        assert own[-1] == pytest.approx(told[name].mean)
        _, low, high = edges(band)
        assert (low[-1], high[-1]) == pytest.approx(told[name].t_test.interval)


def test_what_has_no_counterpart_is_named_below_the_differences_or_refused(runs):
    other = of_variant("no-prebias", sha256="1")
    assert note(draw("differences", [*runs[:2], other])).endswith("not comparable: no-prebias")
    with pytest.raises(QM7Error, match=r"^no-prebias cannot be compared with original: fold 0 of "):
        draw("differences", [runs[0], other])
    with pytest.raises(QM7Error, match=r"^there is no difference to draw: all runs is the only group with a complete "):
        draw("differences", runs[:1])
    (axes,) = draw("differences", [of_variant("original", (3,)), of_variant("corrected", (4,))]).axes
    assert not axes.collections  # one test set allows no test


def test_folds_stand_side_by_side_with_their_mean_and_a_line_joins_what_is_paired(runs):
    (axes,) = draw("folds", runs).axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0", "1", "mean"]
    for group in compare_groups(runs).groups:
        dots = lines(axes)[group.name].get_xydata()
        assert [(round(x), y) for x, y in dots] == [(key[0], fold.mae) for key, fold in group.folds.items()]
    means = [container[0].get_xydata()[0] for container in axes.containers]
    assert [(round(x), y) for x, y in means] == [(2, 4.0), (2, 4.3), (2, 3.25)]
    own = np.mean([(3.0, 5.0), (4.0, 4.0)], axis=0)  # over seeds
    (bar,) = axes.containers[0][2][0].get_segments()
    np.testing.assert_allclose(bar[:, 1], corrected_t(own, 12 / 48).interval)
    joined = [line.get_xdata() for line in axes.lines if line.get_color() == "0.7"]
    assert sorted(map(len, joined)) == [1, 1, 3, 3]  # one variant has a second seed


@pytest.mark.parametrize(("factor", "scale"), [(1, "linear"), (9, "linear"), (11, "log")])
def test_the_axis_of_errors_is_logarithmic_where_they_differ_by_ten_times(factor, scale):
    runs = [of_variant("original", (5, 5), ["network.offset=0"], "a"), *offsets(2, maes=(5 * factor, 5 * factor))]
    for kind in ("folds", "setting"):
        assert draw(kind, runs).axes[0].get_yscale() == scale
        assert draw(kind, runs, log=True).axes[0].get_yscale() == "log"
        assert draw(kind, runs, log=False).axes[0].get_yscale() == "linear"


def test_parity_has_all_predictions_of_each_group_and_their_errors_below(three_variants):
    runs = find_runs([three_variants])
    figure = draw("parity", runs)
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert titles == ["original", "corrected", "no-prebias"]
    by_name = {run.settings["variant"]: run for run in runs}
    for name, above, below in zip(titles, (0, 1, 4), (2, 3, 5), strict=True):
        folds = [read_predictions(by_name[name].path, fold) for fold in (0, 1)]
        truth, predicted = (np.hstack([getattr(own, key) for own in folds]) for key in ("targets", "predictions"))
        upper, lower = figure.axes[above], figure.axes[below]
        np.testing.assert_allclose(upper.lines[1].get_data(), [truth, predicted])
        np.testing.assert_allclose(lower.lines[0].get_data(), [truth, predicted - truth])
        assert upper.texts[0].get_text().startswith(f"MAE {abs(predicted - truth).mean():.2f}\nlargest ")
        bounds = sorted(line.get_ydata()[0] for line in lower.lines[1:4])
        beyond = sum(len(line.get_xdata()) for line in lower.lines[4:])
        assert beyond == (abs(predicted - truth) > lower.get_ylim()[1]).sum()
        assert bounds == pytest.approx(sorted([0, *np.percentile(predicted - truth, [5, 95])]))
    whole = compare_groups(runs)
    with pytest.raises(QM7Error, match=r"^there are 6 groups, more than this figure can hold \(4\); "):
        KINDS["parity"].draw(whole._replace(groups=2 * whole.groups), Options())


def test_a_line_along_a_setting_is_the_mean_over_folds_with_its_deviation_to_each_side_and_a_schedule_its_last_rate():
    runs = [*offsets(0, maes=(3, 5)), *offsets(2, maes=(1, 2)), *offsets(0.5, maes=(4, 4))]
    (axes,) = draw("setting", runs).axes
    assert axes.lines[0].get_xydata().tolist() == [[0, 4], [0.5, 4], [2, 1.5]]
    (bars,) = axes.collections
    ends = [[tuple(end) for end in bar] for bar in bars.get_segments()]
    assert ends == [[(0, 3), (0, 5)], [(0.5, 4), (0.5, 4)], [(2, 1), (2, 2)]]
    assert axes.get_xlabel() == "Constant added to each hidden unit"
    assert [text.get_text() for text in axes.get_xticklabels()] == ["0", "0.5", "2"]
    schedules = ["[[1, 0.5], [10, 0.001]]", "[[1, 0.02]]", "[[1, 0.001], [5, 0.1]]"]
    (axes,) = draw("setting", [make_run(each, [f"training.schedule={each}"], [3, 4]) for each in schedules]).axes
    assert axes.lines[0].get_xdata().tolist() == [0.001, 0.02, 0.1]  # the last rate
    assert (axes.get_xscale(), axes.get_xlabel()) == ("log", "Last learning rate")


def test_diverged_folds_are_crosses_above_the_frame_a_row_a_group():
    runs = [
        *offsets(0, maes=(3, 4)),
        *offsets(1, maes=(3, None)),
        *offsets(2, maes=(None, None)),
        *offsets(0, 1, variant="corrected", maes=(3, 4)),
        *offsets(2, variant="corrected", maes=(None, 9)),
    ]
    figure = draw("setting", runs)
    (axes,) = figure.axes
    crosses = [line for line in axes.lines if line.get_marker() == "x" and len(line.get_xdata())]
    assert sorted(sorted(line.get_xdata()) for line in crosses) == [[1, 2], [2]]
    heights = {line.get_ydata()[0] for line in crosses}  # as parts of the frame's
    assert min(heights) > 1
    assert len(heights) == 2
    assert lines(axes)["original"].get_xydata().tolist() == [[0, 3.5], [1, 3]]
    hollow = [line.get_xydata().tolist() for line in axes.lines if line.get_markerfacecolor() == "w"]
    assert [own for own in hollow if own] == [[[1, 3]], [[2, 9]]]
    assert note(figure).endswith("crosses: folds diverged; hollow: the mean of those that did not")
    assert "crosses" not in note(draw("setting", offsets(0, 1)))


@pytest.mark.parametrize(("settings", "along", "reason"), [
    ([["seed=0"], ["seed=1"]], None, "there is no axis to draw along: the runs differ in no numeric setting"),
    ([["network.hidden=[3]"]], "network.hidden", r"network.hidden of 0 is \[3\], not a number"),
    ([["seed=1"]], "network.ofset", "there is no setting network.ofset; did you mean"),
    (
        [["training.schedule=[[1, 0.1]]"], ["training.schedule=[[1, 0.2], [9, 0.1]]"]],
        None,
        "0 and 1 have the same place along training.schedule: choose one",
    ),
])  # fmt: skip
def test_what_cannot_be_drawn_along_is_refused(settings, along, reason):
    runs = [make_run(f"{k}", own, [3, 4]) for k, own in enumerate(settings)]
    with pytest.raises(QM7Error, match=f"^{reason}"):
        draw("setting", runs, setting=along)


def test_more_than_four_groups_are_panels_by_what_differs_besides_the_rule_and_look_alike_in_all():
    swept = [of_variant(rule, settings=[f"network.offset={k}"], name=f"{rule}{k}") for rule in MAES for k in (-1, 0)]
    krr = make_run("krr", ["baseline.model=krr"], [2.5, 3.5], iterations=0)
    for kind in ("curves", "differences"):
        figure = draw(kind, [*swept, krr], by=["variant", "baseline.model", "network.offset"])
        assert [axes.get_title() for axes in figure.axes] == ["Offset \N{MINUS SIGN}1", "Offset 0"]
        shown = [
            {name: (own.get_color(), own.get_linestyle()) for name, own in lines(axes).items()} for axes in figure.axes
        ]
        assert {"corrected", "no-prebias", "krr"} <= {*shown[0]} & {*shown[1]}
        assert all(shown[0][name] == look for name, look in shown[1].items())
    assert len(lines(draw("curves", swept[:4]).axes[0])) == 4


def test_the_picture_of_the_readme_has_both_targets_and_the_published_errors():
    results = Path(__file__).parents[2] / "experiments/results"
    by = ["variant", "target.subtract", "encoding.center", "network.offset", "training.iterations"]
    figure = draw("setting", find_runs([results / "offset", results / "composition"]), by, setting="network.offset")
    titles = ["Composition subtracted, 20,000 iterations", "Mean subtracted, 50,000 iterations"]
    assert [axes.get_title().replace("\n", " ") for axes in figure.axes] == titles
    ends = [[round(lines(axes)[rule].get_ydata()[-1], 2) for rule in MAES] for axes in figure.axes]
    assert ends == [[3.18, 3.76, 3.78], [4.25, 5.76, 5.77]]
    assert note(figure).endswith("not drawn: 4 groups with one value on the axis")  # those with features not centered


def test_lines_with_one_value_on_the_axis_are_left_out_where_others_have_more():
    alone = [of_variant("corrected", settings=["encoding.center=false"], name="alone")]
    figure = draw("setting", [*offsets(0, 1), *alone])
    assert len(figure.axes[0].collections) == 1
    assert note(figure).endswith("not drawn: 1 group with one value on the axis")


def test_a_triangle_is_where_a_line_of_differences_leaves_the_frame(runs):
    early = evaluated(runs[1], *({10: mae + 90, 100: mae + 9, 1000: mae} for mae in (3.0, 5.1)))
    base = evaluated(runs[0], *({10: mae, 100: mae, 1000: mae} for mae in (3.0, 5.0)))
    figure = draw("differences", [base, early])
    (axes,) = figure.axes
    (triangle,) = [
        line for line in axes.lines if line.get_marker() == "^" and line.get_ydata()[0] == axes.get_ylim()[1]
    ]
    assert 10 < triangle.get_xdata()[0] < 100
    assert "triangle: the line leaves the frame" in note(figure)


def test_of_several_settings_one_is_chosen_and_the_others_make_lines():
    runs = [run for noise in (0, 2) for run in offsets(0, 1, settings=[f"encoding.noise={noise}"])]
    (axes,) = draw("setting", runs, setting="network.offset").axes
    assert list(lines(axes)) == ["noise=0.0", "noise=2.0"]
    with pytest.raises(QM7Error, match=r"choose the one to draw along, as qm7 plot --kind setting --x encoding.noise$"):
        draw("setting", runs)


def test_a_learning_curve_has_its_slope_in_the_legend_and_all_molecules_at_their_number():
    runs = [
        make_run(f"{given}-{size}", [given, f"split.train_size={size}"], [0.9 * mae, 1.1 * mae], train_molecules=number)
        for given, power in (("variant=corrected", -0.5), ("baseline.model=krr", -0.25))
        for size, number in ((100, 100), ("null", 1600), (400, 400))
        for mae in [30 * (number / 100) ** power]
    ]
    (axes,) = draw("setting", runs).axes
    assert (axes.get_xscale(), axes.get_yscale(), axes.get_xlabel()) == ("log", "log", "Training molecules")
    assert list(lines(axes)) == ["network, slope \N{MINUS SIGN}0.50", "krr, slope \N{MINUS SIGN}0.25"]
    np.testing.assert_allclose(
        lines(axes)["network, slope \N{MINUS SIGN}0.50"].get_xydata(), [(100, 30), (400, 15), (1600, 7.5)]
    )


@pytest.mark.parametrize("kind", KINDS)
def test_folds_that_diverged_are_told_below_and_without_a_complete_one_there_is_nothing_to_draw(of_kind, runs, kind):
    own = of_kind.get(kind, runs)
    last = change(own[-1], 1, status="diverged", mae=None, iterations=6, diverged_at=7, rate=1.0)
    told = note(draw(kind, [*own[:-1], last]))
    said = "crosses: folds diverged" if kind == "setting" else "diverged in 1 of "
    assert said in told
    gone = [change(change(run, 0, status="partial"), 1, status="partial") for run in own]
    with pytest.raises(QM7Error, match=r"^there is nothing to draw: no fold is complete$"):
        draw(kind, gone)


def test_names_are_drawn_as_they_are_and_a_picture_has_one_of_three_formats(runs, tmp_path):
    whole = compare_groups(runs, paired=False)
    names = ("data=$\\no$ <b>\udcff", "offset=-0.5")
    groups = [group._replace(name=name) for group, name in zip(whole.groups, names, strict=False)]
    for kind in ("curves", "folds"):
        save(KINDS[kind].draw(whole._replace(groups=groups), Options()), tmp_path / "odd.svg")
        text = "".join(ET.parse(tmp_path / "odd.svg").getroot().itertext())  # noqa: S314 - our own
        assert "data=$\\no$ <b>\\udcff" in text
        assert "offset=-0.5" in text
    with pytest.raises(QM7Error, match=r"is not the name of a figure: it should end in \.png, \.svg or \.pdf$"):
        save(draw("folds", runs), tmp_path / "x.jpg")


def test_pictures_in_one_page_have_ids_of_their_own_and_all_that_they_refer_to(of_kind, runs):
    found = []
    for kind in KINDS:
        svg = as_svg(draw(kind, of_kind.get(kind, runs)), kind)
        ET.fromstring(svg)  # noqa: S314 - our own
        ids = re.findall(r'\bid="([^"]*)"', svg)
        assert {*re.findall(r'href="#([^"]*)"', svg), *re.findall(r"url\(#([^)]*)\)", svg)} <= set(ids)
        found += ids
    assert len(found) == len(set(found))
