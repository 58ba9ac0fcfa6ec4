"""Comparisons, against numbers worked out by hand and by a slow, obvious calculation of their own."""

import csv
import math
import random
import re
import shutil
import statistics

import numpy as np
import pytest
import scipy.stats
import yaml

from conftest import remove_checksums
from qm7cli.analysis.compare import compare_groups, compare_with, records
from qm7cli.analysis.groups import Group
from qm7cli.analysis.paired_difference import Difference, TTest, _corrected_t
from qm7cli.analysis.verdict import _decimals, difference_text
from qm7cli.core.errors import QM7Error
from qm7cli.model.model import load_model
from qm7cli.runs.collect import RunFold, find_runs
from qm7cli.runs.experiment import Experiment, resolve
from qm7cli.runs.predictions import read_predictions
from qm7cli.runs.results import FoldResult
from qm7cli.training.train_run import train_run

VARIANTS = ("original", "corrected", "no-prebias")


@pytest.fixture(scope="module")
def trained(once, small):
    """Three variants, two seeds, three folds, trained for a moment."""

    def make(directory):
        for variant in VARIANTS:
            for seed in (0, 1):
                experiment = Experiment.model_validate(
                    {
                        "variant": variant,
                        "seed": seed,
                        "split": {"folds": [0, 1, 3]},
                        "network": {"hidden": [20, 10]},
                        "training": {"iterations": 200, "schedule": [[1, 0.02]]},
                        "evaluation": {"draws": 2},
                    }
                )
                train_run(experiment, small, directory / f"{variant}-{seed}")

    return once("compare", make)


@pytest.fixture
def runs(trained, tmp_path):
    """A copy of the trained runs, to change."""
    for path in trained.rglob("*"):
        if path.is_file() and not path.name.startswith("."):
            copy = tmp_path / path.relative_to(trained)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    return remove_checksums(tmp_path)


def read(path):
    with path.open() as file:
        return {
            int(row["molecule"]): abs(float(row["prediction"]) - float(row["target"])) for row in csv.DictReader(file)
        }


def separately(directory, group, base, seeds, folds, resamples=2000):
    """Return difference, both intervals and the group's mean and deviations, worked out one number after another."""
    pairs, by_molecule, maes = [], {}, {}
    for fold in folds:
        for seed in seeds:
            ours = read(directory / f"{group}-{seed}/fold-{fold}/predictions.csv")
            theirs = read(directory / f"{base}-{seed}/fold-{fold}/predictions.csv")
            assert ours.keys() == theirs.keys()
            maes[fold, seed] = sum(ours.values()) / len(ours)
            for molecule in ours:
                by_molecule.setdefault(fold, {}).setdefault(molecule, []).append(ours[molecule] - theirs[molecule])
        pairs.append(statistics.fmean(statistics.fmean(seen) for seen in by_molecule[fold].values()))
    mean = sum(pairs) / len(pairs)
    model = load_model(directory / f"{group}-{seeds[0]}/fold-{folds[0]}/model.npz")
    ratio = len(model.test) / len(model.train)
    variance = sum((pair - mean) ** 2 for pair in pairs) / (len(pairs) - 1)
    margin = scipy.stats.t.ppf(0.975, len(pairs) - 1) * math.sqrt((1 / len(pairs) + ratio) * variance)
    rng = random.Random(1)  # noqa: S311
    drawn = []
    for _ in range(resamples):
        folds_drawn = [
            rng.choices([sum(d) / len(d) for d in by_molecule[f].values()], k=len(by_molecule[f])) for f in folds
        ]
        drawn.append(sum(sum(sample) / len(sample) for sample in folds_drawn) / len(folds))
    drawn.sort()
    low, high = drawn[int(0.025 * resamples)], drawn[int(0.975 * resamples)]
    over_folds = statistics.pstdev(sum(maes[f, s] for s in seeds) / len(seeds) for f in folds)
    over_seeds = (
        statistics.pstdev(sum(maes[f, s] for f in folds) / len(folds) for s in seeds) if len(seeds) > 1 else None
    )
    return mean, (low, high), (mean - margin, mean + margin), (sum(maes.values()) / len(maes), over_folds, over_seeds)


def agree(group, expected):
    mean, bootstrap, interval, mae = expected
    assert group.difference.mean == pytest.approx(mean, rel=1e-4)
    assert group.difference.t_test.interval == pytest.approx(interval, rel=1e-4)
    width = bootstrap[1] - bootstrap[0]
    assert group.difference.bootstrap == pytest.approx(bootstrap, abs=0.1 * width)
    figures = [(figure, expected) for figure, expected in zip(group.mae, mae, strict=True) if expected is not None]
    assert len(figures) == 3 - group.mae.count(None)
    assert all(figure == pytest.approx(expected, rel=1e-5) for figure, expected in figures)


