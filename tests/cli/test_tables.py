"""Tables that fit a terminal."""

import pytest

from qm7cli.cli.tables import WIDTH, Column, Table, make_table, shorten_names, show_number

VARIANTS = ("original", "corrected", "no-prebias")
ERRORS = "56.99 +- 3.75"


def table(header, rows, left, *notes):
    """Return a table, the first columns of which are set to the left."""
    return Table(dict(zip(header, map(list, zip(*rows, strict=True)), strict=True)), set(header[:left]), list(notes))


def lines(fitted):
    return fitted.plain_text().splitlines()


def folds(runs, *more, count=2):
    """Return a table of the folds of runs and their mean, with more cells in every row."""
    rows = [[run, fold, "complete", "400", *more] for run in runs for fold in [*map(str, range(count)), "mean"]]
    header = ["run", "fold", "status", "iterations", *(f"column {k}" for k in range(len(more)))]
    return table(header, rows, 2, "kcal/mol")


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
    short, shared = shorten_names(names)
    assert shared == pattern
    assert tuple(short[name] for name in names) == parts
    assert [shared.replace("*", part) for part in parts] == names


def test_a_table_that_fits_stays_as_it_is():
    fitted = folds(["runs/original"], "6.03 +- 0.25")
    before = fitted.header, fitted.rows
    fitted.fit(("status",))
    assert (fitted.header, fitted.rows) == before
    assert fitted.after == "kcal/mol\n"


def test_what_is_the_same_everywhere_is_said_under_a_table_that_is_too_wide():
    fitted = folds(["runs/original"], *3 * [ERRORS]).fit(("status", "iterations"))
    assert lines(fitted)[0].split() == ["fold", "status", "iterations", "column", "0", "column", "1", "column", "2"]
    assert fitted.after == "kcal/mol; run: runs/original\n"
    fitted = folds(["runs/original"], *5 * [ERRORS]).fit(("status", "iterations"))
    assert lines(fitted)[1].split() == ["0", *5 * ERRORS.split()]
    assert fitted.after == "kcal/mol; run: runs/original; status: complete; iterations: 400\n"
    assert not fitted.is_too_wide


def test_runs_are_told_apart_by_what_differs_in_their_names():
    runs = [f"runs/variants/qm7-{variant}-seed0" for variant in VARIANTS]
    fitted = folds(runs, *3 * [ERRORS]).fit(("status", "iterations"))
    assert [line.split()[0] for line in lines(fitted)[1::3]] == list(VARIANTS)
    assert fitted.after == "kcal/mol; run: runs/variants/qm7-*-seed0; status: complete\n"
    assert not fitted.is_too_wide


def test_runs_with_long_names_are_headings_of_their_rows():
    runs = ["runs/original", f"runs/{'x' * 60}"]
    fitted = folds(runs, *2 * [ERRORS]).fit(("status", "iterations"))
    assert lines(fitted)[1] == "original"
    assert [line.split()[0] for line in lines(fitted)[1:]] == ["original", "0", "1", "mean", "x" * 60, "0", "1", "mean"]
    assert not fitted.is_too_wide


def test_runs_are_left_out_where_other_columns_tell_the_rows_apart():
    rows = [[f"runs/{name * 30}", name, "0", *4 * [ERRORS]] for name in ("a", "b")]
    header = ["run", "variant", "fold", *"stuv"]
    fitted = table(header, rows, 3).fit(keys=("variant", "fold"))
    assert (fitted.header, fitted.rows) == (header[1:], [tuple(row[1:]) for row in rows])
    assert lines(table(header, rows, 3).fit(keys=("fold",)))[1] == "a" * 30


def test_columns_are_left_out_the_least_needed_first_and_that_is_said():
    rows = [[name, *4 * [f"{name} +- 1"], "all"] for name in ("a" * 20, "b" * 20)]
    rows[0][1] = "-"  # and so not what the other row has
    rows[1][1] = "a"
    fitted = table(["fold", *"stuv", "w"], rows, 1, "kcal/mol").fit(("w", "s", "t", "u"))
    assert fitted.header == ["fold", "u", "v"]
    assert fitted.after == "kcal/mol; w: all; not shown: s, t\n"
    assert not fitted.is_too_wide


def test_a_column_that_says_nothing_is_left_out_wherever_there_is_room():
    fitted = table(["fold", "a", "b"], [["0", "-", "-"], ["mean", "", "1"]], 1).fit(("a", "b"))
    assert (fitted.header, fitted.rows) == (["fold", "b"], [("0", "-"), ("mean", "1")])


def test_the_text_under_a_table_fits_but_no_path_is_broken():
    path = "runs/" + "x-" * 60
    *text, last = folds([path], *5 * [ERRORS]).fit(("status", "iterations")).after.splitlines()
    assert f"{path};" in text
    assert max(map(len, {*text, last} - {f"{path};"})) <= WIDTH


def test_columns_show_fields_by_name_in_whatever_order_records_have_them():
    columns = [Column("b", "B", show_number, unit="kcal/mol"), Column("a", "A", left=True)]
    records = [{"a": "x", "b": 1.5}, {"b": None, "a": "y", "c": 3}, {"a": "mean"}]
    assert make_table(records, columns, "units").columns == {"B": ["1.50", "-", ""], "A": ["x", "y", "mean"]}
    assert make_table(records, columns).header_with_units == ["B, kcal/mol", "A"]
