"""`qm7 compare`."""

import json
import re
import shutil

import pytest


@pytest.fixture
def runs(three_variants, tmp_path):
    """Three variants of two folds, of which results.yaml alone are left."""
    for run in three_variants.iterdir():
        (tmp_path / "runs" / run.name).mkdir(parents=True)
        shutil.copy(run / "results.yaml", tmp_path / "runs" / run.name)
    return "runs"


def paragraphs(text):
    """Return the sentences below a table of three groups; the lines of each but the first are indented."""
    return "\n".join(text.splitlines()[4:]).replace("\n  ", " ").splitlines()


def test_the_verdict_stands_under_the_table_and_in_the_records(command, runs):
    table = command("compare", runs).stdout
    assert [line.split()[0] for line in table.splitlines()[:4]] == ["variant", "original", "corrected", "no-prebias"]
    below = paragraphs(table)
    records = json.loads(command("compare", runs, "--format", "json").stdout)
    assert below[0].startswith("Difference: test MAE less that of original, in kcal/mol, with the 95 % interval of the")
    assert below[0].endswith("Holm p is corrected for 2 comparisons and decides at 0.05.")
    assert below[1:] == [f"{record['verdict']}." for record in records[1:]]
    chosen = command("compare", runs, "--reference", "runs/corrected", "--by", "variant").stdout
    assert paragraphs(chosen)[1].startswith("original ")
    markdown = command("compare", runs, "--format", "markdown").stdout
    assert [line[2:] for line in markdown.splitlines() if line.startswith("- ")] == below


def test_table_and_sentence_have_the_same_numbers_with_the_same_signs(command, runs):
    text = " ".join(command("compare", runs).stdout.split())
    shown = re.findall(r"-?\d+\.\d+ \(-?\d+\.\d+ to -?\d+\.\d+\)", text)
    assert len(shown) == 4  # two in the table, two in the sentences
    assert shown[:2] == shown[2:]
    low, high = (float(bound) for bound in re.findall(r"\((-?[\d.]+) to (-?[\d.]+)\)", shown[0])[0])
    (_, first, _) = json.loads(command("compare", runs, "--format", "json").stdout)
    assert (low, high) == pytest.approx((first["t_test_low"], first["t_test_high"]), abs=0.01)


def test_what_is_to_be_known_of_a_comparison_is_always_told(command, runs, quick_flags, tmp_path):
    shutil.rmtree(tmp_path / "runs/corrected")
    command(
        "train", *quick_flags, "--iterations", 310, "--fold", 1, "--variant", "corrected", "--out", "runs/corrected"
    )
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


def test_a_margin_is_in_the_words(command, runs):
    said = "equivalent within 100 kcal/mol"
    assert command("compare", runs, "--margin", 100).stdout.replace("\n  ", " ").count(f" {said}: ") == 2
    records = json.loads(command("compare", runs, "--margin", 100, "--format", "json").stdout)
    assert [record["equivalent"] for record in records] == [None, True, True]
    assert said not in command("compare", runs).stdout
