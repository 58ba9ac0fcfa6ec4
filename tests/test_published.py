"""The figures of the pages are those of the results in experiments/results."""

import functools
import re
import statistics
import textwrap
from pathlib import Path

import numpy as np
import pytest

from qm7cli import predict
from qm7cli.analysis.compare import compare_groups, difference_text
from qm7cli.analysis.paired_difference import holm
from qm7cli.cli.compare import comparison_table
from qm7cli.cli.output import write_output
from qm7cli.data.dataset import BUNDLED, load, locate
from qm7cli.data.molecules import BOHR
from qm7cli.data.splits import Split, select_folds
from qm7cli.model.model import load_bundled
from qm7cli.model.variants import CONTROLS, RULES
from qm7cli.runs.collect import find_runs

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "experiments/results"
PAGES = ("README.md", "docs/centering.md", "docs/benchmarks.md", "docs/predict.md", "docs/data.md")
README, CENTERING, BENCHMARKS, PREDICT, DATA = (ROOT.joinpath(name).read_text().replace("±", "+-") for name in PAGES)
WORDS, PREDICT = (" ".join(page.split()) for page in (CENTERING, PREDICT))
SET_UPS = {  # of rates.yaml
    "as published": {"encoding.center": True, "network.offset": 0.0},
    "not centered": {"encoding.center": False, "network.offset": 0.0},
    "offset 1": {"encoding.center": True, "network.offset": 1.0},
}
VARIANTS = [variant for variant in RULES if variant not in CONTROLS]


@functools.cache
def runs_of(name):
    return find_runs([RESULTS / name])


def having(runs, **settings):
    """Return the runs with some settings, their dots written as two underscores."""
    wanted = {key.replace("__", "."): value for key, value in settings.items()}
    return [run for run in runs if all(run.settings[key] == value for key, value in wanted.items())]


def longest_run(variant="original", bias=0.0):
    """Return the run of 1,000,000 iterations of a rule, from initial biases of some size."""
    runs = having(runs_of("long" if bias else "paper"), variant=variant, network__bias=bias)
    (run,) = [run for run in runs if run.settings["training.iterations"] == 1_000_000]
    return run


def figure(runs, digits=2):
    """Return the MAE of a group of runs over folds, seeds averaged first; or how many of its folds diverged."""
    folds = [fold for run in runs for fold in run.results.folds]
    assert len(folds) % 5 == 0
    diverged = [fold for fold in folds if fold.status == "diverged"]
    if diverged:
        at = sorted(fold.iterations + 1 for fold in diverged)
        return f"{len(diverged)} of {len(folds)} diverged ({at[0]:,} to {at[-1]:,})"
    by_fold = [statistics.fmean(fold.mae for fold in folds if fold.fold == k) for k in range(5)]
    return f"{statistics.fmean(by_fold):.{digits}f} +- {statistics.pstdev(by_fold):.{digits}f}"


def last_rate(run):
    return run.settings["training.schedule"][-1][1]


def readme_rows():
    """Return a row for each set-up, with a column for each rule."""
    for name, experiment, settings in (
        ("published setup", "offset", {"network__offset": 0.0}),
        ("2 added to every hidden unit", "offset", {"network__offset": 2.0}),
        ("features not centered", "centering", {}),
    ):
        runs = having(runs_of(experiment), **settings)
        (length,) = {run.settings["training.iterations"] for run in runs}
        cells = [figure(having(runs, variant=variant)) for variant in RULES]
        yield f"| {name}, {length:,} iterations | {' | '.join(cells)} |"


def setting_rows():
    """Return a row for each value of an offset and of an initial bias."""
    for name, values, variants in (
        ("offset", [0.0, 0.5, 1.0, 2.0], RULES),
        ("bias", [0.0, 0.5, 1.0, 2.0, 4.0], ["original", "no-prebias"]),
    ):
        for value in values:
            own = having(runs_of(name), **{f"network.{name}": value})
            yield f"| {value:g} | {' | '.join(figure(having(own, variant=variant)) for variant in variants)} |"


