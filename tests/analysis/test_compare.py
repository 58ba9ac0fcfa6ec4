"""Comparisons, against numbers worked out by hand and by a slow, obvious calculation of their own."""

import math
import statistics
from pathlib import Path

import pytest
import scipy.stats

from qm7cli.analysis.compare import compare_groups
from qm7cli.core.errors import QM7Error
from qm7cli.runs.results import current_environment
from records import change, make_run

VARIANTS = ("original", "corrected", "no-prebias")
MAES = {  # by variant and seed, of the folds 0, 1 and 3
    ("original", 0): (3.0, 3.5, 4.0),
    ("original", 1): (3.1, 3.4, 4.2),
    ("corrected", 0): (3.2, 3.3, 4.5),
    ("corrected", 1): (3.3, 3.9, 4.1),
    ("no-prebias", 0): (2.0, 2.1, 2.2),
    ("no-prebias", 1): (2.4, 2.1, 2.5),
}


def of_variant(variant, seed=0, maes=None, *settings, **changes):
    """Return a run of a variant and a seed on the folds 0, 1 and 3."""
    own = dict(zip((0, 1, 3), maes or MAES[variant, seed], strict=True))
    given = [f"variant={variant}", f"seed={seed}", "training.iterations=200", *settings]
    return make_run(f"{variant}-{seed}", given, own, **changes)


def diverged(variant, *folds, **changes):
    """Return a run in which some folds diverged."""
    maes = zip((0, 1, 3), MAES[variant, 0], strict=True)
    return of_variant(variant, 0, [None if fold in folds else mae for fold, mae in maes], **changes)


@pytest.fixture
def runs():
    return [of_variant(variant, seed) for variant, seed in MAES]


@pytest.mark.parametrize("seeds", [(0,), (0, 1)])
def test_the_figures_are_those_of_a_calculation_of_its_own(seeds):
    comparison = compare_groups([of_variant(variant, seed) for variant in VARIANTS for seed in seeds])
    assert [group.name for group in comparison.groups] == list(VARIANTS)
    assert comparison.groups[0].difference is None
    assert comparison.groups[0].folds_text == ("3" if len(seeds) == 1 else "3 x 2 seeds")
    assert comparison.notes == []
    by_fold = {own: [statistics.fmean(MAES[own, seed][k] for seed in seeds) for k in range(3)] for own in VARIANTS}
    for group in comparison.groups:
        mean, deviation = statistics.fmean(by_fold[group.name]), statistics.pstdev(by_fold[group.name])
        assert group.mae[:2] == pytest.approx((mean, deviation))
        by_seed = [statistics.fmean(MAES[group.name, seed]) for seed in seeds]
        assert group.mae.over_seeds == (pytest.approx(statistics.pstdev(by_seed)) if len(seeds) > 1 else None)
    for group in comparison.groups[1:]:
        own = [ours - theirs for ours, theirs in zip(by_fold[group.name], by_fold["original"], strict=True)]
        mean, error = statistics.fmean(own), math.sqrt((1 / 3 + 12 / 48) * statistics.variance(own))
        half = scipy.stats.t.ppf(0.975, 2) * error
        assert group.difference.mean == pytest.approx(mean)
        assert group.difference.t_test.interval == pytest.approx((mean - half, mean + half))
        assert group.difference.pairs == 3 * len(seeds)


def against(maes, *more, reference=(10.0, 10.0, 10.0), seeds=1, margin=None, **changes):
    """Compare groups, by the MAE of their folds, with a reference of no pre-bias; return them."""
    offsets = {0: reference, **dict(enumerate((maes, *more), start=1))}
    runs = [
        make_run(f"{offset}-{seed}", [f"network.offset={offset}", f"seed={seed}"], own, **changes)
        for offset, own in offsets.items()
        for seed in range(seeds)
    ]
    return compare_groups(runs, margin=margin).groups[1:]


