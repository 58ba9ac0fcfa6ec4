import re
import shutil
import sys
from html.parser import HTMLParser

import pytest

from conftest import remove_checksums
from qm7cli.analysis.compare import compare_groups
from qm7cli.analysis.report import _typeset, render_report
from qm7cli.cli import compare as command
from qm7cli.core.errors import QM7Error
from qm7cli.runs.collect import find_runs

VOID = {"meta"}  # elements that have no end


@pytest.fixture
def runs(three_variants, tmp_path):
    """A copy of the runs, in a directory with an odd name."""
    return remove_checksums(shutil.copytree(three_variants, tmp_path / "<b>&\"'"))


class Page(HTMLParser):
    """What is on a page: elements with their attributes, texts, and the cells of each table's rows."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.opened, self.texts, self.tables, self.told = [], [], [], [], []
        self.feed(html)
        self.close()
        assert not self.opened

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.opened.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in {"th", "td"}:
            self.tables[-1][-1].append("")

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.opened.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)
        self.told.append((self.opened[-1] if self.opened else "", data))
        if self.opened and self.opened[-1] in {"th", "td"}:
            self.tables[-1][-1][-1] += data

    def count(self, tag):
        return sum(name == tag for name, _ in self.elements)


def figures(comparison):
    table = command.comparison_table(comparison)
    return table.header, table.rows


def html(path, **options):
    runs = find_runs([path])
    comparison = compare_groups(runs, **options)
    return render_report(comparison, runs, figures(comparison))


def test_the_page_needs_nothing_else(three_variants):
    text = html(three_variants)
    page = Page(text)
    assert set(re.findall(r"https?://[^\s\"'<>]+", text)) == {
        "http://www.w3.org/1999/xlink",
        "http://www.w3.org/2000/svg",
    }
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in page.elements}
    assert "@import" not in text
    sources = [value for _, attributes in page.elements for name, value in attributes.items() if "href" in name]
    assert sources
    assert all(source.startswith(("#", "data:image/png;base64,")) for source in sources)
    assert {address[:1] for address in re.findall(r"url\(([^)]*)\)", text)} == {"#"}
    assert not any("src" in attributes or "onload" in attributes for _, attributes in page.elements)


def test_ids_are_unique_and_pictures_have_a_caption(three_variants):
    page = Page(html(three_variants))
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert page.count("svg") == page.count("figcaption") == 5
    named = [attributes["aria-labelledby"] for _, attributes in page.elements if attributes.get("role") == "img"]
    captions = [attributes["id"] for tag, attributes in page.elements if tag == "figcaption"]
    assert named == captions == ["curves", "differences", "folds", "errors", "parity"]
    assert sum("Look " in text for text in page.texts) == 5


def test_the_letters_of_pictures_are_text(three_variants):
    text = html(three_variants)
    assert "Training iterations</text>" in text
    assert "Test MAE (kcal/mol)</text>" in text


def test_every_head_says_what_it_is_the_head_of(three_variants):
    page = Page(html(three_variants))
    assert {attributes.get("scope") for tag, attributes in page.elements if tag == "th"} == {"col", "row"}


def test_the_page_tells_the_data_the_dates_and_the_command(three_variants):
    runs = find_runs([three_variants])
    comparison = compare_groups(runs)
    page = Page(render_report(comparison, runs, figures(comparison), command="qm7 report <b> --output FILE.html"))
    (told,) = [text for text in page.texts if text.startswith("Data: ")]
    finished = sorted(run.results.environment.finished[:10] for run in runs)
    assert f"Data: small, 60 molecules, SHA-256 {runs[0].results.dataset.sha256[:12]}...." in told
    assert finished[-1] in told
    assert "qm7 report <b> --output FILE.html" in page.texts


def test_signs_are_true_ones_in_figures_and_verdicts_but_not_in_names():
    assert (
        _typeset("-0.5 (-1.2 to 0.3), 3 +- 1")
        == "\N{MINUS SIGN}0.5 (\N{MINUS SIGN}1.2 to 0.3), 3 \N{PLUS-MINUS SIGN} 1"
    )
    assert _typeset("no-prebias ridge=-1, 1e-6, GFN2-2") == "no-prebias ridge=-1, 1e-6, GFN2-2"


def test_training_sizes_and_found_hyperparameters_stand_with_the_runs(runs):
    file = runs / "original/results.yaml"
    text = file.read_text()
    assert "hyperparameters" not in table_of_runs(Page(html(runs)))[0]
    file.write_text(re.sub(r"(test_molecules: \d+)", r"\1, hyperparameters: {scale: 100, ridge: 0.001}", text))
    header, *rows = table_of_runs(Page(html(runs)))
    (row,) = [dict(zip(header, row, strict=True)) for row in rows if row[1] == "original"]
    assert row["hyperparameters"] == "scale 100, ridge 0.001"
    assert row["training molecules"] == "48"
    file.write_text(re.sub(r"(test_molecules: \d+)", r"\1, hyperparameters: {scale: 100}", text, count=1))
    header, *rows = table_of_runs(Page(html(runs)))
    assert "scale 100 (fold 0)" not in [row[header.index("hyperparameters")] for row in rows]  # one kind needs no fold


def test_where_nothing_can_be_compared_that_is_said_once(runs):
    for variant, folds in (("corrected", (2, 3)), ("no-prebias", (4, 5))):
        file = runs / variant / "results.yaml"
        text = file.read_text()
        for before, after in zip((0, 1), folds, strict=True):
            text = text.replace(f"- {{fold: {before},", f"- {{fold: {after},")
        file.write_text(text)
    page = Page(html(runs))
    said = [text for text in page.texts if "no fold of one agrees" in text]
    assert len([text for text in said if text.startswith("Nothing can be compared: no fold of one agrees")]) == 1
    assert not any("cannot be compared with" in text and not text.startswith("The picture") for text in page.texts)


def table_of_runs(page):
    """Return the rows of the table of runs."""
    (found,) = [table for table in page.tables if table[0][0] == "run"]
    return found


def environment_of(page):
    """Return the rows of the table of environments."""
    (found,) = [table for table in page.tables if table[0][0] == "environment"]
    return found


def settings_of(page):
    """Return the settings in common."""
    keys, values = ([text for tag, text in page.told if tag == wanted] for wanted in ("dt", "dd"))
    return dict(zip(keys, values, strict=True))


def test_it_has_the_verdicts_and_the_table_as_they_are(three_variants):
    runs = find_runs([three_variants])
    comparison = compare_groups(runs)
    header, rows = figures(comparison)
    page = Page(render_report(comparison, runs, (header, rows)))
    assert page.tables[0] == [list(header), *([name, *map(_typeset, others)] for name, *others in rows)]
    assert len(comparison.sentences) == 2
    assert set(map(_typeset, comparison.sentences)) < set(page.texts)
    assert any(comparison.explanation in text for text in page.texts)
    assert page.texts.count("3 runs on small") == 2  # the title and the heading


def test_one_group_is_not_compared(three_variants):
    page = Page(html(three_variants / "corrected"))
    assert "1 run on small" in page.texts
    assert not any("resampled t-test" in text or "bootstrap" in text for text in page.texts)


def test_settings_are_either_in_common_or_with_the_run(three_variants):
    runs = find_runs([three_variants])
    page = Page(html(three_variants))
    table, common = table_of_runs(page), settings_of(page)
    assert table[0] == ["run", "variant", "folds", "status", "training molecules", "started, UTC", "finished, UTC"]
    assert [row[:4] for row in table[1:]] == [[str(run.path), run.path.name, "0, 1", "complete"] for run in runs]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", time) for row in table[1:] for time in row[5:])
    assert set(common) == {*runs[0].settings, "data SHA-256"} - {"variant"}
    assert (common["network.hidden"], common["split.train_size"]) == ("[20, 10]", "null")
    assert common["data SHA-256"] == runs[0].results.dataset.sha256


def test_what_differs_in_the_environment_is_told_of_each_run(runs):
    file = runs / "original/results.yaml"
    file.write_text(re.sub("numpy: [^,]*", "numpy: 1.0", file.read_text()))
    environment = environment_of(Page(html(runs)))
    rows = [value for key, value in environment if key == "numpy"]
    assert len(rows) == 2
    assert f"1.0 ({runs / 'original'})" in rows
    (other,) = set(rows) - {f"1.0 ({runs / 'original'})"}
    assert other.endswith(f"({runs / 'corrected'}, {runs / 'no-prebias'})")
    keys = [key for key, _ in environment]
    assert keys.count("python") == 1
    assert not {"started", "finished"} & set(keys)


def test_what_differs_between_the_folds_of_a_run_is_told_of_each_fold(runs):
    file = runs / "original/results.yaml"
    file.write_text(
        re.sub("python: [^,]*, (.*)}", r"\1, folds: {0: {python: '4.0'}, 1: {python: '5.0'}}}", file.read_text())
    )
    rows = [value for key, value in environment_of(Page(html(runs))) if key == "python"]
    assert len(rows) == 3
    assert {f"4.0 ({runs / 'original'} fold 0)", f"5.0 ({runs / 'original'} fold 1)"} < {*rows}


def test_everything_is_escaped(runs):
    file = runs / "original/results.yaml"
    file.write_text(file.read_text().replace("name: small", 'name: "<i>&amp; $title"'))
    page = Page(html(runs))
    assert "i" not in {tag for tag, _ in page.elements}
    assert page.count("b") == page.count("figcaption")  # what each shows
    assert str(runs / "original") in [row[0] for row in table_of_runs(page)]
    assert "<i>&amp; $title" in table_of_runs(page)[3]
    assert "3 runs on <i>&amp; $title, small" in page.texts
    assert any("<i>&amp; $title" in text and "kcal/mol" in text for text in page.texts)


def test_the_same_runs_give_the_same_page(three_variants):
    assert html(three_variants) == html(three_variants)


def test_a_picture_that_cannot_be_drawn_is_left_out_with_the_reason(runs):
    comparison = compare_groups(find_runs([runs]))
    many = comparison._replace(groups=2 * comparison.groups)
    page = Page(render_report(many, find_runs([runs]), figures(many)))
    assert page.count("svg") == 4
    assert "The picture of parity left out: there are 6 groups, more than this picture can hold (4); choose fewer " in (
        "".join(page.texts)
    )
    missing = runs / "corrected/fold-1/history.csv"
    missing.unlink()
    page = Page(html(runs))
    assert page.count("svg") == 3
    reason = f"The picture of curves and the picture of differences left out: {missing} is missing."
    assert reason in page.texts


def test_runs_that_differ_in_several_numbers_are_told_how_to_draw_along_one(runs):
    settings = {"original": "encoding.noise=2", "corrected": "network.offset=1"}
    swept = [
        run._replace(settings=run.settings | {key: float(value)})
        for run in find_runs([runs])
        if run.path.name in settings
        for key, _, value in [settings[run.path.name].partition("=")]
    ]
    comparison = compare_groups(swept)
    (reason,) = [text for text in Page(render_report(comparison, swept, figures(comparison))).texts if "rates" in text]
    assert reason == (
        "The picture of rates left out: the runs differ in encoding.noise and network.offset: choose the one to draw "
        "along, as qm7 plot --kind rates --x encoding.noise."
    )


def test_a_fold_in_training_is_said_to_be(runs):
    file = runs / "original/results.yaml"
    file.write_text(
        re.sub("finished: .*}", "finished: null}", file.read_text()).replace("status: complete", "status: partial")
    )
    page = Page(html(runs))
    (row,) = [row for row in table_of_runs(page) if row[1] == "original"]
    assert (row[3], row[6]) == ("partial", "-")
    assert any("is partial and left out" in text for text in page.texts)


def test_without_matplotlib_there_is_no_page(three_variants, monkeypatch):
    runs = find_runs([three_variants])
    comparison = compare_groups(runs)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(QM7Error, match=r"pip install 'qm7cli\[plots\]'$"):
        render_report(comparison, runs, figures(comparison))
