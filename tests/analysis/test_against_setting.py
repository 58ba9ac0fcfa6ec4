"""Pictures of errors along a setting, drawn of results that are written here, number by number."""

from pathlib import Path

import numpy as np
import pytest

from qm7cli.analysis.compare import compare_groups
from qm7cli.analysis.plots import KINDS, Options
from qm7cli.core.errors import QM7Error
from qm7cli.core.validation import flatten
from qm7cli.runs.collect import Run
from qm7cli.runs.environment import RunEnvironment
from qm7cli.runs.experiment import resolve, unused_keys
from qm7cli.runs.results import DatasetRecord, FoldResult, RunResults


def make_run(name, settings, maes, train=None):
    """Return a run with such test MAEs by fold; None is a fold that diverged."""
    experiment = resolve(None, settings, {})
    folds = [
        FoldResult(
            fold=fold,
            status="diverged" if mae is None else "complete",
            mae=mae,
            rmse=mae,
            iterations=100,
            seconds=1,
            train_molecules=train,
        )
        for fold, mae in enumerate(maes)
    ]
    results = RunResults(
        dataset=DatasetRecord(name="small", sha256="0"), folds=folds, config=experiment, environment=RunEnvironment()
    )
    known = dict(flatten(experiment.model_dump(mode="json")))
    left = {key: value for key, value in known.items() if key not in {"split.folds", *unused_keys(experiment)}}
    return Run(Path(name), left, results)


def draw(kind, runs, by=(), **options):
    return KINDS[kind].draw(compare_groups(runs, by, paired=False), Options(**options))


def lines(axes):
    """Return the drawn lines that have a name, by it."""
    return {line.get_label(): line for line in axes.lines if not line.get_label().startswith("_")}


def crosses(axes):
    """Return where the crosses of each row are, from the top."""
    marks = [line for line in axes.lines if line.get_marker() == "x"]
    return [sorted(line.get_xdata()) for line in sorted(marks, key=lambda line: -line.get_ydata()[0])]


def offsets(*values, variant="original", maes=(3.0, 5.0), **settings):
    return [
        make_run(
            f"{variant}-{value}", [f"network.offset={value}", f"variant={variant}", *settings.get("more", ())], maes
        )
        for value in values
    ]


def test_a_line_is_the_mean_over_folds_with_its_deviation_to_each_side():
    runs = [
        make_run("a", ["network.offset=0"], [3, 5]),
        make_run("b", ["network.offset=2"], [1, 2]),
        make_run("c", ["network.offset=0.5"], [4, 4]),
    ]
    (axes,) = draw("rates", runs).axes
    (line,) = (line for line in axes.lines if line.get_marker() == "o")
    assert line.get_xydata().tolist() == [[0, 4], [0.5, 4], [2, 1.5]]
    (bars,) = axes.collections
    assert [[tuple(end) for end in bar] for bar in bars.get_segments()] == [
        [(0, 3), (0, 5)],
        [(0.5, 4), (0.5, 4)],
        [(2, 1), (2, 2)],
    ]
    assert axes.get_xlabel() == "network.offset"
    assert [text.get_text() for text in axes.get_xticklabels()] == ["0", "0.5", "2"]
    low, high = axes.get_ylim()
    assert low < 1
    assert high > 5


def test_seeds_are_averaged_before_the_deviation_over_folds():
    runs = [
        make_run(f"{offset}-{seed}", [f"network.offset={offset}", f"seed={seed}"], maes)
        for offset in (0, 1)
        for seed, maes in enumerate(([3, 6], [5, 8]))
    ]
    (axes,) = draw("rates", runs).axes
    assert axes.collections[0].get_segments()[0][:, 1].tolist() == [4, 7]


def test_a_schedule_counts_by_its_last_rate_on_a_logarithmic_axis():
    schedules = ["[[1, 0.5], [10, 0.001]]", "[[1, 0.02]]", "[[1, 0.001], [5, 0.1]]"]
    runs = [make_run(schedule, [f"training.schedule={schedule}"], [3, 4]) for schedule in schedules]
    (axes,) = draw("rates", runs).axes
    assert axes.lines[0].get_xdata().tolist() == [0.001, 0.02, 0.1]
    assert axes.get_xscale() == "log"
    assert axes.get_xlabel() == "Last learning rate (training.schedule)"


