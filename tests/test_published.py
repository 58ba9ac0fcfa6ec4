"""The figures of the pages are those of the results in experiments/results."""

import statistics
from pathlib import Path

from qm7cli.model.variants import RULES
from qm7cli.runs.collect import find_runs
from qm7cli.runs.history import read_history

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "experiments/results"
README, PAGE = (ROOT.joinpath(name).read_text() for name in ("README.md", "docs/gradients.md"))
SET_UPS = {  # of rates.yaml
    "as published": {},
    "not centred": {"encoding.centre": False},
    "offset 1": {"network.offset": 1.0},
}
USUAL = {"encoding.centre": True, "network.offset": 0.0}


def runs_of(name):
    return find_runs([RESULTS / name])


def having(runs, **settings):
    """Return the runs with some settings, their dots written as two underscores."""
    wanted = {key.replace("__", "."): value for key, value in settings.items()}
    return [run for run in runs if all(run.settings[key] == value for key, value in wanted.items())]


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


def rows(name, key, values, variants=tuple(RULES)):
    """Return a row for each value of a setting, with a column for each rule."""
    runs = runs_of(name)
    for value in values:
        cells = [figure(having(runs, **{key: value, "variant": variant})) for variant in variants]
        yield f"| {value:g} | {' | '.join(cells)} |"


def last_rate(run):
    return run.settings["training.schedule"][-1][1]


def reached(run, mae):
    """Return after how many iterations the test MAE of fold 0 was first at most `mae`; infinity if never."""
    return min((row.iteration for row in read_history(run.path, run.results[0]) if row.test_mae <= mae), default=1e9)


def rate_rows():
    """Return a row for each set-up and rule: the largest rate that doesn't diverge, and iterations to two MAEs."""
    runs = runs_of("rates")
    for name, settings in SET_UPS.items():
        for variant in RULES:
            own = [run for run in having(runs, variant=variant) if (USUAL | settings).items() <= run.settings.items()]
            assert len(own) == 7
            stable = [run for run in own if run.results[0].status == "complete"]
            largest = max(map(last_rate, stable))
            assert all(last_rate(run) > largest for run in own if run not in stable)
            best = min(stable, key=lambda run: run.results[0].mae)
            fastest = [min(reached(run, mae) for run in stable) for mae in (10, 7)]
            counts = " | ".join("never" if count == 1e9 else f"{count:,}" for count in fastest)
            lowest = f"{best.results[0].mae:.2f} (rate {last_rate(best):g})"
            yield f"| {name} | `{variant}` | {largest:g} | {counts} | {lowest} |"
