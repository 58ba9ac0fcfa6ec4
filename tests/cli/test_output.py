"""What is printed of texts that a user's files and names bring: for people, and for programs."""

import csv
import io
import json
import sys
from dataclasses import replace

import pytest

from qm7cli.cli.output import format_records, note, print_error, print_traceback, say, write_output
from qm7cli.cli.tables import Table
from qm7cli.core.yaml_text import parse_yaml

ODD = "=a\x1b[31m\r\u202e[bold]\nb\u2028"
SHOWN = r"=a\x1b[31m\r\u202e[bold]\nb\u2028"
RECORDS = [{"run": ODD, "mae": -1.5}]
TABLE = Table({"run": [ODD, "mean"], ODD: ["-1.50", "2"]}, {"run"})


@pytest.fixture
def printed(monkeypatch, capsys):
    """Says what is printed on a terminal of 200 columns, or into a pipe."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("TERM", "dumb")

    def out(print_, *args, terminal=True, **kwargs):
        with monkeypatch.context() as patch:
            patch.setattr(sys.stdout, "isatty", lambda: terminal)
            print_(*args, **kwargs)
        return capsys.readouterr().out

    return out


def is_harmless(text):
    """Say whether nothing in a text but its ends of lines steers a terminal."""
    return all(map(str.isprintable, text.split("\n")))


def test_names_stay_in_their_cell_and_line_wherever_a_table_is_printed(printed):
    drawn = printed(write_output, TABLE)
    assert is_harmless(drawn)
    assert drawn.count(SHOWN) == 2
    assert "──" in drawn
    plain = printed(write_output, replace(TABLE, below=f"Sentence on {ODD}.\n"), terminal=False)
    assert is_harmless(plain)
    assert [line.split() for line in plain.splitlines()[:3]] == [["run", SHOWN], [SHOWN, "-1.50"], ["mean", "2"]]


def test_sentences_are_one_line_on_both_outputs(capsys):
    say(f"{ODD}/results.yaml")
    note(f"there are 3 atoms in {ODD}/x")
    print_error(f"cannot read {ODD}")
    print_traceback(f"Traceback:\n  {ODD}\n")
    out, err = capsys.readouterr()
    assert out == f"{SHOWN}/results.yaml\n"
    assert err.splitlines()[:2] == [
        r"there are 3 atoms in =a\x1b[31m \u202e[bold] b /x",
        r"qm7: cannot read =a\x1b[31m \u202e[bold] b",
    ]
    assert is_harmless(err)


@pytest.mark.parametrize("format_", ["markdown", "latex"])
def test_tables_for_other_pages_have_a_line_a_row(format_):
    text = format_records(format_, RECORDS, TABLE)
    assert is_harmless(text)
    assert text.count("31m") == 2 == len([line for line in text.splitlines() if "31m" in line])


@pytest.mark.parametrize(
    ("format_", "parse"),
    [
        ("csv", lambda text: next(csv.DictReader(io.StringIO(text, newline="")))["run"].removeprefix("'")),
        ("json", lambda text: json.loads(text)[0]["run"]),
        ("yaml", lambda text: parse_yaml(text, "x")[0]["run"]),
    ],
)
def test_programs_get_every_name_as_it_is_and_a_terminal_does_not(printed, tmp_path, format_, parse):
    text = format_records(format_, RECORDS, TABLE)
    assert is_harmless(printed(write_output, TABLE, text, None))
    assert parse(printed(write_output, TABLE, text, None, terminal=False)) == ODD
    write_output(TABLE, text, tmp_path / "x")
    assert parse((tmp_path / "x").read_bytes().decode()) == ODD
