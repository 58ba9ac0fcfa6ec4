"""collect and compare as commands: formats, and what goes where."""

import csv
import io
import json
import re
import shutil

import pytest
import yaml

from qm7cli.training.train_run import train_run


@pytest.fixture
def runs(three_variants, tmp_path):
    """Three variants of two folds."""
    shutil.copytree(three_variants, tmp_path / "runs")
    return "runs"


@pytest.mark.parametrize("name", ["collect", "compare"])
def test_every_format_tells_the_same(command, runs, tmp_path, name):
    read = {form: command(name, runs, "--format", form).stdout for form in ("csv", "json", "yaml")}
    records = {
        "json": json.loads(read["json"]),
        "yaml": yaml.safe_load(read["yaml"]),
        "csv": list(csv.DictReader(io.StringIO(read["csv"]))),
    }
    if name == "compare":
        assert records["json"]["notes"] == records["yaml"]["notes"] == []
        records |= {form: records[form]["groups"] for form in ("json", "yaml")}
    assert records["json"] == records["yaml"]
    assert [
        {key: "" if value is None else str(value) for key, value in record.items()} for record in records["json"]
    ] == (records["csv"])
    assert len(records["json"]) == {"collect": 6, "compare": 3}[name]
    texts = {form: command(name, runs, "--format", form).stdout for form in ("table", "markdown", "latex")}
    for record in records["json"]:
        mae = record["mae" if name == "collect" else "mae_mean"]
        assert all(f"{mae:.2f}" in text for text in texts.values())
    assert len({line.count(" | ") for line in texts["markdown"].splitlines() if line.startswith("|")}) == 1
    assert len({line.count(" & ") for line in texts["latex"].splitlines() if line.endswith(r"\\")}) == 1
    command(name, runs, "--output", "file.txt")
    assert (tmp_path / "file.txt").read_text() == texts["table"]


def test_the_worst_molecules_of_each_run_are_named_the_worst_first(command, runs, tmp_path):
    records = json.loads(command("collect", runs, "--worst", 2, "--format", "json").stdout)
    assert [record["run"] for record in records] == [
        f"runs/{name}" for name in ("corrected", "no-prebias", "original") for _ in range(2)
    ]
    for name in ("corrected", "no-prebias", "original"):
        errors = []
        for fold in (0, 1):
            with (tmp_path / f"runs/{name}/fold-{fold}/predictions.csv").open() as file:
                errors += [abs(float(row["prediction"]) - float(row["target"])) for row in csv.DictReader(file)]
        own = [abs(record["error"]) for record in records if record["run"] == f"runs/{name}"]
        assert own == pytest.approx(sorted(errors, reverse=True)[:2])
    table = command("collect", runs, "--worst", 2).stdout
    assert table.splitlines()[0].split() == ["run", "molecule", "fold", "energy", "prediction", "error"]
    assert all(record["molecule"] in table for record in records)
    assert re.fullmatch(r"(?:[A-Z][a-z]?\d*)+ \(\d+\)", records[0]["molecule"])


def test_the_verdict_stands_under_the_table_and_in_the_records(command, runs):
    table = command("compare", runs).stdout
    assert [line.split()[0] for line in table.splitlines()[:4]] == ["variant", "original", "corrected", "no-prebias"]
    below = paragraphs(table)
    plain = yaml.safe_load(command("compare", runs, "--format", "yaml").stdout)
    assert below[0].startswith("Difference: test MAE less that of original, in kcal/mol, with the 95 % interval of the")
    assert below[0].endswith("Holm p is corrected for 2 comparisons and decides at 0.05.")
    assert below[1:] == [f"{record['verdict']}." for record in plain["groups"][1:]]
    assert [sentence.split()[0] for sentence in below[1:]] == ["corrected", "no-prebias"]
    chosen = command("compare", runs, "--reference", "runs/corrected", "--by", "variant").stdout
    assert paragraphs(chosen)[1].startswith("original ")


def paragraphs(text):
    """Return the sentences below a table of three groups; the lines of each but the first are indented."""
    return "\n".join(text.splitlines()[4:]).replace("\n  ", " ").splitlines()


