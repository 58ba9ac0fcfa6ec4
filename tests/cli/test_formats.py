"""Tables that fit a terminal."""

import pytest

from qm7cli.cli.common import WIDTH, plain_table
from qm7cli.cli.formats import fit, shorten

VARIANTS = ("original", "corrected", "no-prebias")
ERRORS = "56.99 +- 3.75"


def lines(fitted):
    return plain_table(*fitted.table, fitted.words).splitlines()


def folds(runs, *more, count=2):
    """Return a table of the folds of runs and their mean, with more cells in every row."""
    rows = [[run, fold, "complete", "400", *more] for run in runs for fold in [*map(str, range(count)), "mean"]]
    return ["run", "fold", "status", "iterations", *(f"column {k}" for k in range(len(more)))], rows


@pytest.mark.parametrize(
    ("names", "parts", "pattern"),
    [
        ([f"runs/qm7-{variant}-seed0" for variant in VARIANTS], VARIANTS, "runs/qm7-*-seed0"),
        (["runs/qm7-krr-seed0", "runs/qm7-krr-seed1"], ("seed0", "seed1"), "runs/qm7-krr-*"),
        (["a/x/b", "a/y/b"], ("x/", "y/"), "a/*b"),
        (["runs/a", "runs/many/a-b"], ("a", "many/a-b"), "runs/*"),
        (["r/krr", "r/krr-kernel=laplacian"], ("krr", "krr-kernel=laplacian"), "r/*"),
        (["ridge=1e-06", "ridge=1e-08"], ("ridge=1e-06", "ridge=1e-08"), "*"),
        (["here", "there"], ("here", "there"), "*"),
    ],
)
def test_names_are_cut_down_to_whole_parts_that_differ(names, parts, pattern):
    short, shared = shorten(names)
    assert shared == pattern
    assert tuple(short[name] for name in names) == parts
    assert [shared.replace("*", part) for part in parts] == names


def test_a_table_that_fits_stays_as_it_is():
    table = folds(["runs/original"], "6.03 +- 0.25")
    fitted = fit(table, 2, "kcal/mol", ("status",))
    assert (list(fitted.table[0]), [list(row) for row in fitted.table[1]]) == (table[0], table[1])
    assert fitted.after == "kcal/mol\n"


def test_what_is_the_same_everywhere_is_said_under_a_table_that_is_too_wide():
    fitted = fit(folds(["runs/original"], *3 * [ERRORS]), 2, "kcal/mol", ("status", "iterations"))
    assert lines(fitted)[0].split() == ["fold", "status", "iterations", "column", "0", "column", "1", "column", "2"]
    assert fitted.after == "kcal/mol; run: runs/original\n"
    fitted = fit(folds(["runs/original"], *5 * [ERRORS]), 2, "kcal/mol", ("status", "iterations"))
    assert lines(fitted)[1].split() == ["0", *5 * ERRORS.split()]
    assert fitted.after == "kcal/mol; run: runs/original; status: complete; iterations: 400\n"
    assert fitted.fits


def test_runs_are_told_apart_by_what_differs_in_their_names():
    runs = [f"runs/variants/qm7-{variant}-seed0" for variant in VARIANTS]
    fitted = fit(folds(runs, *3 * [ERRORS]), 2, "kcal/mol", ("status", "iterations"))
    assert [line.split()[0] for line in lines(fitted)[1::3]] == list(VARIANTS)
    assert fitted.after == "kcal/mol; run: runs/variants/qm7-*-seed0; status: complete\n"
    assert fitted.fits


def test_runs_with_long_names_are_headings_of_their_rows():
    runs = ["runs/original", f"runs/{'x' * 60}"]
    fitted = fit(folds(runs, *2 * [ERRORS]), 2, "kcal/mol", ("status", "iterations"))
    assert lines(fitted)[1] == "original"
    assert [line.split()[0] for line in lines(fitted)[1:]] == ["original", "0", "1", "mean", "x" * 60, "0", "1", "mean"]
    assert fitted.fits


def test_runs_are_left_out_where_other_columns_tell_the_rows_apart():
    rows = [[f"runs/{name * 30}", name, "0", *4 * [ERRORS]] for name in ("a", "b")]
    table = ["run", "variant", "fold", *"stuv"], rows
    assert fit(table, 3, keys=("variant", "fold")).table == (list(table[0][1:]), [tuple(row[1:]) for row in rows])
    assert lines(fit(table, 3, keys=("fold",)))[1] == "a" * 30


def test_columns_are_left_out_the_least_needed_first_and_that_is_said():
    rows = [[name, *4 * [f"{name} +- 1"], "all"] for name in ("a" * 20, "b" * 20)]
    rows[0][1] = "-"  # and so not what the other row has
    rows[1][1] = "a"
    fitted = fit((["fold", *"stuv", "w"], rows), 1, "kcal/mol", ("w", "s", "t", "u"))
    assert fitted.table[0] == ["fold", "u", "v"]
    assert fitted.after == "kcal/mol; w: all; not shown: s, t\n"
    assert fitted.fits


def test_a_column_that_says_nothing_is_left_out_wherever_there_is_room():
    assert fit((["fold", "a", "b"], [["0", "-", "-"], ["mean", "", "1"]]), 1, optional=("a", "b")).table == (
        ["fold", "b"],
        [("0", "-"), ("mean", "1")],
    )


def test_the_text_under_a_table_fits_but_no_path_is_broken():
    path = "runs/" + "x-" * 60
    *text, last = fit(folds([path], *5 * [ERRORS]), 2, "MAE and RMSE", ("status", "iterations")).after.splitlines()
    assert f"{path};" in text
    assert max(map(len, {*text, last} - {f"{path};"})) <= WIDTH