def test_a_verdict_tells_test_sets_per_cent_and_what_would_be_found():
    # as test_paired_difference: interval 2 -+ 3.28621; the noncentral t of 2 degrees of freedom needs 5.6535 errors
    (group,) = against((11.0, 12.0, 13.0), seeds=2)
    assert group.decision == "inconclusive"
    assert group.verdict == (
        "offset=1.0 against offset=0.0 is inconclusive: 2.00 (-1.29 to 5.29) kcal/mol, 20%. Holm p = 0.120, 6 pairs on "
        "3 test sets; detectable with 80% power: 4.32"
    )
    (group,) = against((8.1, 8.0, 7.9))
    assert group.decision == "better"
    assert group.verdict == (
        "offset=1.0 is better than offset=0.0: -2.00 (-2.33 to -1.67) kcal/mol, -20%. Holm p = 0.001, 3 pairs on 3 "
        "test sets"
    )
    (group,) = against((10.5, 10.5, 10.50001))
    assert (
        "is worse than offset=0.0: 0.500003 (0.499984 to 0.500022) kcal/mol, 5.00%. Holm p <0.001, 3" in group.verdict
    )


def test_what_is_found_among_many_comparisons_is_decided_by_holm_s_correction():
    found = (10.1, 10.16, 10.13)
    (alone,) = against(found)
    assert (alone.decision, alone.p) == ("worse", alone.difference.t_test.p)
    assert 0.01 < alone.p < 0.05
    several = against(found, (9.0, 10.0, 11.0), (10.5, 9.0, 9.2), (9.0, 8.99, 9.01))
    assert several[0].difference == alone.difference  # the interval is that of the comparison alone
    assert several[0].p == pytest.approx(3 * alone.p)  # the fourth's is smaller
    assert [group.decision for group in several] == [*3 * ["inconclusive"], "better"]
    assert several[3].p == pytest.approx(4 * several[3].difference.t_test.p)


@pytest.mark.parametrize(("maes", "margin", "decision", "equivalent", "said"), [
    # 0.1 -+ 0.164311, a twentieth of the interval of 1, 2 and 3
    ((10.05, 10.1, 10.15), 0.27, "equivalent", True, "is equivalent to offset=0.0 within 0.27 kcal/mol: 0.10"),
    (
        (10.05, 10.1, 10.15),
        0.26,
        "inconclusive",
        False,
        "against offset=0.0 is inconclusive, neither different nor",
    ),
    # -2 -+ 0.33: decided, and within the margin or not
    ((8.1, 8.0, 7.9), 2.5, "better", True, "is better than offset=0.0, but equivalent within 2.5 kcal/mol: -2.00"),
    ((8.1, 8.0, 7.9), 2.3, "better", False, "is better than offset=0.0: -2.00 (-2.33"),
    # without an interval nothing can lie within the margin
    ((10.0,) * 3, 5, "inconclusive", False, "against offset=0.0 is inconclusive, neither different nor equivalent"),
])  # fmt: skip
def test_only_an_interval_within_the_margin_shows_equivalence(maes, margin, decision, equivalent, said):
    (group,) = against(maes, margin=margin)
    assert (group.decision, group.equivalent) == (decision, equivalent)
    assert group.verdict.startswith(f"offset=1.0 {said}")
    (without,) = against(maes)
    assert without.equivalent is None
    assert "equivalent" not in without.verdict


def test_a_margin_is_explained_and_recorded(runs):
    comparison = compare_groups(runs, margin=1e9)
    assert "Equivalent: the whole interval lies between -1e+09 and 1e+09 kcal/mol." in comparison.explanation
    records = comparison.to_records()
    assert [(each["margin"], each["equivalent"]) for each in records] == [(1e9, None), (1e9, True), (1e9, True)]


@pytest.mark.parametrize(("maes", "said"), [
    ((11.0,), "1.000 kcal/mol, 10%. 1 pair on 1 test set; one test set allows no test"),
    ((9.0, 10.0, 11.0), "0.00 (-3.29 to 3.29) kcal/mol, 0.00%. Holm p = 1.000, 3 pairs on 3"),
    ((9.99999,) * 3, "0.000 kcal/mol, 0.00%. 3 pairs on 3 test sets; the difference is the same"),
])  # fmt: skip
def test_what_is_not_decided_is_never_said_to_be_absent(maes, said):
    (group,) = against(maes, reference=(10.0,) * len(maes))
    assert group.decision == "inconclusive"
    assert group.verdict.startswith(f"offset=1.0 against offset=0.0 is inconclusive: {said}")
    assert not any(word in group.verdict for word in ("-0.00", "no difference", "the same mean", "shows"))


def test_of_one_test_set_no_interval_and_no_correction_is_explained():
    runs = [make_run(f"{offset}", [f"network.offset={offset}"], [3 + offset]) for offset in (0.0, 1.0)]
    assert compare_groups(runs).explanation.endswith("Difference: test MAE minus that of offset=0.0.")