@pytest.mark.parametrize("seeds", [(0,), (0, 1)])
def test_the_figures_are_those_of_a_calculation_of_its_own(trained, seeds):
    comparison = compare_groups(find_runs([trained / f"{variant}-{seed}" for variant in VARIANTS for seed in seeds]))
    assert [group.name for group in comparison.groups] == list(VARIANTS)
    assert comparison.groups[0].difference is None
    for group in comparison.groups[1:]:
        assert group.difference.pairs == 3 * len(seeds)
        agree(group, separately(trained, group.name, "original", seeds, (0, 1, 3)))
    assert comparison.notes == []


def test_one_run_s_mean_and_deviation_are_those_of_its_results(trained):
    (group,) = compare_groups(find_runs([trained / "corrected-1"])).groups
    results = yaml.safe_load((trained / "corrected-1/results.yaml").read_text())
    for metric in ("mae", "rmse"):
        figures = getattr(group, metric)
        assert (figures.mean, figures.over_folds) == pytest.approx(tuple(results[metric].values()), rel=1e-12)
        assert figures.over_seeds is None


@pytest.fixture
def verdicts(trained):
    """Compares groups by the MAE of the folds of two reference runs and theirs, and gives groups and notes."""
    run = find_runs([trained / "original-0"])[0]

    def verdicts(*others, reference=(10.0, 10.0, 10.0), seeds=1, margin=None, **changes):
        of_all = {"status": "complete", "iterations": 0, "seconds": 0, "train_molecules": 48}

        def group(name, maes):
            folds = {
                (fold, seed): RunFold(
                    run._replace(path=trained / "without predictions"),
                    FoldResult(**(of_all | {"fold": fold, "mae": mae, "rmse": mae} | changes)),
                )
                for fold, mae in enumerate(maes)
                for seed in range(seeds)
            }
            return Group(name, {}, folds, {}, None, None)

        base = group("old", reference)
        return compare_with([base, *(group(f"new{k}", maes) for k, maes in enumerate(others))], base, margin).groups[1:]

    return verdicts


def test_a_verdict_tells_test_sets_per_cent_and_what_would_be_found(verdicts):
    # as test_pairs: interval 2 -+ 3.28621; the noncentral t of 2 degrees of freedom needs 5.6535 standard errors
    (group,) = verdicts((11.0, 12.0, 13.0), seeds=2)
    assert group.decision == "not decided"
    assert group.verdict == (
        "new0 against old is not decided: 2.00 (-1.29 to 5.29) kcal/mol, 20 % of the MAE, 6 pairs on 3 test sets, "
        "Holm p 0.120; such a comparison finds 4.32 in four of five cases"
    )
    (group,) = verdicts((8.1, 8.0, 7.9))
    assert group.decision == "better"
    assert group.verdict.startswith(
        "new0 is better than old: -2.00 (-2.33 to -1.67) kcal/mol, -20 % of the MAE, 3 pairs"
    )
    (group,) = verdicts((10.5, 10.5, 10.50001))
    assert group.decision == "worse"
    assert "new0 is worse than old: 0.500003 (0.499984 to 0.500022) kcal/mol, 5.00 % of the MAE" in group.verdict


def test_what_is_found_among_many_comparisons_is_decided_by_holm_s_correction(verdicts):
    found = (10.1, 10.16, 10.13)
    (alone,) = verdicts(found)
    assert (alone.decision, alone.p) == ("worse", alone.difference.t_test.p)
    assert 0.01 < alone.p < 0.05
    several = verdicts(found, (9.0, 10.0, 11.0), (10.5, 9.0, 9.2), (9.0, 8.99, 9.01))
    assert several[0].difference == alone.difference  # the interval is that of the comparison alone
    assert several[0].p == pytest.approx(3 * alone.p)  # the fourth's is smaller
    assert several[0].decision == "not decided"
    assert several[0].verdict.startswith("new0 against old is not decided: 0.130 (0.0")
    assert several[3].decision == "better"
    assert several[3].p == pytest.approx(4 * several[3].difference.t_test.p)


