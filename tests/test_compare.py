"""Comparisons, against numbers worked out by hand and by a slow, obvious calculation of their own."""

import csv
import math
import random
import statistics

import numpy as np
import pytest
import scipy.stats
import yaml

from qm7cli.checkpoint import load_model
from qm7cli.collect import find_runs
from qm7cli.compare import _digits, _verdict, compare, records
from qm7cli.config import Experiment, resolve
from qm7cli.errors import QM7Error
from qm7cli.pairs import Pair, _corrected_t, paired_difference
from qm7cli.runner import train_run

VARIANTS = ("original", "corrected", "no-prebias")


@pytest.fixture(scope="module")
def trained(tmp_path_factory, small):
    """Three variants, two seeds, three folds, trained for a moment."""
    directory = tmp_path_factory.mktemp("runs")
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
    return directory


@pytest.fixture
def runs(trained, tmp_path):
    """A copy of the trained runs, to change."""
    for path in trained.rglob("*"):
        if path.is_file() and not path.name.startswith("."):
            copy = tmp_path / path.relative_to(trained)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    return tmp_path


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
    assert group.difference.t_test == pytest.approx(interval, rel=1e-4)
    width = bootstrap[1] - bootstrap[0]
    assert group.difference.bootstrap == pytest.approx(bootstrap, abs=0.1 * width)
    figures = [(figure, expected) for figure, expected in zip(group.mae, mae, strict=True) if expected is not None]
    assert len(figures) == 3 - group.mae.count(None)
    assert all(figure == pytest.approx(expected, rel=1e-5) for figure, expected in figures)


@pytest.mark.parametrize("seeds", [(0,), (0, 1)])
def test_the_figures_are_those_of_a_calculation_of_its_own(trained, seeds):
    comparison = compare(find_runs([trained / f"{variant}-{seed}" for variant in VARIANTS for seed in seeds]))
    assert [group.name for group in comparison.groups] == list(VARIANTS)
    assert comparison.groups[0].difference is None
    for group in comparison.groups[1:]:
        assert group.difference.pairs == 3 * len(seeds)
        agree(group, separately(trained, group.name, "original", seeds, (0, 1, 3)))
    assert comparison.notes == []


def test_one_run_s_mean_and_deviation_are_those_of_its_results(trained):
    (group,) = compare(find_runs([trained / "corrected-1"])).groups
    results = yaml.safe_load((trained / "corrected-1/results.yaml").read_text())
    for metric in ("mae", "rmse"):
        figures = getattr(group, metric)
        assert (figures.mean, figures.over_folds) == pytest.approx(tuple(results[metric].values()), rel=1e-12)
        assert figures.over_seeds is None


def test_the_verdict_is_said_in_words_by_the_corrected_t_interval():
    def verdict(*differences):
        pairs = [Pair(np.arange(4 * k, 4 * k + 4), np.full(4, d), 0.25) for k, d in enumerate(differences)]
        return _verdict("new", "old", paired_difference(pairs))

    assert verdict(1.0, 2.0, 3.0) == (
        "new is 2.00 kcal/mol worse than old (95 % interval -1.29 to 5.29, 3 pairs): no difference shown"
    )
    assert verdict(-1.9, -2.0, -2.1) == (
        "new is 2.00 kcal/mol better than old (95 % interval 1.67 to 2.33, 3 pairs): a difference is shown"
    )
    assert verdict(0.5, 0.5, 0.50001).endswith("(95 % interval 0.499984 to 0.500022, 3 pairs): a difference is shown")
    assert verdict(1.0) == "new is 1.000 kcal/mol worse than old (1 test set): one test set shows no difference"
    assert verdict(0.0, 0.0) == "new has the same mean error as old (2 pairs): no difference shown"


@pytest.mark.parametrize(("margin", "digits"), [(12.0, 2), (0.4, 2), (0.04, 3), (0.0123, 3), (1e-9, 6), (0.0, 2)])
def test_as_many_decimals_are_shown_as_the_interval_gives_sense(margin, digits):
    assert _digits(margin) == digits


