import re
import textwrap
from pathlib import Path

import pytest
import yaml

from qm7cli.analysis.compare import compare_groups
from qm7cli.analysis.paired_difference import holm
from qm7cli.analysis.verdict import difference_text
from qm7cli.cli.compare import comparison_table
from qm7cli.cli.output import write_output
from qm7cli.data.splits import Split
from qm7cli.model.variants import CONTROLS
from qm7cli.runs.collect import find_runs
from qm7cli.runs.experiment import Experiment, read_experiment
from qm7cli.runs.history import read_history
from qm7cli.training.sweep import read_sweep

EXPERIMENTS = Path(__file__).parents[1] / "experiments"


def test_paper_yaml_writes_out_the_defaults_key_by_key():
    assert read_experiment(EXPERIMENTS / "paper.yaml") == Experiment()
    assert (EXPERIMENTS / "paper.yaml").read_text().count("  # ") >= len(list(_keys(Experiment().model_dump())))


def test_quick_yaml_differs_in_the_iterations_alone():
    quick = read_experiment(EXPERIMENTS / "quick.yaml")
    assert quick.training.iterations == 20_000
    assert quick.model_copy(update={"training": Experiment().training}) == Experiment()


SWEEPS = {  # and their jobs
    "variants.yaml": 45,
    "noise.yaml": 25,
    "learning-curve.yaml": 30,
    "table1.yaml": 65,
    "offset.yaml": 80,
    "centring.yaml": 20,
    "rates.yaml": 84,
    "bias.yaml": 50,
}
WITH_CONTROL = ("centring.yaml", "offset.yaml", "rates.yaml")


@pytest.mark.parametrize("file", sorted(EXPERIMENTS.glob("*.yaml")), ids=lambda file: file.name)
def test_every_experiment_says_how_to_run_it(file):
    command = "sweep" if file.name in SWEEPS else "train --config"
    assert f"qm7 {command} experiments/{file.name}" in file.read_text()


@pytest.mark.parametrize("name", SWEEPS)
def test_a_sweep_has_the_jobs_that_it_says(name):
    experiments = read_sweep(EXPERIMENTS / name)
    folds = [0] if name == "rates.yaml" else None
    splits = (experiment.split for experiment in experiments)
    assert all(split == Split(train_size=split.train_size, folds=folds) for split in splits)
    assert len(experiments) * len(folds or range(5)) == SWEEPS[name]  # published folds
    variants = {experiment.variant for experiment in experiments}
    assert (variants >= CONTROLS) == (name in WITH_CONTROL)
    assert f"{SWEEPS[name]} jobs" in (EXPERIMENTS / name).read_text()


def _keys(tree):
    for key, value in tree.items():
        yield from _keys(value) if isinstance(value, dict) else [key]


RESULTS = EXPERIMENTS / "results"


def read(page):
    return Path(EXPERIMENTS.parent, page).read_text()


README, PAGE = read("README.md"), read("docs/gradients.md")


def maes_on_the_way(run, fold):
    """Return a fold's test MAE by iteration."""
    return {row.iteration: row.test_mae for row in read_history(run.path, fold)}


def at(runs, iterations):
    """Return runs as they were after some iterations, by their histories; there are no predictions of then."""
    return [
        run._replace(
            path=Path("then"),
            results=run.results.model_copy(
                update={
                    "folds": [
                        fold.model_copy(
                            update={"mae": maes_on_the_way(run, fold)[iterations], "iterations": iterations}
                        )
                        for fold in run.results.folds
                    ]
                }
            ),
        )
        for run in runs
    ]


@pytest.fixture(scope="module")
def variants():
    """The published runs of the three variants."""
    return find_runs([RESULTS / "variants"])


def test_the_pages_say_what_the_published_results_say(variants):
    runs = sorted(path for name in ("variants", "table1") for path in RESULTS.glob(f"{name}/*/results.yaml"))
    assert len(runs) == 3 + 10
    differences = {group.name: group.difference for group in compare_groups(variants).groups}
    for path in runs:
        results = yaml.safe_load(path.read_text())
        assert [(fold["fold"], fold["status"]) for fold in results["folds"]] == [(k, "complete") for k in range(5)]
        mae, rmse = (results[metric] for metric in ("mae", "rmse"))
        digits = 2 if results.get("baseline") else 3
        told = f"{mae['mean']:.{digits}f} +- {mae['std']:.{digits}f} | {rmse['mean']:.2f} +- {rmse['std']:.2f} |"
        if difference := differences.get(results["variant"]):
            told += f" {difference_text(difference)} |"
        assert told in (read("docs/baselines.md") if results.get("baseline") else README), path
    network = next(group for group in compare_groups(variants, paired=False).groups if group.name == "original")
    assert f"| {network.mae.mean:.3f} +- {network.mae.over_folds:.3f} | " in read("docs/baselines.md")