@pytest.mark.parametrize(
    ("maes", "margin", "decision", "equivalent", "said"),
    [
        # 0.1 -+ 0.164311, as test_pairs: a twentieth of the interval of 1, 2 and 3
        ((10.05, 10.1, 10.15), 0.27, "equivalent", True, "against old is equivalent within 0.27 kcal/mol: 0.10 (-0.06"),
        (
            (10.05, 10.1, 10.15),
            0.26,
            "not decided",
            False,
            "against old is not decided, neither different nor equivalent within 0.26 kcal/mol: 0.10 (-0.06 to 0.26)",
        ),
        ((9.95, 9.9, 9.85), 0.26, "not decided", False, "against old is not decided, neither"),
        ((9.95, 9.9, 9.85), 0.27, "equivalent", True, "against old is equivalent within 0.27 kcal/mol: -0.10 (-0.26"),
        # -2 -+ 0.33: decided, and within the margin or not
        ((8.1, 8.0, 7.9), 2.5, "better", True, "is better than old, but equivalent within 2.5 kcal/mol: -2.00 (-2.33"),
        ((8.1, 8.0, 7.9), 2.3, "better", False, "is better than old: -2.00 (-2.33"),
        ((11.9, 12.0, 12.1), 2.5, "worse", True, "is worse than old, but equivalent within 2.5 kcal/mol: 2.00 (1.67"),
        # without an interval nothing can lie within the margin
        ((10.0,) * 3, 5, "not decided", False, "against old is not decided, neither different nor equivalent within 5"),
    ],
)
def test_only_an_interval_within_the_margin_shows_equivalence(verdicts, maes, margin, decision, equivalent, said):
    (group,) = verdicts(maes, margin=margin)
    assert (group.decision, group.equivalent) == (decision, equivalent)
    assert group.verdict.startswith(f"new0 {said}")
    (without,) = verdicts(maes)
    assert without.equivalent is None
    assert "equivalent" not in without.verdict
    assert without.decision == decision.replace("equivalent", "not decided")


def test_a_margin_is_explained_and_recorded(trained):
    comparison = compare_groups(find_runs([trained]), margin=1e9)
    assert "Equivalent within 1e+09 kcal/mol is a group whose whole interval lies between" in comparison.explanation
    assert [record["margin"] for record in records(comparison)] == [1e9] * 3
    assert [record["equivalent"] for record in records(comparison)] == [None, True, True]


@pytest.mark.parametrize(
    ("maes", "changes", "said"),
    [
        ((11.0,), {}, "1.000 kcal/mol, 10 % of the MAE, 1 pair on 1 test set; one test set allows no test"),
        ((9.0,), {}, "-1.000 kcal/mol, -10 % of the MAE, 1 pair on 1 test set; one test set allows no test"),
        ((10.0,) * 3, {}, "0.000 kcal/mol, 0.00 % of the MAE, 3 pairs on 3 test sets; the difference is the same on"),
        (
            (9.0, 10.0, 11.0),
            {},
            "0.00 (-3.29 to 3.29) kcal/mol, 0.00 % of the MAE, 3 pairs on 3 test sets, Holm p 1.000",
        ),
        ((9.99999,) * 3, {}, "0.000 kcal/mol, 0.00 % of the MAE, 3 pairs on 3 test sets; the difference is the same"),
        (
            (9.0, 10.0, 12.0),
            {"train_molecules": None},
            "0.333 kcal/mol, 3.33 % of the MAE, 3 pairs on 3 test sets; no re",
        ),
    ],
)
def test_what_is_not_decided_is_never_said_to_be_absent(verdicts, maes, changes, said):
    (group,) = verdicts(maes, reference=(10.0,) * len(maes), **changes)
    assert group.decision == "not decided"
    assert group.verdict.startswith(f"new0 against old is not decided: {said}")
    assert "-0.00" not in group.verdict
    assert not any(word in group.verdict for word in ("no difference", "the same mean", "shows"))


@pytest.mark.parametrize(("margin", "decimals"), [(12.0, 2), (0.4, 2), (0.04, 3), (0.0123, 3), (1e-9, 6), (0.0, 6)])
def test_as_many_decimals_are_shown_as_the_interval_gives_sense(margin, decimals):
    difference = Difference(0.0, 0.0, 2, 2, TTest((-margin, margin), 1.0, 1.0, 1.0), None)
    assert _decimals(difference) == decimals


def test_a_small_number_is_never_shown_as_minus_zero():
    difference = Difference(-1e-9, 0.0, 2, 2, TTest((-0.04, -1e-9), 1.0, 1.0, 1.0), None)
    assert difference_text(difference) == "0.000 (-0.040 to 0.000)"


def test_the_reference_is_chosen_by_value_or_by_run(trained):
    runs = find_runs([trained])
    for reference in ("variant=corrected", str(trained / "corrected-1")):
        comparison = compare_groups(runs, reference=reference)
        assert {group.name: group.verdict for group in comparison.groups}["corrected"] == ""
        assert comparison.groups[0].verdict.startswith("original ")
    swapped = {group.name: group.difference for group in compare_groups(runs).groups}["corrected"].mean
    assert comparison.groups[0].difference.mean == pytest.approx(-swapped)
    with pytest.raises(QM7Error, match="the reference variant=other is in no group; there are: original; corrected"):
        compare_groups(runs, reference="variant=other")
    with pytest.raises(QM7Error, match="the reference variant=corrected is in several groups"):
        compare_groups(runs, by=["variant", "seed"], reference="variant=corrected")
    both = compare_groups(runs, by=["variant", "seed"], reference="corrected, seed=1")
    assert [group.name for group in both.groups if not group.verdict] == ["corrected, seed=1"]
    with pytest.raises(
        QM7Error, match=r"the reference encoding.noise=1: encoding.noise is not one of the settings that"
    ):
        compare_groups(runs, reference="encoding.noise=1")