def test_table_and_sentence_have_the_same_numbers_with_the_same_signs(command, runs):
    for form in ("table", "markdown"):
        text = " ".join(command("compare", runs, "--format", form).stdout.split())
        shown = re.findall(r"-?\d+\.\d+ \(-?\d+\.\d+ to -?\d+\.\d+\)", text)
        assert len(shown) == 4  # two in the table, two in the sentences
        assert shown[:2] == shown[2:]
    low, high = (float(record) for record in re.findall(r"\((-?[\d.]+) to (-?[\d.]+)\)", shown[0])[0])
    (first, *_) = json.loads(command("compare", runs, "--format", "json").stdout)["groups"][1:]
    assert (low, high) == pytest.approx((first["t_test_low"], first["t_test_high"]), abs=0.01)


def test_what_is_to_be_known_of_a_comparison_is_always_told(command, runs, quick_flags):
    command(
        "train", *quick_flags, "--iterations", 310, "--fold", 1, "--variant", "corrected", "--out", "runs/corrected"
    )
    told = "corrected and original were trained for different lengths, 300 and 310 iterations"
    for form in ("table", "json"):
        assert told in " ".join(command("compare", runs, "--format", form).stdout.split())
    stderr = command("compare", runs, "--format", "csv").stderr
    assert stderr.splitlines()[-1] == told


def test_one_group_has_figures_and_no_verdict(command, runs):
    table = command("compare", f"{runs}/original").stdout.splitlines()
    assert len(table) == 2
    assert table[1].startswith("all runs")


@pytest.mark.parametrize("margin", ["0", "-1", "nan", "inf", "a"])
def test_a_margin_is_a_number_above_0(command, runs, margin):
    for name in (["compare"], ["report", "--output", "x.html"]):
        done = command(*name, runs, "--margin", margin, status=2)
        assert done.stderr.startswith(
            f"qm7: Invalid value for '--margin': {margin} is not a number of kcal/mol above 0"
        )


def test_a_margin_is_in_the_words_of_compare_and_report(command, runs, tmp_path):
    said = "equivalent within 100 kcal/mol"
    assert command("compare", runs, "--margin", 100).stdout.replace("\n  ", " ").count(f" {said}: ") == 2
    records = json.loads(command("compare", runs, "--margin", 100, "--format", "json").stdout)["groups"]
    assert [record["equivalent"] for record in records] == [None, True, True]
    assert said not in command("compare", runs).stdout
    command("report", runs, "--margin", 100, "--output", "x.html")
    assert (tmp_path / "x.html").read_text().count(f" {said}: ") == 2


def test_a_fold_that_diverged_is_told_with_iteration_and_rate(command, runs, quick_flags, tmp_path):
    flags = (*quick_flags, "--variant", "uncompensated", "--out", "runs/control")
    trained = command("train", *flags, "--fold", 0, "--fold", 1, "--set", "training.schedule=[[1,1000]]", status=1)
    folds = list(csv.DictReader(io.StringIO(command("collect", runs, "--format", "csv").stdout)))
    told = {fold["fold"]: fold["reason"] for fold in folds if "control" in fold["run"]}
    assert sorted(told) == ["0", "1"]
    assert all(re.fullmatch(r"diverged at iteration \d+ \(rate 1000\)", reason) for reason in told.values())
    assert {fold["status"] for fold in folds} == {"complete", "diverged"}
    assert {fold["variant"] for fold in folds} == {"original", "corrected", "no-prebias", "uncompensated"}
    table = command("collect", runs).stdout
    assert max(map(len, table.splitlines())) <= 80
    for fold, reason in told.items():
        assert f"qm7: fold {fold} {reason}\n" in trained.stderr
        assert reason in trained.stdout
        assert re.search(rf"^{fold} +{re.escape(reason)} +\d+ +- +-$", table, re.MULTILINE)
    compared = command("compare", runs, "--reference", "runs/original").stdout
    (row,) = [line for line in compared.splitlines() if re.match(r"uncompensated \(control\), .*  ", line)]
    assert re.search(r" 2 of 2 +diverged +-", row)
    sentences = compared.replace("\n  ", " ").splitlines()
    (verdict,) = [each for each in sentences if re.match(r"uncompensated \(control\), .* is worse than ", each)]
    assert ": it diverged in 2 of 2 folds, at iteration" in verdict
    assert verdict.endswith("(rate 1000), the reference diverged in none of 2.")
    command("report", runs, "--output", "x.html")
    assert "it diverged in 2 of 2 folds, at iteration" in (tmp_path / "x.html").read_text()