def test_the_reference_is_chosen_by_value_by_run_or_by_name(runs):
    for reference in ("variant=corrected", "corrected-1", "corrected"):
        comparison = compare_groups(runs, reference=reference)
        assert {group.name: group.verdict for group in comparison.groups}["corrected"] == ""
        assert comparison.groups[0].verdict.startswith("original ")
    swapped = compare_groups(runs).groups[1].difference.mean
    assert comparison.groups[0].difference.mean == pytest.approx(-swapped)
    sizes = [make_run(size, [f"split.train_size={size}"], [3, 4]) for size in ("24", "null")]
    assert not compare_groups(sizes, reference="split.train_size=null").groups[1].verdict  # as in a sweep file
    both = compare_groups(runs, by=["variant", "seed"], reference="corrected, seed=1")
    assert [group.name for group in both.groups if not group.verdict] == ["corrected, seed=1"]


@pytest.mark.parametrize(("by", "reference", "reason"), [
    ([], "variant=other", "the reference variant=other is in no group; there are: original; corrected"),
    (["variant", "seed"], "variant=corrected", "the reference variant=corrected is in several groups"),
    ([], "encoding.noise=1", "the reference encoding.noise=1: encoding.noise is not one of the settings that"),
    (["varaint"], None, r'there is no setting varaint; did you mean "variant"\?'),
])  # fmt: skip
def test_a_reference_or_a_setting_that_is_not_there_is_refused(runs, by, reference, reason):
    with pytest.raises(QM7Error, match=f"^{reason}"):
        compare_groups(runs, by, reference)


def test_groups_may_be_made_by_other_settings_and_the_rest_pairs_them(runs):
    first, second = compare_groups(runs, by=["seed"]).groups
    assert (first.name, second.name) == ("seed=0", "seed=1")
    assert (second.difference.pairs, second.mae.over_seeds) == (9, None)
    apart = [MAES[variant, 1][k] - MAES[variant, 0][k] for variant in VARIANTS for k in range(3)]
    assert second.difference.mean == pytest.approx(statistics.fmean(apart))


def test_names_are_no_longer_than_what_tells_the_groups_apart():
    runs = [make_run("a", [], [3]), make_run("b", ["baseline.model=knn"], [3])]
    runs.append(make_run("c", ["baseline.model=krr", "baseline.kernel=laplacian"], [3]))
    groups = compare_groups(runs, by=["baseline.model", "baseline.representation"]).groups
    assert [group.name for group in groups] == ["network", "knn, sorted", "krr, sorted"]
    seeds = [make_run(f"{k}", ["split.scheme=random", f"split.seed={k}", f"seed={k}"], [3]) for k in (0, 1)]
    both = compare_groups(seeds, by=["seed", "split.seed"]).groups
    assert [group.name for group in both] == ["seed=0, split.seed=0", "seed=1, split.seed=1"]
    some = compare_groups([runs[0], runs[1]], ["variant"]).groups
    assert [group.name for group in some] == ["original", "without variant"]


def test_folds_that_are_not_complete_or_alone_are_left_out_and_told():
    partial = change(of_variant("corrected"), 3, status="partial", mae=None, rmse=None)
    comparison = compare_groups([of_variant("original"), partial])
    assert comparison.groups[1].difference.pairs == 2
    assert comparison.notes == [
        "fold 3 of corrected-0 is partial and left out",
        "1 fold has no counterpart and no part in the difference of corrected and original",
    ]


def test_a_group_whose_folds_all_diverged_is_there_and_worse():
    comparison = compare_groups([of_variant("original"), diverged("corrected", 0, 1, 3), of_variant("no-prebias")])
    group = comparison.groups[1]
    assert (len(group.folds), sorted(group.diverged)) == (0, [(0,), (1,), (3,)])
    assert (group.mae, group.difference, group.p, group.decision) == (None, None, None, "worse")
    assert group.verdict == (
        "corrected is worse than original: it diverged in 3 of 3 folds (iterations 12503 to 12506, learning rate "
        "0.01), original in none of 3"
    )
    assert "Holm p is corrected for 1 comparison" in comparison.explanation
    record = comparison.to_records()[1]
    assert (record["folds"], record["diverged"], record["mae_mean"], record["decision"]) == (0, 3, None, "worse")