def test_the_reference_s_value_is_read_as_in_a_sweep_file(tmp_path, small):
    for noise, size in ((0, None), (1, None), (1, 24)):
        tree = {"encoding": {"noise": noise}, "split": {"train_size": size, "folds": [0]}, "network": {"hidden": [3]}}
        tree |= {"training": {"iterations": 2}}
        train_run(Experiment.model_validate(tree), small, tmp_path / f"{noise}-{size}")
    runs = find_runs([tmp_path])
    for by, reference in (("encoding.noise", "encoding.noise=0"), ("split.train_size", "split.train_size=null")):
        chosen = [run for run in runs if by == "encoding.noise" or run.settings["encoding.noise"] == 1]
        chosen = [run for run in chosen if by != "encoding.noise" or run.settings["split.train_size"] is None]
        groups = compare_groups(chosen, by=[by], reference=reference).groups
        assert [group.difference is None for group in groups].count(True) == 1
        named = {group.name.replace("0.0", "0"): group for group in groups}
        assert named[reference.rpartition(".")[2]].difference is None


def test_what_else_differs_in_a_group_is_no_seed(tmp_path, small):
    for noise in (0, 1):
        tree = {"encoding": {"noise": noise}, "split": {"folds": [0, 1]}, "network": {"hidden": [3]}}
        train_run(Experiment.model_validate(tree | {"training": {"iterations": 2}}), small, tmp_path / str(noise))
    (group,) = compare_groups(find_runs([tmp_path]), by=["variant"]).groups
    assert group.mae.over_folds is not None
    assert group.mae.over_seeds is None


def test_groups_may_be_made_by_other_settings_and_the_rest_pairs_them(trained):
    comparison = compare_groups(find_runs([trained]), by=["seed"])
    assert [group.name for group in comparison.groups] == ["seed=0", "seed=1"]
    group = comparison.groups[1]
    assert group.difference.pairs == 9
    expected = [
        np.mean(list(read(trained / f"{v}-1/fold-{f}/predictions.csv").values()))
        - np.mean(list(read(trained / f"{v}-0/fold-{f}/predictions.csv").values()))
        for v in VARIANTS
        for f in (0, 1, 3)
    ]
    assert group.difference.mean == pytest.approx(np.mean(expected), rel=1e-5)  # float32 in the files


def test_names_are_no_longer_than_what_tells_the_groups_apart(tmp_path, small):
    for baseline in (None, {"model": "knn"}, {"model": "krr", "kernel": "laplacian", "scale": 9.0, "ridge": 1e-3}):
        for seed in (0, 1):
            tree = {"split": {"scheme": "random", "folds": [0], "seed": seed}, "network": {"hidden": [3]}}
            tree |= {"training": {"iterations": 2}, "baseline": baseline or {}}
            train_run(resolve(tree, [], {}), small, tmp_path / f"{len(baseline or ())}-{seed}")
    groups = compare_groups(find_runs([tmp_path]), by=["baseline.model", "baseline.representation"]).groups
    assert [group.name for group in groups] == ["network", "knn, sorted", "krr, sorted"]
    runs = find_runs([tmp_path / "0-0", tmp_path / "0-1"])
    assert [group.name for group in compare_groups(runs, by=["split.seed"], paired=False).groups] == [
        "seed=0",
        "seed=1",
    ]
    both = compare_groups(runs, by=["seed", "split.seed"], reference="seed=0, split.seed=1").groups
    assert [group.name for group in both] == ["seed=0, split.seed=0", "seed=0, split.seed=1"]
    assert [
        group.difference is None for group in compare_groups(runs, by=["split.seed"], reference="seed=1").groups
    ] == [
        True,
        True,  # the reference; the other has another split
    ]


def test_a_group_without_the_setting_that_makes_the_others_says_so(runs, small):
    train_run(resolve(None, [], {"baseline.model": "mean"}), small, runs / "mean")
    groups = compare_groups(find_runs([runs / "original-0", runs / "mean"]), ["variant"]).groups
    assert [group.name for group in groups] == ["original", "without variant"]
    both = compare_groups(find_runs([runs / "mean", runs / "original-0", runs / "corrected-0"]), paired=False).groups
    assert [group.name for group in both] == ["original, network", "corrected, network", "mean"]


def test_an_unknown_setting_is_refused(trained):
    with pytest.raises(QM7Error, match=r'there is no setting varaint; did you mean "variant"\?'):
        compare_groups(find_runs([trained]), by=["varaint"])