def unit_rows():
    """Return a row for each kind of units and set-up, with the mean or the composition subtracted."""
    set_ups = {
        "rectified units": {"network.activation": "relu"},
        "logistic units": {"network.activation": "logistic"},
        "as published": {"network.activation": "tanh", **SET_UPS["as published"]},
        "units shifted by 2": {"network.offset": 2.0},
        "features not centered": {"encoding.center": False},
    }
    for subtract in ("mean", "composition"):
        runs = having(runs_of("activations") + runs_of("composition"), target__subtract=subtract)
        for name, settings in set_ups.items():
            if own := having(runs, **settings):
                yield f"| {subtract} | {name} | {' | '.join(figure(having(own, variant=each)) for each in RULES)} |"


def largest_rates(name):
    """Return the largest last rate of each rule that does not diverge in a setup; larger ones all do."""
    rates = []
    for variant in RULES:
        own = [
            run for run in having(runs_of("rates"), variant=variant) if SET_UPS[name].items() <= run.settings.items()
        ]
        assert len(own) == 7
        stable = [last_rate(run) for run in own if run.results[0].status == "complete"]
        assert sorted(map(last_rate, own))[: len(stable)] == sorted(stable)
        rates.append(max(stable))
    return rates


def at(runs, iterations):
    """Return runs as they were after some iterations, by their histories; there are no predictions of then."""

    def then(fold):
        maes = {row.iteration: row.test_mae for row in fold.history}
        return fold.model_copy(update={"mae": maes[iterations], "iterations": iterations})

    results = [run.results.model_copy(update={"folds": list(map(then, run.results.folds))}) for run in runs]
    return [run._replace(path=Path("then"), results=own) for run, own in zip(runs, results, strict=True)]


def on_the_way(runs):
    """Return what differs from the reference after each number of iterations after which runs were evaluated."""
    counts = [row.iteration for row in runs[0].results[0].history]
    return {count: compare_groups(at(runs, count)).groups[1:] for count in counts}


def assert_shown(expected, page=CENTERING):
    assert [row for row in expected if row not in page.splitlines()] == []


def run_figures(run):
    """Return the errors of a run, and its seconds a fold, as its row has them."""
    mae, rmse = (f"{each['mean']:.2f} +- {each['std']:.2f}" for each in map(run.results.summary, ("mae", "rmse")))
    seconds = statistics.fmean(fold.seconds for fold in run.results.folds)
    return mae, rmse, f"{seconds:.1f}" if seconds < 1 else f"{seconds:.0f}"


@pytest.mark.parametrize(("rows", "page"), [(readme_rows, README), (setting_rows, CENTERING), (unit_rows, CENTERING)])
def test_the_tables_have_the_errors(rows, page):
    assert_shown(rows(), page)


def test_the_page_has_what_features_that_are_not_centered_do():
    shown = {variant: figure(having(runs_of("centering"), variant=variant)) for variant in RULES}
    assert f"`original` has {shown['original']} and the control {shown['uncompensated']}." in WORDS
    true, plain = (shown[own].removeprefix("5 of 5 diverged (")[:-1] for own in ("corrected", "no-prebias"))
    assert f"in every fold, `corrected` at iterations {true} and `no-prebias` at {plain}." in WORDS
    original, corrected, plain, control = largest_rates("not centered")
    assert corrected == plain
    assert f"is {original} with `original`, {control} with the control, and {corrected} with the other two." in WORDS
    assert {*largest_rates("as published"), *largest_rates("offset 1")} == {0.02}
    assert "with an offset of 1, all four rules tolerate 0.02." in WORDS


def test_readme_has_the_network_beside_the_baselines():
    runs = {
        (settings["baseline.model"], settings["baseline.representation"], settings.get("baseline.kernel")): run
        for run in having(runs_of("table1"), target__subtract="mean")
        if (settings := run.settings).get("baseline.representation")
    }
    kernels = [("krr", representation, "laplacian") for representation in ("sorted", "random", "bag-of-bonds")]
    for key in (("linear", "composition", None), *kernels):
        mae, _, seconds = run_figures(runs[key])
        assert f" | {mae} | {seconds} |\n" in README
    mae, _, seconds = run_figures(*runs_of("bonds"))
    assert f"`--exponent 4 --subtract composition`, as in `--config bonds` | {mae} | {seconds} |\n" in README
    best = runs_of("best")
    seconds = round(statistics.fmean(fold.seconds for run in best for fold in run.results.folds))
    assert f" `best.yaml`, 150,000 iterations, mean of five seeds | {figure(best)} | {seconds} |\n" in README
    (fast,) = runs_of("fast")
    mae, _, seconds = run_figures(fast)
    assert f"| This network, `--config fast`, 3,500 iterations | {mae} | {seconds} |\n" in README
    assert f" three seeds | {figure(having(runs_of('variants'), variant='original'))} | " in README
    mae, _, seconds = run_figures(longest_run())
    assert f"| This network, as published, 1,000,000 iterations, one seed | {mae} | {seconds} |\n" in README