def test_tables_call_a_control_one_and_records_have_the_setting(command, runs, quick_flags):
    command("train", *quick_flags, "--variant", "uncompensated", "--fold", 0, "--out", "runs/control")
    assert "uncompensated (control)  0  " in command("collect", runs).stdout
    records = json.loads(command("collect", runs, "--format", "json").stdout)
    assert [record["variant"] for record in records if record["run"] == "runs/control"] == ["uncompensated"]


def test_numbers_are_to_the_right_and_names_escaped(command, runs, tmp_path):
    (tmp_path / runs).rename(tmp_path / "a|b_c%")
    markdown = command("collect", "a|b_c%", "--format", "markdown").stdout
    assert r"a\|b_c%/original" in markdown
    latex = command("collect", "a|b_c%", "--format", "latex").stdout
    assert r"a|b\_c\%/original" in latex
    *lines, units = command("collect", "a|b_c%").stdout.splitlines()
    assert len({len(line) for line in lines}) == 1  # all lines end with a number
    assert units.startswith("MAE and RMSE in kcal/mol")


def test_a_directory_without_runs_is_one_sentence(command, tmp_path):
    (tmp_path / "empty").mkdir()
    for name in ("collect", "compare"):
        done = command(name, "empty", status=1)
        assert done.stderr == (
            "qm7: empty is not a run, and there is none below it: there is no results.yaml and no fold-*/model.npz\n"
        )


@pytest.mark.parametrize(
    "arguments",
    [
        ["collect", "--format", "json"],
        ["compare", "--format", "json"],
        ["plot", "--kind", "folds", "--output", "x.svg"],
        ["report", "--output", "x.html"],
    ],
)
def test_runs_are_those_under_runs_and_a_damaged_one_or_a_stray_file_is_left_out(command, runs, tmp_path, arguments):
    name, *options = arguments
    written = [command(name, *options).stdout, *(path.read_bytes() for path in tmp_path.glob("x.*"))]
    (tmp_path / "runs/damaged").mkdir()
    (tmp_path / "runs/damaged/results.yaml").touch()
    (tmp_path / "runs/results.yaml").write_text("a file of another program")
    done = command(name, *options)
    assert [done.stdout, *(path.read_bytes() for path in tmp_path.glob("x.*"))] == written
    assert done.stderr.splitlines() == [
        "qm7: left out: runs/results.yaml is not a run's results",
        "qm7: left out: runs/damaged/results.yaml is not a run's results",
    ]
    given = command(name, runs, "runs/damaged", *options, status=1)
    assert [given.stdout, given.stderr] == [done.stdout, done.stderr]


def test_the_settings_that_differ_are_columns_where_there_is_room_and_else_the_names_of_runs(
    command, quick, small, tmp_path
):
    for noise in (0.5, 0.25):
        train_run(quick("split.folds=[0]", f"encoding.noise={noise}"), small, tmp_path / f"runs/noise-{noise}")
    assert command("collect").stdout.split()[:2] == ["noise", "fold"]
    many = [
        "network.hidden=[15,14,13,12,11]",
        "training.averaging=0.125",
        "encoding.step=1.25",
        "training.batch_size=7",
    ]
    train_run(quick("split.folds=[0]", *many), small, tmp_path / f"runs/{'-'.join(many)}")
    header, *lines = command("collect").stdout.splitlines()
    assert header.split()[0] == "fold"
    assert "-".join(many) in lines
    assert "encoding.step" in command("collect", "--format", "csv").stdout


def test_an_output_among_the_files_of_a_run_is_refused(command, runs, tmp_path):
    place = "runs/original/fold-0/predictions.csv"
    before = (tmp_path / place).read_bytes()
    for name in (["collect"], ["compare"], ["report"], ["plot", "--kind", "folds"]):
        output = place if name[0] != "plot" else "runs/original/x.svg"
        done = command(*name, runs, "--output", output, status=1)
        assert done.stderr == f"qm7: {output} lies in the run runs/original; choose another output\n"
    assert (tmp_path / place).read_bytes() == before
    command("collect", runs, "--output", "runs/folds.txt")