def test_the_baseline_is_chosen_by_value_or_by_run(trained):
    runs = find_runs([trained])
    for baseline in ("variant=corrected", str(trained / "corrected-1")):
        comparison = compare(runs, baseline=baseline)
        assert {group.name: group.verdict for group in comparison.groups}["corrected"] == ""
        assert comparison.groups[0].verdict.startswith("original is ")
    swapped = {group.name: group.difference for group in compare(runs).groups}["corrected"].mean
    assert comparison.groups[0].difference.mean == pytest.approx(-swapped)
    with pytest.raises(QM7Error, match="the baseline variant=other is in no group; there are: original; corrected"):
        compare(runs, baseline="variant=other")
    with pytest.raises(QM7Error, match="the baseline variant=corrected is in several groups"):
        compare(runs, by=["variant", "seed"], baseline="variant=corrected")
    both = compare(runs, by=["variant", "seed"], baseline="corrected, seed=1")
    assert [group.name for group in both.groups if not group.verdict] == ["corrected, seed=1"]
    with pytest.raises(QM7Error, match=r"the baseline encoding.noise=1: encoding.noise is none of the settings that"):
        compare(runs, baseline="encoding.noise=1")


def test_the_baseline_s_value_is_read_as_in_a_sweep_file(tmp_path, small):
    for noise, size in ((0, None), (1, None), (1, 24)):
        tree = {"encoding": {"noise": noise}, "split": {"train_size": size, "folds": [0]}, "network": {"hidden": [3]}}
        tree |= {"training": {"iterations": 2}}
        train_run(Experiment.model_validate(tree), small, tmp_path / f"{noise}-{size}")
    runs = find_runs([tmp_path])
    for by, baseline in (("encoding.noise", "encoding.noise=0"), ("split.train_size", "split.train_size=null")):
        chosen = [run for run in runs if by == "encoding.noise" or run.settings["encoding.noise"] == 1]
        chosen = [run for run in chosen if by != "encoding.noise" or run.settings["split.train_size"] is None]
        groups = compare(chosen, by=[by], baseline=baseline).groups
        assert [group.difference is None for group in groups].count(True) == 1
        named = {group.name.replace("0.0", "0"): group for group in groups}
        assert named[baseline].difference is None


def test_what_else_differs_in_a_group_is_no_seed(tmp_path, small):
    for noise in (0, 1):
        tree = {"encoding": {"noise": noise}, "split": {"folds": [0, 1]}, "network": {"hidden": [3]}}
        train_run(Experiment.model_validate(tree | {"training": {"iterations": 2}}), small, tmp_path / str(noise))
    (group,) = compare(find_runs([tmp_path]), by=["variant"]).groups
    assert group.mae.over_folds is not None
    assert group.mae.over_seeds is None


def test_groups_may_be_made_by_other_settings_and_the_rest_pairs_them(trained):
    comparison = compare(find_runs([trained]), by=["seed"])
    assert [group.name for group in comparison.groups] == ["seed=0", "seed=1"]
    group = comparison.groups[1]
    assert group.difference.pairs == 9
    expected = [
        np.mean(list(read(trained / f"{v}-1/fold-{f}/predictions.csv").values()))
        - np.mean(list(read(trained / f"{v}-0/fold-{f}/predictions.csv").values()))
        for v in VARIANTS
        for f in (0, 1, 3)
    ]
    assert group.difference.mean == pytest.approx(np.mean(expected))


def test_a_group_without_the_setting_that_makes_the_others_says_so(runs, small):
    train_run(resolve(None, [], {"baseline.model": "mean"}), small, runs / "mean")
    groups = compare(find_runs([runs / "original-0", runs / "mean"]), ["variant"]).groups
    assert [group.name for group in groups] == ["original", "without variant"]
    both = compare(find_runs([runs / "mean", runs / "original-0", runs / "corrected-0"]), paired=False).groups
    assert [group.name for group in both] == ["original, network", "corrected, network", "mean"]


def test_an_unknown_setting_is_refused(trained):
    with pytest.raises(QM7Error, match=r'there is no setting varaint; did you mean "variant"\?'):
        compare(find_runs([trained]), by=["varaint"])


def change(run, **changes):
    """Change the results of a run, and its folds with them."""
    path = run / "results.yaml"
    results = yaml.safe_load(path.read_text())
    for fold in results["folds"]:
        fold.update(changes.get("folds", {}).get(fold["fold"], {}))
    for key, value in changes.get("config", {}).items():
        results["config"][key] |= value
    path.write_text(yaml.safe_dump(results))


def test_folds_that_are_not_complete_or_alone_are_left_out_and_told(runs):
    change(runs / "corrected-0", folds={3: {"status": "partial", "mae": None, "rmse": None}})
    comparison = compare(find_runs([runs / "original-0", runs / "corrected-0"]))
    assert comparison.groups[1].difference.pairs == 2
    assert comparison.notes == [
        f"fold 3 of {runs}/corrected-0 is partial and left out",
        "1 fold has no counterpart and no part in the difference of corrected and original",
    ]
    agree(comparison.groups[1], separately(runs, "corrected", "original", (0,), (0, 1)))