def test_a_reference_that_diverged_makes_the_others_better():
    base = diverged("original", 0, 3)
    comparison = compare_groups([base, of_variant("corrected")])
    told = "diverged in 2 of 3 folds (iterations 12503 to 12506, learning rate 0.01)"
    assert comparison.sentences[0] == f"original {told}."
    assert comparison.sentences[1].startswith(
        f"corrected is better than original: original {told}, corrected in none of 3. Without the 2 folds that diverged"
    )
    assert compare_groups([base]).sentences == [f"all runs {told}."]


@pytest.mark.parametrize(("ours", "theirs", "partial", "decision"), [
    ((0, 1, 3), (0, 1, 3), (), "inconclusive"),
    ((0, 1), (1, 3), (), "inconclusive"),
    ((0, 1), (1,), (), "worse"),
    ((1,), (0, 1), (), "better"),
    ((0, 1, 3), (), (0, 1, 3), None),  # nothing to compare with
    ((0,), (), (0,), "inconclusive"),  # the reference may still diverge there
    ((0,), (1,), (0,), "inconclusive"),
])  # fmt: skip
def test_only_folds_that_the_other_came_through_count_for_or_against_a_group(ours, theirs, partial, decision):
    base = diverged("original", *theirs)
    for fold in partial:
        base = change(base, fold, status="partial")
    reference = "variant=original" if len(partial) < 3 else None
    group = compare_groups([base, diverged("corrected", *ours)], reference=reference).groups[-1]
    assert group.decision == decision
    assert f"it diverged in {len(ours)} of 3 folds" in group.verdict
    assert f"original {'diverged ' if theirs else ''}in {len(theirs) or 'none'} of {3 - len(partial)}" in group.verdict


def test_the_default_reference_did_not_diverge_unless_it_is_that_of_the_default_settings():
    gone = diverged("corrected", 0, 1, 3)
    assert not compare_groups([gone, of_variant("no-prebias")]).groups[1].verdict
    assert not compare_groups([diverged("original", 0, 1, 3), of_variant("no-prebias")]).groups[0].verdict
    group = compare_groups([diverged("original", 0), diverged("corrected", 0)], margin=1e9).groups[1]
    assert group.difference.t_test
    assert (group.decision, group.equivalent) == ("inconclusive", False)  # no margin holds a fold that diverged


def test_a_control_is_called_one_and_is_a_reference_by_its_name_alone_too(runs):
    control = [
        make_run(f"control-{seed}", ["variant=uncompensated", f"seed={seed}", "training.iterations=200"], [3, 4])
        for seed in (0, 1)
    ]
    found, name = [*runs[:2], *control], "uncompensated (control)"
    for reference in ("uncompensated", name, "variant=uncompensated", "control-1"):
        comparison = compare_groups(found, reference=reference)
        assert [group.name for group in comparison.groups if not group.verdict] == [name]
    assert [record["variant"] for record in comparison.to_records()] == ["original", "uncompensated"]
    assert compare_groups(control).notes == ["there are runs of uncompensated, which is a control"]


@pytest.mark.parametrize("again", [of_variant("original"), diverged("original", 0, 1, 3)])
def test_the_same_fold_twice_in_a_group_is_refused_though_one_diverged(again):
    with pytest.raises(QM7Error, match=r"^again and original-0 both have fold 0 of the same settings$"):
        compare_groups([again._replace(path=Path("again")), of_variant("original")])
    longer = of_variant("original", 0, None, "training.iterations=300")._replace(path=Path("longer"))
    with pytest.raises(QM7Error, match=r"--by training.iterations keeps them apart$"):
        compare_groups([longer, of_variant("original")], ["variant"])


def test_seeds_of_different_folds_have_no_deviations_over_them(runs):
    runs[2] = change(runs[2], 3, status="partial")
    comparison = compare_groups(runs)
    assert comparison.groups[1].mae[1:] == (None, None)
    assert comparison.groups[0].mae.over_seeds is not None
    assert comparison.groups[1].difference.pairs == 5


def test_trainings_of_different_lengths_are_told(runs):
    runs[3] = of_variant("corrected", 1, iterations=150)
    assert compare_groups(runs).notes == [
        "corrected has trainings of different lengths: 150, 200 iterations",
        "corrected and original were trained for different lengths, 150 and 200 iterations",
    ]