def test_diverged_folds_are_crosses_a_row_a_group_above_all_else():
    runs = [
        *offsets(0, maes=(3, 4)),
        *offsets(1, maes=(3, None)),
        *offsets(2, maes=(None, None)),
        *offsets(0, 1, variant="corrected", maes=(3, 4)),
        *offsets(2, variant="corrected", maes=(None, 9)),
        *offsets(0, 1, 2, variant="no-prebias", maes=(3, 4)),
    ]
    figure = draw("rates", runs)
    (axes,) = figure.axes
    assert crosses(axes) == [[1, 2], [2]]
    assert lines(axes)["original"].get_xydata().tolist() == [[0, 3.5], [1, 3]]
    assert lines(axes)["corrected"].get_xydata().tolist() == [[0, 3.5], [1, 3.5], [2, 9]]
    hollow = [line for line in axes.lines if line.get_markerfacecolor() == "white"]
    assert [line.get_xydata().tolist() for line in hollow] == [[[1, 3]], [[2, 9]]]
    lowest = min(line.get_ydata()[0] for line in axes.lines if line.get_marker() == "x")
    assert axes.transAxes.transform((0, lowest))[1] > axes.transData.transform((0, 9))[1]
    assert figure.get_supxlabel().startswith("Crosses")
    assert "hollow" in figure.get_supxlabel()
    assert "hollow" not in draw("rates", [*offsets(0, 1), *offsets(2, maes=(None, None))]).get_supxlabel()
    assert not draw("rates", offsets(0, 1)).get_supxlabel()


def test_variants_are_lines_and_other_settings_panels_with_the_same_axes():
    runs = [
        run
        for variant in ("original", "no-prebias")
        for centre in ("true", "false")
        for run in offsets(
            0, 1, variant=variant, maes=(3, 5 if centre == "true" else 50), more=[f"encoding.centre={centre}"]
        )
    ]
    runs = [run._replace(path=Path(f"{k}")) for k, run in enumerate(runs)]
    upper, lower = draw("rates", runs).axes
    assert [axes.get_title() for axes in (upper, lower)] == ["centre=false", "centre=true"]
    assert list(lines(upper)) == list(lines(lower)) == ["original", "no-prebias"]
    assert lines(lower)["original"].get_ydata().tolist() == [4, 4]
    assert upper.get_ylim() == lower.get_ylim()
    (one,) = draw("rates", [run for run in runs if run.settings["variant"] == "original"]).axes[:1]
    assert list(lines(one)) == ["centre=false", "centre=true"]  # without variants these are the lines


@pytest.mark.parametrize(("high", "scale"), [(29, "linear"), (30, "log")])
def test_the_axis_of_errors_is_logarithmic_where_they_differ_by_ten_times(high, scale):
    runs = [make_run("a", ["network.offset=0"], [3, 3]), make_run("b", ["network.offset=2"], [high, high])]
    assert draw("rates", runs).axes[0].get_yscale() == scale


def test_the_setting_may_be_chosen_where_several_differ():
    runs = [
        make_run(f"{offset}-{noise}", [f"network.offset={offset}", f"encoding.noise={noise}"], [offset + 1, noise + 1])
        for offset in (0, 1)
        for noise in (0, 2)
    ]
    reason = (
        "the runs differ in encoding.noise and network.offset: choose the one to draw along, "
        "as qm7 plot --kind rates --x encoding.noise"
    )
    with pytest.raises(QM7Error, match=f"^{reason}$"):
        draw("rates", runs)
    (axes,) = draw("rates", runs, setting="encoding.noise").axes
    assert {name: line.get_xdata().tolist() for name, line in lines(axes).items()} == {
        "offset=0.0": [0, 2],
        "offset=1.0": [0, 2],
    }
    (axes,) = draw("rates", runs, by=["encoding.noise"], setting="network.offset").axes
    assert list(lines(axes)) == ["noise=0.0", "noise=2.0"]