def change(run, **changes):
    """Change the results of a run, and its folds with them."""
    path = run / "results.yaml"
    results = yaml.safe_load(path.read_text())
    for fold in results["folds"]:
        fold.update(changes.get("folds", {}).get(fold["fold"], {}))
    for section in ("config", "dataset"):
        for key, value in changes.get(section, {}).items():
            tree = results[section]
            tree[key] = tree[key] | value if isinstance(value, dict) else value
    path.write_text(yaml.safe_dump(results))


def test_folds_that_are_not_complete_or_alone_are_left_out_and_told(runs):
    change(runs / "corrected-0", folds={3: {"status": "partial", "mae": None, "rmse": None}})
    comparison = compare_groups(find_runs([runs / "original-0", runs / "corrected-0"]))
    assert comparison.groups[1].difference.pairs == 2
    assert comparison.notes == [
        f"fold 3 of {runs}/corrected-0 is partial and left out",
        "1 fold has no counterpart and no part in the difference of corrected and original",
    ]
    agree(comparison.groups[1], separately(runs, "corrected", "original", (0,), (0, 1)))


def diverge(run, *folds, iteration=12503, rate=0.01):
    """Make folds of a run diverged ones."""
    for fold in folds:
        reason = f"fold {fold} diverged at iteration {iteration + fold} (rate {rate})"
        of_all = {"status": "diverged", "iterations": iteration + fold - 1, "reason": reason}
        change(run, folds={fold: of_all | dict.fromkeys(("mae", "rmse", "train_mae", "train_rmse"))})


def compared(runs, *variants, **options):
    return compare_groups(find_runs([runs / f"{variant}-0" for variant in variants]), **options)


def test_a_group_whose_folds_all_diverged_is_there_and_worse(runs):
    diverge(runs / "corrected-0", 0, 1, 3)
    comparison = compared(runs, *VARIANTS)
    assert [group.name for group in comparison.groups] == list(VARIANTS)
    group = comparison.groups[1]
    assert (len(group.folds), sorted(group.diverged)) == (0, [(0,), (1,), (3,)])
    assert (group.mae, group.difference, group.p, group.decision) == (None, None, None, "worse")
    assert group.verdict == (
        "corrected is worse than original: it diverged in 3 of 3 folds, at iterations 12503 to 12506 (rate 0.01), the "
        "reference diverged in none of 3"
    )
    assert comparison.notes == []
    assert "Holm p is corrected for 1 comparison" in comparison.explanation
    record = list(records(comparison))[1]
    assert (record["folds"], record["diverged"], record["mae_mean"], record["decision"]) == (0, 3, None, "worse")


def test_folds_that_diverged_decide_however_much_better_the_others_are(runs):
    diverge(runs / "corrected-0", 1)
    for fold in (0, 3):
        change(runs / "corrected-0", folds={fold: {"mae": 1.0 + fold / 1000}})
    without_predictions(runs)
    group = compared(runs, "original", "corrected").groups[1]
    assert group.difference.t_test.interval[1] < 0
    assert group.decision == "worse"
    assert group.verdict.startswith(
        "corrected is worse than original: it diverged in 1 of 3 folds, at iteration 12504 (rate 0.01), the reference "
        "diverged in none of 3; leaving out 1 fold that diverged, the difference is -"
    )
    assert "2 pairs on 2 test sets" in group.verdict


def test_a_reference_that_diverged_makes_the_others_better(runs):
    diverge(runs / "original-0", 0, 3)
    comparison = compared(runs, "original", "corrected")
    assert comparison.groups[1].decision == "better"
    told = "diverged in 2 of 3 folds, at iterations 12503 to 12506 (rate 0.01)"
    assert comparison.sentences[0] == f"original {told}."
    assert comparison.sentences[1].startswith(
        f"corrected is better than original: the reference {told}, this group in none of 3; leaving out 2 folds that "
    )
    (sentence,) = compared(runs, "original").sentences
    assert sentence == f"all runs {told}."


@pytest.mark.parametrize(
    ("ours", "theirs", "partial", "decision"),
    [
        ((0, 1, 3), (0, 1, 3), (), "not decided"),
        ((0, 1), (1, 3), (), "not decided"),
        ((0, 1), (1,), (), "worse"),
        ((1,), (0, 1), (), "better"),
        ((0, 1), (0, 1), (), "not decided"),  # one test set is left, which allows no test
        ((0, 1, 3), (), (0, 1, 3), None),  # nothing to compare with
        ((0,), (), (0,), "not decided"),  # the reference may still diverge there
        ((0,), (1,), (0,), "not decided"),
    ],
)
def test_only_folds_that_the_other_came_through_count_for_or_against_a_group(runs, ours, theirs, partial, decision):
    diverge(runs / "corrected-0", *ours)
    diverge(runs / "original-0", *theirs)
    for fold in partial:
        change(runs / "original-0", folds={fold: {"status": "partial"}})
    group = compared(runs, "original", "corrected", reference="variant=original" if len(partial) < 3 else None).groups[
        -1
    ]
    assert group.decision == decision
    assert f"it diverged in {len(ours)} of 3 folds" in group.verdict
    assert f"the reference diverged in {len(theirs) or 'none'} of {3 - len(partial)}" in group.verdict


