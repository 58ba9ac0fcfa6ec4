"""What is printed of texts that a user's files and names bring: for people, and for programs."""

import csv
import io
import json
import sys
from dataclasses import replace

import pytest

from qm7cli.cli.output import Table, note, print_error, print_traceback, say, write_output

ERRORS = "56.99 +- 3.75"
ODD = "=a\x1b[31m\r\u202e[bold]\nb\u2028"
SHOWN = r"=a\x1b[31m\r\u202e[bold]\nb\u2028"
RECORDS = [{"run": ODD, "mae": -1.5, "said": ["a", "b"], "sizes": [3, 4], "none": None, "outside": True}]
TABLE = Table({"run": [ODD, "mean"], "mae": ["-1.50 +- 1", "2"]}, {"run"}, units={"mae": "kcal/mol"})


@pytest.fixture
def printed(monkeypatch, capsys):
    """Says what is printed on a terminal of 200 columns, or into a pipe."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("TERM", "dumb")

    def out(*args, terminal=True, **kwargs):
        with monkeypatch.context() as patch:
            patch.setattr(sys.stdout, "isatty", lambda: terminal)
            write_output(*args, **kwargs)
        return capsys.readouterr().out

    return out


def is_harmless(text):
    """Say whether nothing in a text but its ends of lines steers a terminal."""
    return all(map(str.isprintable, text.split("\n")))


def test_names_stay_in_their_cell_and_line_wherever_a_table_is_printed(printed):
    drawn = printed(TABLE)
    assert is_harmless(drawn)
    assert SHOWN in drawn
    assert "──" in drawn
    plain = printed(replace(TABLE, below=f"Sentence on {ODD}.\n"), terminal=False)
    assert is_harmless(plain)
    assert [line.split() for line in plain.splitlines()[1:3]] == [[SHOWN, "-1.50", "+-", "1"], ["mean", "2"]]


def test_sentences_are_one_line_on_both_outputs(capsys):
    say(f"{ODD}/results.yaml")
    note(f"there are 3 atoms in {ODD}/x")
    print_error(f"cannot read {ODD}")
    print_traceback(f"Traceback:\n  {ODD}\n")
    out, err = capsys.readouterr()
    assert out == f"{SHOWN}/results.yaml\n"
    assert err.splitlines()[1] == r"qm7: cannot read =a\x1b[31m \u202e[bold] b"
    assert is_harmless(err)


def test_tables_for_other_pages_have_a_line_a_row_and_units(printed):
    markdown = printed(replace(TABLE, sentences=["Said."]), RECORDS, "markdown", terminal=False)
    assert markdown.splitlines()[:2] == ["| run | mae, kcal/mol |", "| --- | ---: |"]
    assert markdown.endswith("| mean | 2 |\n\n- Said.\n")
    latex = printed(TABLE, RECORDS, "latex", terminal=False)
    assert r"$-$1.50 $\pm$ 1 \\" in latex
    for text in (markdown, latex):
        assert is_harmless(text)
        assert text.count("31m") == 1


@pytest.mark.parametrize(("format_", "parse"), [
    ("csv", lambda text: next(csv.DictReader(io.StringIO(text, newline="")))),
    ("json", lambda text: json.loads(text)[0]),
])  # fmt: skip
def test_programs_get_every_name_as_it_is_and_a_terminal_does_not(printed, tmp_path, format_, parse):
    assert is_harmless(printed(TABLE, RECORDS, format_))
    read = parse(printed(TABLE, RECORDS, format_, terminal=False))
    assert read["run"] == ODD
    if format_ == "csv":
        expected = {"mae": "-1.5", "said": "a; b", "sizes": "[3, 4]", "none": "", "outside": "true"}
        assert read == {"run": ODD} | expected
    else:
        assert read == RECORDS[0]
    write_output(TABLE, RECORDS, None, tmp_path / f"x.{format_}")  # the ending chooses
    assert parse((tmp_path / f"x.{format_}").read_bytes().decode()) == read


def test_csv_is_data_and_nothing_is_escaped_but_by_quoting(printed):
    records = [{"molecule": name} for name in ("'2-ethanol", "=1", "@a", 'a "b", c')]
    text = printed(TABLE, records, "csv", terminal=False)
    assert text.splitlines() == ["molecule", "'2-ethanol", "=1", "@a", '"a ""b"", c"']


@pytest.mark.parametrize(("name", "start"), [("x.md", "| run"), ("x.TEX", r"\begin{tabular}{lr}"), ("x", "run")])
def test_the_ending_of_the_output_is_the_format_unless_one_is_given(tmp_path, name, start):
    write_output(TABLE, RECORDS, None, tmp_path / name)
    assert (tmp_path / name).read_text().startswith(start)
    assert write_output(TABLE, RECORDS, "csv", tmp_path / name) == "csv"
    assert (tmp_path / name).read_text().startswith("run,mae")


def table(header, rows, left, **fitting):
    """Return a table, the first columns of which are set to the left."""
    columns = dict(zip(header, map(list, zip(*rows, strict=True)), strict=True))
    return Table(columns, set(header[:left]), ["kcal/mol"], **fitting)


def lines(fitted):
    assert not fitted.is_too_wide
    return fitted.text().splitlines()


def test_a_table_that_is_too_wide_says_under_it_what_is_the_same_and_has_runs_as_headings_of_their_rows():
    header = ["run", "fold", "status", "iterations", *"abcde"]
    rows = [[fold, "complete", "400", *5 * ["56.99 +- 3.75"]] for fold in ("0", "1", "mean")]
    whole = table(header, [["runs/original", *row] for row in rows], 2, optional=("status", "iterations"))
    fitted = lines(whole.fit())
    assert fitted[1].split() == ["0", *5 * ["56.99", "+-", "3.75"]]
    assert fitted[-1] == "kcal/mol; run: runs/original; status: complete; iterations: 400"
    assert len(whole.columns) == 9  # other formats have all
    runs = ["runs/original", f"runs/{'x' * 90}"]
    several = table(header, [[run, *row] for run in runs for row in rows], 2, optional=("status", "iterations"))
    first = [line.split()[0] for line in lines(several.fit())[1:-1]]
    assert first == [runs[0], "0", "1", "mean", runs[1], "0", "1", "mean"]


def test_columns_are_left_out_the_least_needed_first_and_that_is_said():
    rows = [[name, *4 * [f"{name} +- 1"], "all"] for name in ("a" * 20, "b" * 20)]
    rows[0][1], rows[1][1] = "-", "a"
    fitted = table(["fold", *"stuv", "w"], rows, 1, optional=("w", "s", "t", "u")).fit()
    assert list(fitted.columns) == ["fold", "u", "v"]
    assert lines(fitted)[-1] == "kcal/mol; w: all; not shown: s, t"


def test_keys_are_kept_a_name_takes_several_lines_and_a_wide_terminal_shows_all(printed):
    rows = [["some words of a name " * 4, state, *4 * [ERRORS]] for state in ("complete", "partial")]
    made = table(["group", "status", *"stuv"], rows, 1, shared=["status"], optional=["s"], wrapped="group")
    fitted = made.fit()
    assert list(fitted.columns) == ["group", "status", *"tuv"]
    assert len(lines(fitted)) > 1 + 2 + 1
    assert max(map(len, lines(fitted))) <= 80
    assert "not shown" not in printed(replace(made, details=["v"]))  # 200 columns
    assert "some words of a name some words" in printed(made)
    assert [line.count("&") for line in printed(replace(made, details=["v"]), format_="latex").splitlines()[2:3]] == [4]


def test_a_warning_breaks_between_words_on_a_terminal_and_nowhere_else(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "42")
    note("words " * 20)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    note("words " * 20)
    whole, *broken = capsys.readouterr().err.splitlines()
    assert whole == ("words " * 20).strip()
    assert {*" ".join(broken).split()} == {"words"}
    assert max(map(len, broken)) <= 40