@pytest.mark.parametrize(
    ("settings", "options", "reason"),
    [
        ([["seed=0"], ["seed=1"]], {}, "there is no axis to draw along: the runs differ in no numeric setting"),
        (
            [["network.hidden=[3]"], ["network.hidden=[4]"]],
            {},
            "there is no axis to draw along: the runs differ in no ",
        ),
        (
            [["network.hidden=[3]"]],
            {"setting": "network.hidden"},
            r"network.hidden of 0 is \[3\], not a number to draw",
        ),
        ([["seed=1"]], {"setting": "split.train_size"}, "split.train_size of 0 is null, not a number to draw along"),
        ([["seed=1"]], {"setting": "encoding.centre"}, "encoding.centre of 0 is true, not a number to draw along"),
        (
            [["seed=1"]],
            {"setting": "network.ofset"},
            'there is no setting network.ofset; did you mean "network.offset"',
        ),
        ([["baseline.model=mean"]], {"setting": "network.offset"}, "there is no setting network.offset"),
        (
            [["training.schedule=[[1, 0.1]]"], ["training.schedule=[[1, 0.2], [9, 0.1]]"]],
            {},
            "0 and 1 have the same place along training.schedule: choose one of them",
        ),
        ([["seed=1", "network.offset=1"]], {}, "there is no axis to draw along"),
    ],
)
def test_what_cannot_be_drawn_along_is_refused(settings, options, reason):
    runs = [make_run(f"{k}", own, [3, 4]) for k, own in enumerate(settings)]
    with pytest.raises(QM7Error, match=f"^{reason}"):
        draw("rates", runs, **options)


def test_more_panels_than_fit_are_refused():
    runs = [
        make_run(
            f"{variant}-{noise}-{offset}",
            [f"variant={variant}", f"encoding.noise={noise}", f"network.offset={offset}"],
            [3],
        )
        for variant in ("original", "corrected")
        for noise in range(7)
        for offset in (0, 1)
    ]
    with pytest.raises(
        QM7Error, match=r"^there are 7 panels, more than this picture can hold \(6\); choose fewer runs$"
    ):
        draw("rates", runs, setting="network.offset")


def test_where_all_diverged_there_is_nothing_to_draw():
    with pytest.raises(QM7Error, match=r"^there is nothing to draw: no fold is complete$"):
        draw("rates", offsets(0, 1, maes=(None, None)))


def sizes(*settings, power=-0.5):
    """Return runs with three numbers of training molecules, whose errors go as a power of them."""
    return [
        make_run(f"{settings}-{size}", [*settings, f"split.train_size={size}"], [0.9 * mae, 1.1 * mae], train=molecules)
        for size, molecules in ((100, 100), ("null", 1600), (400, 400))
        for mae in [30 * (molecules / 100) ** power]
    ]


def test_a_learning_curve_is_the_mean_over_folds_with_its_slope_in_the_legend():
    runs = [*sizes("variant=corrected"), *sizes("baseline.model=krr", power=-0.25)]
    figure = draw("learning", runs)
    (axes,) = figure.axes
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    named = lines(axes)
    assert list(named) == ["network, slope \N{MINUS SIGN}0.50", "krr, slope \N{MINUS SIGN}0.25"]
    curve = named["network, slope \N{MINUS SIGN}0.50"]
    np.testing.assert_allclose(curve.get_xydata(), [(100, 30), (400, 15), (1600, 7.5)])
    below, above = (line.get_ydata() for line in axes.lines[:2])
    np.testing.assert_allclose(below, [27, 13.5, 6.75])
    np.testing.assert_allclose(above, [33, 16.5, 8.25])
    assert "one standard deviation" in figure.get_supxlabel().replace("\n", " ")


def test_a_group_with_one_number_of_molecules_is_a_point_without_a_slope():
    figure = draw("learning", [*sizes("variant=corrected"), sizes("baseline.model=mean")[0]])
    assert [name for name in lines(figure.axes[0]) if "slope" not in name] == ["mean"]


def test_without_two_numbers_of_molecules_there_is_no_learning_curve():
    with pytest.raises(QM7Error, match=r"^there is no learning curve to draw: no group was trained on two numbers of "):
        draw("learning", offsets(0, 1))
    runs = [
        run._replace(
            results=run.results.model_copy(
                update={"folds": [fold.model_copy(update={"train_molecules": None}) for fold in run.results.folds]}
            )
        )
        for run in sizes()
    ]
    with pytest.raises(QM7Error, match=r"does not tell how many molecules fold 0 was trained on$"):
        draw("learning", runs)