def test_folds_that_diverged_on_other_molecules_decide_nothing(runs):
    diverge(runs / "corrected-0", 0, 1, 3)
    change(runs / "corrected-0", dataset={"sha256": "another"})
    group = compared(runs, "original", "corrected").groups[1]
    assert group.decision is None
    assert "are of different data sets or splits" in group.verdict
    assert group.verdict.endswith(
        "; it diverged in 3 of 3 folds, at iterations 12503 to 12506 (rate 0.01), the reference diverged in none of 3"
    )


def test_a_diverged_fold_of_an_older_run_or_with_another_reason_is_one_all_the_same(runs):
    diverge(runs / "corrected-0", 0, 1, 3)
    older = "fold 0 diverged at iteration 7, at the learning rate 1e-05"
    change(runs / "corrected-0", folds={0: {"reason": older}, 1: {"reason": None, "iterations": 9}})
    (group,) = compared(runs, "corrected").groups
    assert group.divergence == "diverged in 3 of 3 folds, at iterations 7 to 12506 (rates 1e-05, 0.01)"
    assert group.diverged[0,].result.outcome == "diverged at iteration 7, at the learning rate 1e-05"
    assert group.diverged[1,].result.outcome == "diverged"


def test_the_default_reference_has_a_fold_that_did_not_diverge_unless_it_is_that_of_the_default_settings(runs):
    diverge(runs / "corrected-0", 0, 1, 3)
    assert not compared(runs, "original", "corrected").groups[0].verdict
    assert not compared(runs, "corrected", "no-prebias").groups[1].verdict
    diverge(runs / "original-0", 0, 1, 3)
    assert not compared(runs, "original", "no-prebias").groups[0].verdict


def test_groups_with_folds_that_diverged_are_equivalent_within_no_margin(runs):
    diverge(runs / "corrected-0", 0)
    diverge(runs / "original-0", 0)
    group = compared(runs, "original", "corrected", margin=1e9).groups[1]
    assert group.difference.t_test
    assert (group.decision, group.equivalent) == ("not decided", False)


def test_a_control_is_called_one_and_is_a_reference_by_its_name_alone_too(runs):
    for seed in (0, 1):
        change(runs / f"corrected-{seed}", config={"variant": "uncompensated"})
    found = find_runs([runs])
    name = "uncompensated (control)"
    assert [group.name for group in compare_groups(found).groups] == ["original", "no-prebias", name]
    for reference in ("uncompensated", name, "variant=uncompensated", str(runs / "corrected-1")):
        comparison = compare_groups(found, reference=reference)
        assert [group.name for group in comparison.groups if not group.verdict] == [name]
    both = compare_groups(found, by=["variant", "seed"], reference="uncompensated, seed=1", paired=True)
    assert [group.name for group in both.groups if not group.verdict] == [f"{name}, seed=1"]
    assert [record["variant"] for record in records(comparison)] == ["original", "no-prebias", "uncompensated"]
    assert [record["group"] for record in records(comparison)][2] == name
    notes = compare_groups([run for run in found if "corrected" in run.path.name]).notes
    assert notes == ["there are runs of uncompensated, which is a control"]


def test_a_fold_twice_in_a_group_is_refused_though_one_diverged(runs):
    (runs / "again").mkdir()
    (runs / "again/results.yaml").write_text((runs / "original-0/results.yaml").read_text())
    diverge(runs / "again", 0, 1, 3)
    with pytest.raises(QM7Error, match=r"again and .*original-0 both have fold 0 of the same settings$"):
        compare_groups(find_runs([runs]))


def test_seeds_of_different_folds_have_no_deviations_over_them(runs):
    change(runs / "corrected-0", folds={3: {"status": "partial"}})
    comparison = compare_groups(find_runs([runs]))
    assert comparison.groups[1].mae[1:] == (None, None)
    assert comparison.groups[0].mae.over_seeds is not None
    assert comparison.groups[1].difference.pairs == 5


def test_trainings_of_different_lengths_are_told(runs):
    for fold in (0, 1, 3):
        change(runs / "corrected-1", folds={fold: {"iterations": 150}})
    comparison = compare_groups(find_runs([runs]))
    assert comparison.notes == [
        "corrected has trainings of different lengths: 150, 200 iterations",
        "corrected and original were trained for different lengths, 150 and 200 iterations",
    ]
    assert comparison.groups[1].difference.pairs == 6


