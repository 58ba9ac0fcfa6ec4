import json
import shutil

import pytest


@pytest.fixture
def runs(three_variants, tmp_path):
    """Three variants of two folds, of which results.yaml alone are left."""
    only = shutil.ignore_patterns("fold-*", "config.yaml")
    shutil.copytree(three_variants, tmp_path / "runs", ignore=only)
    return "runs"


def paragraphs(text):
    """Return the sentences below a table of three groups; the lines of each but the first are indented."""
    return "\n".join(text.splitlines()[4:]).replace("\n  ", " ").splitlines()


def test_the_verdict_stands_under_the_table_and_in_the_records(command, runs):
    table = command("compare", runs).stdout
    assert [line.split()[0] for line in table.splitlines()[:4]] == ["variant", "original", "corrected", "no-prebias"]
    below = paragraphs(table)
    records = json.loads(command("compare", runs, "--format", "json").stdout)
    assert "Difference: test MAE minus that of original, with its 95% interval" in below[0]
    assert below[0].endswith("Holm p is corrected for 2 comparisons; below 0.05 it decides.")
    assert below[1:] == [f"{record['verdict']}." for record in records[1:]]
    chosen = command("compare", runs, "--reference", "runs/corrected", "--by", "variant").stdout
    assert paragraphs(chosen)[1].startswith("original ")
    markdown = command("compare", runs, "--format", "markdown").stdout
    assert [line[2:] for line in markdown.splitlines() if line.startswith("- ")] == below


def test_what_is_to_be_known_of_a_comparison_is_always_told(command, runs, quick_flags, tmp_path):
    shutil.rmtree(tmp_path / "runs/corrected")
    longer = ("--variant", "corrected", "--fold", 1, "--iterations", 310)
    command("train", *quick_flags, *longer, "--out", "runs/corrected")
    told = "corrected and original were trained for different lengths, 300 and 310 iterations"
    own = ["compare", runs, "--by", "variant"]
    assert told in " ".join(command(*own).stdout.split())
    for form in ("csv", "json", "latex"):
        assert command(*own, "--format", form).stderr.splitlines()[-1] == told
    assert command(*own, "--output", "x.csv").stderr.splitlines()[-1] == told


def test_every_format_tells_within_which_value_a_group_is_compared(command, runs):
    own = ["compare", runs, "--within", "variant", "--format"]
    titles = {"table": "variant={}\n", "markdown": "**variant={}**\n", "latex": "{{l}}{{variant={}}} "}
    for form, title in titles.items():
        shown = command(*own, form).stdout
        assert all(title.format(name) in shown for name in ("original", "corrected")), shown
    records = json.loads(command(*own, "json").stdout)
    assert [record["variant"] for record in records] == ["original", "corrected", "no-prebias"]
