"""Tables that fit 80 columns, as far as that is possible."""

from qm7cli.cli.output import Column, Table, make_table, show_number

ERRORS = "56.99 +- 3.75"


def table(header, rows, left, *notes, **fitting):
    """Return a table, the first columns of which are set to the left."""
    columns = dict(zip(header, map(list, zip(*rows, strict=True)), strict=True))
    return Table(columns, set(header[:left]), list(notes), **fitting)


def lines(fitted):
    return fitted.plain_text().splitlines()


def folds(runs, *more, optional=("status", "iterations")):
    """Return a table of two folds of each run and their mean, with more cells in every row."""
    rows = [[run, fold, "complete", "400", *more] for run in runs for fold in ("0", "1", "mean")]
    header = ["run", "fold", "status", "iterations", *(f"column {k}" for k in range(len(more)))]
    return table(header, rows, 2, "kcal/mol", optional=optional)


def test_a_table_that_fits_stays_as_it_is():
    own = folds(["runs/original"], "6.03 +- 0.25")
    assert (own.fit().columns, own.fit().after) == (own.columns, "kcal/mol\n")


def test_what_is_the_same_everywhere_is_said_under_a_table_that_is_too_wide():
    whole = folds(["runs/original"], *5 * [ERRORS])
    fitted = whole.fit()
    assert lines(fitted)[1].split() == ["0", *5 * ERRORS.split()]
    assert fitted.after == "kcal/mol; run: runs/original; status: complete; iterations: 400\n"
    assert not fitted.is_too_wide
    assert len(whole.columns) == 9  # other formats have all


def test_runs_are_headings_of_their_rows_however_long_they_are():
    fitted = folds(["runs/original", f"runs/{'x' * 90}"], *3 * [ERRORS]).fit()
    first = [line.split()[0] for line in lines(fitted)[1:]]
    assert first == ["runs/original", "0", "1", "mean", f"runs/{'x' * 90}", "0", "1", "mean"]
    assert not fitted.is_too_wide


def test_runs_are_left_out_where_other_columns_tell_the_rows_apart():
    rows = [[f"runs/{name * 30}", name, "0", *4 * [ERRORS]] for name in ("a", "b")]
    header = ["run", "variant", "fold", *"stuv"]
    fitted = table(header, rows, 3, keys=("variant", "fold")).fit()
    assert (list(fitted.columns), fitted.rows) == (header[1:], [tuple(row[1:]) for row in rows])
    assert lines(table(header, rows, 3, keys=("fold",)).fit())[1] == f"runs/{'a' * 30}"


def test_details_are_left_out_together_where_the_table_does_not_fit_with_them():
    rows = [[f"runs/{name}", name * 50, "0", "1", *2 * [ERRORS]] for name in ("a", "b")]
    fitted = table(["run", "s", "t", "fold", "u", "v"], rows, 3, details=["s", "t"], keys=["s", "t", "fold"]).fit()
    assert list(fitted.columns) == ["run", "fold", "u", "v"]


def test_columns_are_left_out_the_least_needed_first_and_that_is_said():
    rows = [[name, *4 * [f"{name} +- 1"], "all"] for name in ("a" * 20, "b" * 20)]
    rows[0][1], rows[1][1] = "-", "a"
    fitted = table(["fold", *"stuv", "w"], rows, 1, "kcal/mol", optional=("w", "s", "t", "u")).fit()
    assert list(fitted.columns) == ["fold", "u", "v"]
    assert fitted.after == "kcal/mol; w: all; not shown: s, t\n"


def test_a_column_that_says_nothing_is_left_out_wherever_there_is_room():
    fitted = table(["fold", "a", "b"], [["0", "-", "-"], ["mean", "", "1"]], 1, optional=("a", "b")).fit()
    assert (list(fitted.columns), fitted.rows) == (["fold", "b"], [("0", "-"), ("mean", "1")])


def test_columns_show_fields_by_name_in_whatever_order_records_have_them():
    columns = [Column("b", "B", show_number, unit="kcal/mol"), Column("a", "A", left=True)]
    records = [{"a": "x", "b": 1.5}, {"b": None, "a": "y", "c": 3}, {"a": "mean"}]
    assert make_table(records, columns, "units").columns == {"B": ["1.50", "-", ""], "A": ["x", "y", "mean"]}
    assert make_table(records, columns).header_with_units == ["B, kcal/mol", "A"]