def test_runs_with_different_test_molecules_cannot_be_paired(runs):
    path = runs / "corrected-0/fold-1/predictions.csv"
    header, first, *rest = path.read_text().splitlines()
    path.write_text("\n".join([header, "59" + first[first.index(",") :], *rest]) + "\n")
    comparison = compare_groups(find_runs([runs / "original-0", runs / "corrected-0"]))
    assert comparison.groups[1].difference is None
    assert comparison.groups[1].verdict == (
        "corrected cannot be compared with original: "
        f"fold 1 of {runs}/corrected-0 and of {runs}/original-0 have different test molecules"
    )
    path.unlink()
    change(runs / "corrected-0", dataset={"sha256": "another"})
    comparison = compare_groups(find_runs([runs / "original-0", runs / "corrected-0"]))
    assert comparison.groups[1].verdict.endswith(
        f"fold 1 of {runs}/corrected-0 and of {runs}/original-0 are of different data sets or splits, and have no "
        "predictions that show whether their test molecules are the same"
    )


def test_runs_without_a_common_fold_or_with_damaged_predictions_cannot_be_paired(runs):
    for fold in (0, 1, 3):
        change(runs / "corrected-0", folds={fold: {"fold": fold + 5}})
    comparison = compare_groups(find_runs([runs / "original-0", runs / "corrected-0"]))
    assert "no fold of one agrees with a fold of the other" in comparison.groups[1].verdict
    header = "molecule,target,prediction,spread\n"
    for text in ("molecule,target\n1,2\n", header, f"{header}1,-2,nan,\n", f"{header}1,-2,,\n", "\0"):
        (runs / "no-prebias-0/fold-3/predictions.csv").write_text(text)
        comparison = compare_groups(find_runs([runs / "original-0", runs / "no-prebias-0"]))
        assert "no-prebias-0/fold-3/predictions.csv is damaged" in comparison.groups[1].verdict


def test_predictions_whose_errors_are_not_those_of_the_results_are_refused(runs):
    """Of an older run, which has no checksums."""
    path, results = runs / "corrected-0/fold-1/predictions.csv", runs / "corrected-0/results.yaml"
    whole, record = path.read_text(), results.read_text()
    fold = find_runs([runs / "corrected-0"])[0].results[1]
    *_, last = whole.splitlines()
    molecule, target, prediction, _ = last.split(",")

    def verdict():
        (group,) = compare_groups(find_runs([runs / "original-0", runs / "corrected-0"])).groups[1:]
        return group.verdict

    assert "predictions.csv" not in verdict()
    path.write_text(whole.removesuffix(last + "\n") + f"{molecule},{target},{prediction[:2]},0.1\n")
    assert re.search(
        rf"{path} does not belong to the fold's result: its MAE is [\d.]+ kcal/mol, in the result it is "
        rf"{fold.mae:.6g}; --overwrite trains the fold from the start",
        verdict(),
    )
    path.write_text(whole)
    for metric in ("mae", "rmse"):
        results.write_text(record.replace(str(getattr(fold, metric)), "12.1"))
        assert f"its {metric.upper()} is {getattr(fold, metric):.6g} kcal/mol, in the result it is 12.1; " in verdict()
    results.write_text(record)
    for wrong in ("-1", "0.5", whole.splitlines()[1].split(",")[0]):
        path.write_text(whole.replace(last, f"{wrong},{target},{prediction},0.1"))
        assert f"{path} is damaged: its molecules are not different rows of a data set" in verdict()


def without_predictions(directory):
    for path in directory.rglob("predictions.csv"):
        path.unlink()


def test_results_yaml_alone_gives_all_but_the_bootstrap_and_one_note_says_so(runs):
    before = compare_groups(find_runs([runs]))
    assert all(group.difference.bootstrap for group in before.groups[1:])
    without_predictions(runs)
    after = compare_groups(find_runs([runs]))
    first = runs / "corrected-0/fold-0/predictions.csv"
    assert after.notes == [
        f"there is no bootstrap interval without predictions: {first} is missing, and so are 17 more"
    ]
    for ours, theirs in zip(after.groups, before.groups, strict=True):
        assert ours.verdict == theirs.verdict
        assert ours.difference == (theirs.difference and theirs.difference._replace(bootstrap=None))


def test_predictions_of_the_reference_are_read_once_however_many_groups_there_are(runs, monkeypatch):
    read = []
    monkeypatch.setattr(
        "qm7cli.analysis.paired_difference.read_predictions",
        lambda run, result: read.append((run.name, result.fold)) or read_predictions(run, result),
    )
    assert all(group.difference.bootstrap for group in compare_groups(find_runs([runs])).groups[1:])
    assert len(read) == len(set(read)) == 18


def test_a_fold_without_predictions_leaves_the_other_differences_their_bootstrap(runs):
    (runs / "no-prebias-0/fold-3/predictions.csv").unlink()
    comparison = compare_groups(find_runs([runs / f"{variant}-0" for variant in VARIANTS]))
    assert [group.difference and group.difference.bootstrap is not None for group in comparison.groups] == [
        None,
        True,
        False,
    ]
    assert comparison.notes == [
        f"there is no bootstrap interval without predictions: {runs}/no-prebias-0/fold-3/predictions.csv is missing"
    ]