def ensemble(name):
    """Return what ``eval --ensemble`` printed of an experiment, and its means: MAE, interval and coverage."""
    text = (RESULTS / name / "ensemble.txt").read_text()
    return text, re.findall(r"^mean +(\S+ \+- \S+) .* \+-(\S+) +(\S+)% ", text, re.MULTILINE)


def test_the_runs_of_an_ensemble_have_the_errors_of_their_results_and_intervals_that_hold():
    for name in ("variants", "best"):
        *alone, _ = ensemble(name)[1]
        assert [mae for mae, *_ in alone] == [figure([run]) for run in having(runs_of(name), variant="original")]
        assert {round(float(coverage)) for *_, coverage in alone} == {90}


def test_the_gain_of_an_ensemble_is_that_of_the_published_evaluation():
    runs, (text, means) = runs_of("best"), ensemble("best")
    alone, averaged = figure(runs), means[5][0]
    assert f"| The same, predictions of the five averaged (`qm7 eval --ensemble`) | {averaged} | " in README
    fold_0 = statistics.fmean(run.results[0].mae for run in runs)
    assert_shown([f"| one network, mean of five seeds | {fold_0:.2f} | {alone} |"], BENCHMARKS)
    own = re.search(r"^ensemble.*\n0 +150000 +(\S+)", text, re.MULTILINE)[1]
    assert_shown([f"| five networks averaged | {own} | {averaged} |"], BENCHMARKS)
    assert f"There, one network has {fold_0:.2f}, and the average of five {own}." in README
    assert f"from {alone.split()[0]} to {averaged.split()[0]} kcal/mol with five" in PREDICT
    rows = re.findall(r"^\d .* (\S+)% +(\S+)$", text.partition("ensemble")[0], re.MULTILINE)  # of single networks
    coverages, correlations = ([float(each) for each in column] for column in zip(*rows, strict=True))
    assert f"they hold {min(coverages):.0f} to {max(coverages):.0f}% of a fold's molecules, and 90% of all" in PREDICT
    assert f"half-width is {statistics.fmean(float(width) for _, width, _ in means[:5]):.1f} kcal/mol" in PREDICT
    assert f"|error| is {min(correlations):.1f} to {max(correlations):.1f}." in PREDICT


@pytest.mark.realdata
def test_the_page_has_how_the_bundled_model_judges_molecules_that_it_was_not_trained_on(qm7):
    model, test = load_bundled().model, select_folds(qm7, Split(folds=[0]))[0].test
    Z, R = qm7.Z[test], qm7.R[test]
    predictions = predict(model, Z, R)
    errors = np.abs([each.energy for each in predictions] - qm7.T[test])
    outside = np.array([bool(each.warnings) for each in predictions])
    assert f"{outside.sum()} of the {len(test)} held-out molecules are outside. Their MAE is" in PREDICT
    assert f"is {errors[outside].mean():.1f} kcal/mol, and that of the others {errors[~outside].mean():.1f}." in PREDICT
    for scale in (BOHR, 1 / BOHR):
        assert all(each.warnings for each in predict(model, Z[:100], R[:100] * scale))
    sizes, hydrogens = (qm7.Z > 0).sum(axis=1), (qm7.Z == 1).sum(axis=1)
    (methane,) = qm7.T[(sizes == 5) & (hydrogens == 4)]
    assert f"Methane shows it: its energy in QM7 is {methane:.1f} kcal/mol." in PREDICT
    ethanol = re.search("^.*Ethanol .* but (.*) in$", DATA, re.MULTILINE)[1]
    assert ethanol in {f"{energy:.2f}" for energy in qm7.T[(sizes == 9) & (hydrogens == 6)]}