@pytest.mark.parametrize("name", ["variants", "table1"])
def test_published_results_can_be_compared_in_80_columns(command, tmp_path, name):
    (tmp_path / "experiments").symlink_to(EXPERIMENTS)
    network = ["experiments/results/variants/qm7-original-seed0"] if name == "table1" else []
    shown = command("compare", f"experiments/results/{name}", *network).stdout
    assert shown == (RESULTS / name / "compare.txt").read_text()
    assert max(map(len, shown.splitlines())) <= 80
    table = [line for line in shown.splitlines() if "  " in line.strip()]
    assert len(table) == {"variants": 4, "table1": 12}[name]
    assert "kcal/mol" not in table[0].split("  ")[0]  # the head of the names
    assert shown.count("no bootstrap interval") == 1
    if name == "variants":
        assert shown in PAGE


def test_the_example_of_20000_iterations_is_what_the_histories_give(variants, capsys):
    write_output(comparison_table(compare_groups(at(variants, 20_000))))
    first = capsys.readouterr().out.partition("no-prebias against")[0]
    assert textwrap.indent(first, "    ") in read("docs/sweeps.md")
    page = " ".join(read("docs/get-qm7.md").split())
    for group in compare_groups(at(variants, 20_000), paired=False).groups:
        assert f"`{group.name}` {group.mae.mean:.3f} +- {group.mae.over_folds:.3f}" in page


def test_the_page_tells_who_is_ahead_on_the_way_as_the_histories_have_it(variants):
    def row(iterations):
        reference, *groups = compare_groups(at(variants, iterations)).groups
        for group in groups:
            worse = sum(fold.mae > reference.folds[key].mae for key, fold in group.folds.items())
            yield f" {difference_text(group.difference)} | {worse} of 5 "

    rows = re.findall(r"^\| ([\d,]+) \|((?: \S+ \(.*\) \| \d of 5 \|)+)$", PAGE, re.MULTILINE)
    assert [number for number, _ in rows] == [
        "1,000", "2,000", "5,000", "10,000", "20,000", "50,000", "100,000", "200,000",
    ]  # fmt: skip
    for number, cells in rows:
        assert cells == "|".join(row(int(number.replace(",", "")))) + "|"
    assert all(cells.endswith("| 5 of 5 |") for _, cells in rows[:3])
    assert "`no-prebias` is worse than the published update in five of five folds at 1,000, 2,000 and 5,000" in PAGE


def test_the_page_says_which_of_it_is_decided(variants):
    history = maes_on_the_way(variants[0], variants[0].results.folds[0])
    compared = {n: {group.name: group for group in compare_groups(at(variants, n)).groups[1:]} for n in history}
    alone = {(n, name): group.difference.t_test.p for n in compared for name, group in compared[n].items()}
    assert [key for key in alone if alone[key] < 0.05] == [(1000, "no-prebias"), (5000, "corrected")]
    assert all(group.decision == "not decided" for groups in compared.values() for group in groups.values())
    page = " ".join(PAGE.split())
    assert len(alone) == 26
    p_values = [compared[1000]["no-prebias"].p, compared[5000]["corrected"].p, min(holm(list(alone.values())))]
    assert "their p is {:.3f} and {:.3f}, and for all 26 (the histories have 13".format(*p_values[:2]) in page
    assert f"evaluations) {p_values[2]:.2f} at least" in page
    early = max(compared[n]["no-prebias"].difference.percent for n in (1000, 2000, 5000))
    late = [-compared[200_000][name].difference.percent for name in ("corrected", "no-prebias")]
    assert f"here by {early:.1f} % of the error at most" in page
    assert "by {:.1f} and {:.1f} % of the error, where folds differ by".format(*late) in page


def test_published_results_can_be_collected_and_their_curves_drawn(command, tmp_path):
    rows = command("collect", RESULTS, "--format", "csv").stdout.splitlines()
    assert len(rows) == 1 + sum(len(run.results.folds) for run in find_runs([RESULTS]))
    command("plot", RESULTS / "variants", "--kind", "curves", "--output", "curves.png")
    assert (tmp_path / "curves.png").exists()
