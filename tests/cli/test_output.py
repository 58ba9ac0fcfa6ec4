"""What is printed of texts that a user's files and names bring: for people, and for programs."""

import csv
import io
import json
import sys
from dataclasses import replace

import pytest

from qm7cli.cli.output import note, print_error, print_traceback, refuse_inputs, say, write_output
from qm7cli.cli.output import Table
from qm7cli.core.errors import QM7Error

ODD = "=a\x1b[31m\r\u202e[bold]\nb\u2028"
SHOWN = r"=a\x1b[31m\r\u202e[bold]\nb\u2028"
RECORDS = [{"run": ODD, "mae": -1.5, "said": ["a", "b"], "sizes": [3, 4], "none": None}]
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


@pytest.mark.parametrize(
    ("format_", "parse"),
    [
        ("csv", lambda text: next(csv.DictReader(io.StringIO(text, newline="")))),
        ("json", lambda text: json.loads(text)[0]),
    ],
)
def test_programs_get_every_name_as_it_is_and_a_terminal_does_not(printed, tmp_path, format_, parse):
    assert is_harmless(printed(TABLE, RECORDS, format_))
    read = parse(printed(TABLE, RECORDS, format_, terminal=False))
    assert read["run"] == ODD
    if format_ == "csv":
        assert [read[key] for key in ("mae", "said", "sizes", "none")] == ["-1.5", "a; b", "[3, 4]", ""]
    else:
        assert read == RECORDS[0]
    write_output(TABLE, RECORDS, None, tmp_path / f"x.{format_}")  # the ending chooses
    assert parse((tmp_path / f"x.{format_}").read_bytes().decode()) == read


@pytest.mark.parametrize("name", ["'2-ethanol", "=1", "-1", "@a", 'a "b", c'])
def test_csv_is_data_and_nothing_is_escaped_but_by_quoting(printed, name):
    text = printed(TABLE, [{"molecule": name}], "csv", terminal=False)
    assert list(csv.reader(io.StringIO(text))) == [["molecule"], [name]]
    assert text.splitlines()[1] == (name if "," not in name else '"a ""b"", c"')


@pytest.mark.parametrize(
    ("name", "start"), [("x.md", "| run"), ("x.TEX", r"\begin{tabular}{lr}"), ("x.txt", "run"), ("x", "run")]
)
def test_the_ending_of_the_output_is_the_format_unless_one_is_given(tmp_path, name, start):
    write_output(TABLE, RECORDS, None, tmp_path / name)
    assert (tmp_path / name).read_text().startswith(start)
    assert write_output(TABLE, RECORDS, "csv", tmp_path / name) == "csv"
    assert (tmp_path / name).read_text().startswith("run,mae")


def test_an_output_is_no_input_and_in_no_directory_that_is_read(tmp_path):
    (tmp_path / "run/fold-0").mkdir(parents=True)
    (tmp_path / "data.mat").touch()
    (tmp_path / "link").symlink_to("run/fold-0")
    inputs = [tmp_path / "run", tmp_path / "data.mat", None]
    for output, reason in (
        ("run/x.csv", "lies in the run "),
        ("link/x.csv", "lies in the run "),
        ("data.mat", "is also read here"),
    ):
        with pytest.raises(QM7Error, match=f"{output} {reason}.*; choose another output$"):
            refuse_inputs(tmp_path / output, inputs)
    refuse_inputs(tmp_path / "x.csv", inputs)
    refuse_inputs(None, inputs)