def test_seeds_of_different_folds_have_no_deviations_over_them(runs):
    change(runs / "corrected-0", folds={3: {"status": "partial"}})
    comparison = compare(find_runs([runs]))
    assert comparison.groups[1].mae[1:] == (None, None)
    assert comparison.groups[0].mae.over_seeds is not None
    assert comparison.groups[1].difference.pairs == 5


def test_trainings_of_different_lengths_are_told(runs):
    for fold in (0, 1, 3):
        change(runs / "corrected-1", folds={fold: {"iterations": 150}})
    comparison = compare(find_runs([runs]))
    assert comparison.notes == [
        "corrected has trainings of different lengths: 150, 200 iterations",
        "corrected and original were trained for different lengths, 150 and 200 iterations",
    ]
    assert comparison.groups[1].difference.pairs == 6


def test_runs_with_different_test_molecules_cannot_be_paired(runs):
    path = runs / "corrected-0/fold-1/predictions.csv"
    header, first, *rest = path.read_text().splitlines()
    path.write_text("\n".join([header, "59" + first[first.index(",") :], *rest]) + "\n")
    comparison = compare(find_runs([runs / "original-0", runs / "corrected-0"]))
    assert comparison.groups[1].difference is None
    assert comparison.groups[1].verdict == (
        "corrected cannot be compared with original: "
        f"fold 1 of {runs}/corrected-0 and of {runs}/original-0 have different test molecules"
    )


def test_runs_without_a_common_fold_or_predictions_cannot_be_paired(runs):
    for fold in (0, 1, 3):
        change(runs / "corrected-0", folds={fold: {"fold": fold + 5}})
    comparison = compare(find_runs([runs / "original-0", runs / "corrected-0"]))
    assert "no fold of one agrees with a fold of the other" in comparison.groups[1].verdict
    (runs / "no-prebias-0/fold-3/predictions.csv").unlink()
    comparison = compare(find_runs([runs / "original-0", runs / "no-prebias-0"]))
    assert comparison.groups[1].verdict.endswith("no-prebias-0/fold-3/predictions.csv is missing")
    header = "molecule,target,prediction,spread\n"
    for text in ("molecule,target\n1,2\n", header, f"{header}1,-2,nan,\n", f"{header}1,-2,,\n", "\0"):
        (runs / "no-prebias-0/fold-3/predictions.csv").write_text(text)
        comparison = compare(find_runs([runs / "original-0", runs / "no-prebias-0"]))
        assert "no-prebias-0/fold-3/predictions.csv is damaged" in comparison.groups[1].verdict


def test_results_that_do_not_tell_how_many_molecules_were_trained_on_cannot_be_paired(runs):
    change(runs / "corrected-0", folds={1: {"train_molecules": None}})
    comparison = compare(find_runs([runs / "original-0", runs / "corrected-0"]))
    expected = "corrected-0/results.yaml does not tell how many molecules fold 1 was trained on"
    assert expected in comparison.groups[1].verdict


def test_the_same_fold_twice_in_a_group_is_refused(runs):
    (runs / "again").mkdir()
    (runs / "again/results.yaml").write_text((runs / "original-0/results.yaml").read_text())
    with pytest.raises(QM7Error, match=r"again and .*original-0 both have fold 0 of the same settings$"):
        compare(find_runs([runs]))
    change(runs / "again", config={"training": {"iterations": 9}})
    with pytest.raises(QM7Error, match=r"of the same settings; --by training.iterations keeps them apart"):
        compare(find_runs([runs]))
    comparison = compare(find_runs([runs / "again", runs / "original-1"]), by=["training.iterations"])
    assert [group.name for group in comparison.groups] == ["training.iterations=9", "training.iterations=200"]


def test_sizes_come_in_order_all_last_and_the_default_is_the_baseline(tmp_path, small):
    for size in (8, None, 24):
        tree = {
            "split": {"train_size": size, "folds": [0, 1]},
            "network": {"hidden": [5]},
            "training": {"iterations": 3},
        }
        train_run(Experiment.model_validate(tree), small, tmp_path / str(size))
    comparison = compare(find_runs([tmp_path]))
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
        assert group.difference.t_test == pytest.approx(_corrected_t(differences, ratio), rel=1e-6)


def test_the_records_of_a_comparison_are_plain_values(trained):
    plain = list(records(compare(find_runs([trained]))))
    assert yaml.safe_load(yaml.safe_dump(plain)) == plain
    assert plain[0].keys() == plain[1].keys()
    assert [record["variant"] for record in plain] == list(VARIANTS)
    assert plain[0]["difference"] is None
    assert plain[1]["t_test_low"] < plain[1]["difference"] < plain[1]["t_test_high"]