def test_runs_of_different_lengths_are_groups_of_their_own(runs):
    longer = of_variant("original", 0, (2.0, 2.1, 2.3), "training.iterations=300")
    comparison = compare_groups([longer, *runs[:4]])
    names = ["original, iterations=200", "original, iterations=300", "corrected, iterations=200"]
    assert [group.name for group in comparison.groups] == names
    assert not comparison.groups[0].verdict
    assert not any("lengths" in note for note in comparison.notes)
    paper = of_variant("original", 0, None, "training.iterations=1000000", iterations=1_000_000)
    assert compare_groups([*runs, paper]).groups[1].verdict == ""


def test_within_each_value_of_a_setting_groups_have_a_reference_of_their_own_and_holm_counts_all():
    maes = {  # by offset and variant
        (0.0, "original"): (3.0, 3.5, 4.0), (0.0, "corrected"): (3.2, 3.3, 4.5),
        (2.0, "original"): (2.0, 2.5, 3.0), (2.0, "corrected"): (2.51, 3.0, 3.5),
    }  # fmt: skip
    runs = [
        of_variant(variant, 0, own, f"network.offset={offset}")._replace(path=Path(f"{variant}-{offset}"))
        for (offset, variant), own in maes.items()
    ]
    comparison = compare_groups(runs, within="network.offset")
    apart = [compare_groups([run for run in runs if run.settings["network.offset"] == offset]) for offset in (0, 2)]
    assert [part.place for part in comparison.parts] == ["network.offset=0.0", "network.offset=2.0"]
    alone = [part.groups[1].p for part in apart]
    assert [part.groups[1].p for part in comparison.parts] == pytest.approx([alone[0], 2 * alone[1]])
    for part, own in zip(comparison.parts, apart, strict=True):
        assert [(group.name, group.difference) for group in part.groups] == [
            (group.name, group.difference) for group in own.groups
        ]
    assert "of original with the same network.offset" in comparison.explanation
    assert "for 2 comparisons" in comparison.explanation
    records = comparison.to_records()
    assert [(each["network.offset"], each["variant"]) for each in records] == [*maes]
    assert comparison.sentences[1].startswith("network.offset=2.0: corrected is worse than original: ")
    with pytest.raises(
        QM7Error, match=r"the reference corrected is in no group with network.offset=2.0; there are: or"
    ):
        compare_groups(runs[:3], reference="corrected", within="network.offset")
    with pytest.raises(QM7Error, match=r"there is no setting network.offst; did you"):
        compare_groups(runs, within="network.offst")


def test_runs_without_the_same_test_sets_cannot_be_compared():
    for other in (of_variant("corrected", sha256="1"), diverged("corrected", 0, 1, 3, sha256="1")):
        group = compare_groups([of_variant("original"), other]).groups[1]
        assert (group.difference, group.decision) == (None, None)
        assert group.verdict.startswith(
            "corrected cannot be compared with original: fold 0 of corrected-0 and of original-0 are of different data "
            "sets or splits, so their test molecules may differ"
        )
    assert group.verdict.endswith(
        "; it diverged in 3 of 3 folds (iterations 12503 to 12506, learning rate 0.01), original in none of 3"
    )
    (_, group) = compare_groups([of_variant("original"), make_run("other", ["variant=corrected"], {5: 3.0})]).groups
    assert "no fold of one agrees with a fold of the other" in group.verdict


def test_environments_that_differ_between_groups_and_rules_that_changed_are_noted(runs):
    here = current_environment()

    def made(*environments):
        given = zip(runs[::2], environments, strict=True)
        return [change(run, 0, environment=here.model_copy(update=own)) for run, own in given]

    same = {"engine": "a", "rule": "r"}
    assert compare_groups(made(same, {"engine": "a", "rule": "other"}, {})).notes == []
    notes = compare_groups(made(same, {"engine": "b", "numpy": "1.0"}, {"blas": "none"})).notes
    assert notes == [
        "the groups differ in network, encoder, target or training loop: a in original; b in corrected",
        f"the groups differ in numpy: {here.numpy} in original; 1.0 in corrected; {here.numpy} in no-prebias",
        f"the groups differ in BLAS kernels: {here.blas} in original; {here.blas} in corrected; none in no-prebias",
    ]
    seeds = [change(run, 0, environment=here.model_copy(update={"rule": str(k)})) for k, run in enumerate(runs[:2])]
    assert compare_groups(seeds).notes == ["the rule original has changed between runs"]