def test_the_page_has_what_the_bundled_set_holds():
    gfn7 = load(locate("gfn7"))
    counts = ", ".join(map(str, np.bincount((gfn7.Z > 1).sum(axis=1))[1:]))
    energies = f"{gfn7.T.min():.2f} to {gfn7.T.max():.2f} kcal/mol, mean {gfn7.T.mean():.2f}, SD {gfn7.T.std():.2f}"
    assert_shown([f"| with 1, 2, …, 7 heavy atoms | {counts} |"], DATA)
    assert_shown([f"| energies | atomization energies at GFN2-xTB, {energies} |"], DATA)
    with np.load(BUNDLED["gfn7"]) as arrays:
        assert "Ethanol has {:.1f} kcal/mol,".format(*arrays["T"][arrays["smiles"] == "CCO"]) in DATA


@pytest.mark.parametrize(("setup", "command", "row"), [
    ("as published", "runs/offset/qm7-*-seed0", "original +2"),
    ("units shifted by 2", "runs/offset/*offset=2.0", "original +2"),
    ("logistic units", "runs/activations/qm7-original-seed0-network.activation=*", "=logistic\n.*\n +2"),
    ("rectified units", "runs/activations/qm7-original-seed0-network.activation=*", "=relu\n.*\n +2"),
    ("initial biases of 2 (below)", "runs/bias/*bias=2.0", "\n +2"),
    ("features not centered", "runs/composition/qm7-original*center=false", "\n +1"),
])  # fmt: skip
def test_the_page_has_the_largest_eigenvalues_that_centering_printed(setup, command, row):
    printed = (RESULTS / "centering.txt").read_text().partition(f"$ qm7 centering {command} --fold 0\n")[2]
    header = re.search(r"^.*layer +(.*)$", printed, re.MULTILINE)[1]
    names = re.split(r" {2,}", re.sub(r"(share|max|cond|to) (\w+)", r"\1_\2", header).strip().replace(" ", "  "))
    values = dict(zip(names, re.search(rf"{row} +(.*)$", printed, re.MULTILINE)[1].split(), strict=True))
    largest = [f"{float(values[name]):,g}" for name in ("max_0", "max_A")]
    assert_shown([f"| {setup} | {row[-1]} | {values['share_0']} | {' | '.join(largest)} |"])


def test_the_page_has_what_the_published_code_printed():
    rows = (RESULTS / "published-code.txt").read_text().splitlines()[1:]
    printed = {int(iteration): float(mae) for iteration, mae, _ in map(str.split, rows)}
    told = re.search(r"on fold 0 it printed (.*?) \(\[all\]", WORDS)[1]
    shown = re.findall(r"(\d\.\d\d)(?: after)? ([\d,]+)", told.replace(" after", ""))
    assert len(shown) >= 3
    assert [(f"{printed[int(count.replace(',', ''))]:.2f}", count) for _, count in shown] == shown
    assert shown[-1][1] == f"{max(printed):,}"
    assert f"There, ours ends at {longest_run().results[0].mae:.2f}." in WORDS


def test_the_page_s_sentences_have_the_figures_of_the_comparisons():
    groups = {group.name: group for name in ("offset", "bias") for group in compare_groups(runs_of(name)).groups}
    control = groups["uncompensated (control), offset=0.0"]
    assert control.p > 0.05
    assert f"it is above `original` by {difference_text(control.difference)}, which is inconclusive" in WORDS
    p_values = [groups[f"{variant}, bias=0.5"].p for variant in ("original", "no-prebias")]
    assert "Holm p = {:.3f} and {:.3f}".format(*p_values) in WORDS
    told = {
        "logistic": "worse by {}, and with composition by {}.",
        "relu": "inconclusive: {}, and with composition {}.",
    }
    for activation, sentence in told.items():
        runs = having(runs_of("activations"), network__activation=activation)
        groups = [compare_groups(having(runs, target__subtract=each)).groups[1] for each in ("mean", "composition")]
        assert {group.decision for group in groups} == {"worse" if activation == "logistic" else "inconclusive"}
        assert sentence.format(*(difference_text(group.difference) for group in groups)) in WORDS
    shifted = compare_groups(having(runs_of("composition"), network__offset=2.0)).groups[1]
    assert f"units shifted by 2, the true gradient is worse by {difference_text(shifted.difference)}." in WORDS


def test_the_page_has_the_errors_after_as_many_iterations_as_the_paper_has():
    runs = runs_of("paper")
    maes = [f"{figure([longest_run(variant)])} for `{variant}`" for variant in VARIANTS]
    assert f"{maes[0]}, {maes[1]} and {maes[2]}. The paper has 3.51 +- 0.13." in WORDS
    for group in compare_groups(runs, margin=0.05).groups[1:]:
        assert f"{difference_text(group.difference)} for `{group.name}`" in WORDS
        assert group.equivalent