def test_how_many_molecules_were_tested_is_known_of_older_results_too(runs):
    without_predictions(runs)
    expected = compare_groups(find_runs([runs / "original-0", runs / "corrected-0"])).groups[1].difference
    older = {fold: {"test_molecules": None} for fold in (0, 1, 3)}
    for run in ("original-0", "corrected-0"):
        change(runs / run, folds=older)
    found = find_runs([runs / "original-0", runs / "corrected-0"])
    assert compare_groups(found).groups[1].difference == expected
    for run in ("original-0", "corrected-0"):  # as it is if both are trained on a part
        change(runs / run, config={"split": {"train_size": 48}})
    difference = compare_groups(find_runs([runs / "original-0", runs / "corrected-0"])).groups[1].difference
    assert (difference.mean, difference.t_test) == (expected.mean, None)
    assert difference.untested.startswith("no results.yaml tells how many molecules")


def test_equal_folds_of_two_data_sets_are_no_seeds_of_each_other(runs):
    shutil.rmtree(runs / "no-prebias-0")
    shutil.rmtree(runs / "no-prebias-1")
    (group,) = compare_groups(find_runs([runs])).groups[1:]
    assert "6 pairs on 3 test sets" in group.verdict
    for name in ("original-1", "corrected-1"):
        change(runs / name, dataset={"name": "other", "sha256": "another"})
    (group,) = compare_groups(find_runs([runs]), by=["variant"]).groups[1:]
    assert "6 pairs on 6 test sets" in group.verdict
    assert group.difference.bootstrap is not None  # equal rows of two data sets are different molecules


def test_results_that_do_not_tell_how_many_molecules_were_trained_on_are_not_tested(runs):
    change(runs / "corrected-0", folds={1: {"train_molecules": None}})
    (group,) = compare_groups(find_runs([runs / "original-0", runs / "corrected-0"])).groups[1:]
    assert (group.difference.pairs, group.difference.t_test, group.decision) == (3, None, "not decided")
    assert "no results.yaml tells how many molecules were trained on and tested" in group.verdict


def test_the_same_fold_twice_in_a_group_is_refused(runs):
    (runs / "again").mkdir()
    (runs / "again/results.yaml").write_text((runs / "original-0/results.yaml").read_text())
    with pytest.raises(QM7Error, match=r"again and .*original-0 both have fold 0 of the same settings$"):
        compare_groups(find_runs([runs]))
    change(runs / "again", config={"training": {"iterations": 9}})
    with pytest.raises(QM7Error, match=r"of the same settings; --by training.iterations keeps them apart"):
        compare_groups(find_runs([runs]))
    comparison = compare_groups(find_runs([runs / "again", runs / "original-1"]), by=["training.iterations"])
    assert [group.name for group in comparison.groups] == ["iterations=9", "iterations=200"]


def test_sizes_come_in_order_all_last_and_the_default_is_the_baseline(tmp_path, small):
    for size in (8, None, 24):
        tree = {
            "split": {"train_size": size, "folds": [0, 1]},
            "network": {"hidden": [5]},
            "training": {"iterations": 3},
        }
        train_run(Experiment.model_validate(tree), small, tmp_path / str(size))
    comparison = compare_groups(find_runs([tmp_path]))
    assert [group.settings["split.train_size"] for group in comparison.groups] == [8, 24, None]
    assert [group.difference is None for group in comparison.groups] == [False, False, True]
    ratios = [12 / 8, 12 / 24]
    for group, ratio in zip(comparison.groups, ratios, strict=False):
        maes = [
            np.mean(list(read(tmp_path / f"{size}/fold-{fold}/predictions.csv").values()))
            for fold in (0, 1)
            for size in (group.settings["split.train_size"], None)
        ]
        differences = np.array([maes[0] - maes[1], maes[2] - maes[3]])
        assert group.difference.t_test.interval == pytest.approx(_corrected_t(differences, ratio).interval, rel=1e-5)


def test_the_records_of_a_comparison_are_plain_values(trained):
    plain = list(records(compare_groups(find_runs([trained]))))
    assert yaml.safe_load(yaml.safe_dump(plain)) == plain
    assert plain[0].keys() == plain[1].keys()
    assert [record["variant"] for record in plain] == list(VARIANTS)
    assert plain[0]["difference"] is None
    assert plain[1]["t_test_low"] < plain[1]["difference"] < plain[1]["t_test_high"]
    assert plain[1]["p"] <= plain[1]["p_holm"]
    assert (plain[1]["pairs"], plain[1]["test_sets"]) == (6, 3)
    assert {record["decision"] for record in plain[1:]} <= {"better", "worse", "not decided"}
