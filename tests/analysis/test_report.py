"""The page on a comparison, read as a browser reads it."""

import re
import sys
from xml.etree import ElementTree as ET

import pytest

from qm7cli.analysis.compare import compare_groups
from qm7cli.analysis.report import render_report
from qm7cli.cli.compare import comparison_table
from qm7cli.core.errors import QM7Error
from qm7cli.runs.collect import find_runs
from records import change, evaluated, make_run


class Page:
    """What is on a page: the texts by tag, and the cells of each table's rows."""

    def __init__(self, html):
        self.root = ET.fromstring(re.sub("<!DOCTYPE html>|<meta [^>]*>", "", html))  # noqa: S314 - our own
        tables = self.root.iter("table")
        self.tables = [[["".join(cell.itertext()) for cell in row] for row in table.iter("tr")] for table in tables]

    def said(self, tag):
        return ["".join(element.itertext()) for element in self.root.iter(tag)]

    @property
    def pictures(self):
        return sum(element.tag.endswith("}svg") for element in self.root.iter())


def html(runs, command="", **options):
    comparison = compare_groups(runs, **options)
    table = comparison_table(comparison)
    return render_report(comparison, runs, list(table.columns), table.rows, command, options.get("reference"))


@pytest.fixture
def runs(three_variants):
    """Three variants on two folds, on disk."""
    return find_runs([three_variants])


def test_the_page_needs_nothing_else_and_the_same_runs_give_the_same_bytes(runs):
    text = html(runs)
    links = set(re.findall(r"https?://[^\s\"'<>]+", text))
    assert all("w3.org" in link or "purl.org" in link or "creativecommons" in link for link in links)
    assert not re.search(r"<(script|link|iframe|img)\b|@import|url\(h", text)
    assert html(runs) == text


def test_it_has_verdicts_figures_pictures_settings_and_environment(runs):
    page = Page(html(runs, "qm7 report <runs>"))
    comparison = compare_groups(runs)
    assert page.said("h1") == ["3 runs on small"]
    assert [text for text in page.said("p") if text in comparison.sentences] == comparison.sentences
    assert page.said("code") == ["qm7 report <runs>"]
    groups, of_runs, settings, environment = page.tables
    table = comparison_table(comparison)
    assert groups == [list(table.columns), *([cell.replace("+-", "±") for cell in row] for row in table.rows)]
    assert [row[:4] for row in of_runs[1:]] == [
        [str(run.path), run.settings["variant"], "0, 1", "complete"] for run in runs
    ]
    assert ["network.hidden", "[20, 10]"] in settings
    assert "numpy" in [row[0] for row in environment]
    assert page.pictures == 4  # all but the one along a setting
    assert [text.rstrip(".") for text in page.said("b")] == [
        "Test MAE against training iterations",
        "Test MAE minus the reference's against training iterations",
        "Test MAE of each fold, and the mean",
        "Predicted against true energies, and the errors",
    ]


def test_a_picture_that_cannot_be_drawn_is_left_out_with_the_reason():
    runs = [
        make_run(name, [f"baseline.model={name}"], [3.0, 4.0 + k], iterations=0)
        for k, name in enumerate(("knn", "krr"))
    ]
    page = Page(html(runs))
    left_out = [text for text in page.said("p") if " left out: " in text]
    assert left_out[:2] == [
        "curves left out: there is no curve to draw: baselines are fitted at once.",
        "differences left out: krr cannot be compared with knn: baselines are fitted at once.",
    ]
    assert "predictions.csv is missing" in left_out[2]
    assert page.pictures == 1


def test_found_hyperparameters_stand_with_their_folds_and_folds_in_training_are_said_to_be():
    run = make_run("krr", ["baseline.model=krr"], [3.0, 4.0, 5.0], iterations=0)
    for fold, scale in enumerate((9.0, 9.0, 10.0)):
        run = change(run, fold, hyperparameters={"scale": scale, "ridge": 1e-3})
    run = change(run, 2, status="partial")
    page = Page(html([run]))
    assert "; ".join(f"fold {k}: scale {scale}, ridge 0.001" for k, scale in enumerate((9, 9, 10))) in page.tables[1][1]
    assert "partial" in page.tables[1][1]
    assert "fold 2 of krr is partial and left out." in page.said("p")


def test_odd_names_are_shown_as_they_are():
    page = Page(html([evaluated(make_run("<b>&\"'", [], [3.0, 4.0]), {9: 3.0}, {9: 4.0})]))
    assert page.tables[1][1][0] == "<b>&\"'"


def test_without_matplotlib_there_is_no_page(runs, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(QM7Error, match=r"^figures need matplotlib"):
        html(runs)