def test_the_page_has_the_errors_of_random_biases_after_1_000_000_iterations():
    biased, plain = figure([longest_run(bias=2)]), figure([longest_run("no-prebias", 0.5)])
    assert f"give `original` {biased} and `no-prebias` {plain}." in WORDS
    groups = {group.name: group for group in compare_groups(runs_of("long") + runs_of("paper")).groups}
    decided, open_ = groups["no-prebias, bias=0.5"], groups["original, bias=2.0"]
    assert decided.p < 0.05 < open_.p
    assert f"`no-prebias` is better: {difference_text(decided.difference)}, Holm p = {decided.p:.3f}" in WORDS
    assert f"`original` is inconclusive: {difference_text(open_.difference)}, Holm p = {open_.p:.3f}" in WORDS
    between = compare_groups(runs_of("long")).groups[1]
    assert between.p > 0.05
    assert f"So is one against the other: {difference_text(between.difference)}." in WORDS


def test_nothing_on_the_way_is_decided():
    """Each test corrected for all that the page could have looked at."""
    p_values = [group.difference.t_test.p for groups in on_the_way(runs_of("paper")).values() for group in groups]
    assert min(holm(p_values)) > 0.05
    assert f"after Holm's correction for {len(p_values)} comparisons (smallest p {min(holm(p_values)):.2f})" in WORDS


def test_the_baselines_have_their_figures_and_learning_curves():
    for run in runs_of("table1"):
        assert [(fold.fold, fold.status) for fold in run.results.folds] == [(k, "complete") for k in range(5)]
    for run in (*runs_of("table1"), longest_run(), longest_run(bias=2), *runs_of("bonds"), *runs_of("fast")):
        assert f"| {' | '.join(run_figures(run))} | " in BENCHMARKS, run.path
    assert f"| {figure(having(runs_of('variants'), variant='original'), 3)} | " in BENCHMARKS
    runs = runs_of("learning-curve")
    kernels = [run for run in runs if run.settings.get("baseline.model") == "krr"]
    network = having([run for run in runs if run not in kernels], variant="no-prebias")
    models = [*(having(kernels, baseline__representation=each) for each in ("bag-of-bonds", "random")), network]
    for size in (300, 600, 1200, 2400, 4800, None):
        cells = [figure(having(own, split__train_size=size)) for own in models]
        assert_shown([f"| {size or 5732:,} | {' | '.join(cells)} |"], BENCHMARKS)


@pytest.mark.parametrize(
    "line", re.findall(r"^    qm7 (compare .*)$", (RESULTS / "README.md").read_text(), re.MULTILINE)
)
def test_published_results_are_compared_as_their_text_says(command, tmp_path, line):
    (tmp_path / "experiments").symlink_to(ROOT / "experiments")
    shown = command(*line.split()).stdout
    assert shown == (ROOT / line.split()[1] / "compare.txt").read_text()
    if "results/variants --" in line:
        assert "".join(shown.splitlines(keepends=True)[:4]) in CENTERING


def test_what_to_expect_is_what_the_histories_give(capsys):
    maes = {row.iteration: row.test_mae for row in longest_run().results[0].history}
    counts, shown = (
        [cell.strip() for cell in re.search(rf"^\| {head} \|(.*)\|$", BENCHMARKS, re.MULTILINE)[1].split("|")]
        for head in ("iterations", "test MAE, kcal/mol")
    )
    assert len(counts) > 8
    assert shown == [f"{maes[int(count.replace(',', ''))]:.2f}" for count in counts]
    histories = [row for variant in VARIANTS for row in longest_run(variant).results[0].history]
    assert all(abs(row.test_mae - maes[row.iteration]) < 0.03 for row in histories)
    page = " ".join(BENCHMARKS.split())
    assert "`corrected` and `no-prebias` stay within 0.03 kcal/mol of these." in page
    comparison = compare_groups(at(runs_of("variants"), 20_000))
    for group in comparison.groups:
        assert f"`{group.name}` {group.mae.mean:.3f} +- {group.mae.over_folds:.3f}" in page
    write_output(comparison_table(comparison))
    first = capsys.readouterr().out.partition("no-prebias against")[0]
    assert textwrap.indent(first, "    ") in ROOT.joinpath("docs/sweeps.md").read_text()
