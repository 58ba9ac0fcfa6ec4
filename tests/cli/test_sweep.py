"""Sweeps in processes of this machine: from end to end, stopped, killed and with jobs that fail."""

import pytest
import yaml

from conftest import QUICK, SHORT, SWEEP, bits
from qm7cli.core.locks import lock


@pytest.fixture(autouse=True)
def _file(tmp_path):
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(SWEEP))


def folds(directory):
    """Return what each fold's result says."""
    files = sorted(directory.glob("*/fold-*/result.yaml"))
    return [yaml.safe_load(path.read_text()) for path in files]


def test_a_sweep_trains_every_fold_of_every_point_and_compares(command, tmp_path, one_by_one):
    done = command("sweep", "sweep.yaml", *SHORT)
    assert bits(tmp_path / "runs/sweep").keys() == one_by_one.keys()
    assert bits(tmp_path / "runs/sweep") == one_by_one
    *lines, last = done.stderr.splitlines()
    assert [line[20:].split(":")[0] for line in lines] == [f"{n} of 8" for n in range(1, 9)]
    assert all("test MAE" in line for line in lines)
    assert last == "the runs are in runs/sweep"
    assert done.stdout == command("compare", "runs/sweep").stdout
    assert "\ncorrected " in done.stdout
    again = command("sweep", "sweep.yaml", *SHORT, "--executor", "process")
    assert again.stderr == "8 of 8 jobs are complete already\nthe runs are in runs/sweep\n"
    assert again.stdout == done.stdout
    more = command("sweep", "sweep.yaml", *SHORT, "--set", "training.iterations=501", "--jobs", 3, "--quiet")
    assert more.stderr == ""
    assert {fold["iterations"] for fold in folds(tmp_path / "runs/sweep")} == {501}


def test_a_dry_run_prints_the_jobs_and_where_they_stand(command, tmp_path):
    name = "small-corrected-seed1-network.hidden=20,10-evaluation.draws=3"
    flags = [part for assignment in QUICK for part in ("--set", assignment)]
    command("train", *flags, *SHORT, "--variant", "corrected", "--seed", 1, "--fold", 3, "--out", f"runs/sweep/{name}")
    before = sorted(tmp_path.rglob("*"))
    lines = command("sweep", "sweep.yaml", *SHORT, "--dry-run").stdout.splitlines()
    assert len(lines) == 1 + 4 * 3  # a heading for each run
    assert lines[-3] == f"runs/sweep/{name}"
    assert lines[-2].split() == ["0", "new", "0", "of", "500"]
    assert lines[-1].split() == ["3", "complete", "500", "of", "500"]
    assert sorted(tmp_path.rglob("*")) == before


def test_jobs_that_fail_are_listed_with_their_log_and_the_others_go_on(command, tmp_path):
    (tmp_path / "sweep.yaml").write_text(
        yaml.safe_dump(
            {**SWEEP, "grid": {"training.schedule": [[[1, 1e30]], [[1, 0.01]]]}, "base": SWEEP["base"] | {"seed": 4}}
        )
    )
    good = tmp_path / "runs/sweep/small-original-seed4-network.hidden=20,10-training.schedule=1,0.01-evaluation.draws=3"
    (good / "fold-3").mkdir(parents=True)
    (good / "fold-3/checkpoint.npz").write_text("nonsense")
    done = command("sweep", "sweep.yaml", *SHORT, status=1)
    errors = [line for line in done.stderr.splitlines() if line.startswith("qm7: ")]
    assert len(errors) == 3
    damaged = f"{good.relative_to(tmp_path)}/fold-3/checkpoint.npz is damaged"
    assert sum(damaged in error for error in errors) == 1  # in whatever order they end
    assert sum("diverged" in error or "not finite" in error for error in errors) == 2
    for error in errors:
        log = tmp_path / error.rpartition("(")[2].rstrip(")")
        assert log.name == "log.txt"
        assert len(log.read_text()) > 20
    assert "in train_fold" in (good / "fold-3/log.txt").read_text()
    assert [fold["status"] for fold in folds(tmp_path / "runs/sweep")] == ["complete", "diverged", "diverged"]
    again = command("sweep", "sweep.yaml", *SHORT, status=1)
    first, second, *_ = again.stderr.splitlines()
    assert (first, second[20:].split(":")[0]) == ("1 of 4 jobs are complete already", "2 of 4")


def test_a_fold_that_another_process_trains_is_busy_and_not_failed(command, tmp_path):
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump({"base": SWEEP["base"]}))
    busy = "small-original-seed0-network.hidden=20,10-evaluation.draws=3"
    fold = tmp_path / "runs/sweep" / busy / "fold-3"
    fold.mkdir(parents=True)
    with lock(fold / ".lock"):
        done = command("sweep", "sweep.yaml", *SHORT, status=75)
        quiet = command("sweep", "sweep.yaml", *SHORT, "--quiet", status=75)
    assert f"{busy} fold 3: busy: another process trains it\n" in done.stderr
    assert done.stderr.count("test MAE") == 1
    assert "failed" not in done.stderr
    summary = "qm7: 1 of 2 jobs are busy: another process trains them; run the same command again later\n"
    assert quiet.stderr == summary
    assert summary in done.stderr
    assert done.stdout == command("compare", "runs/sweep").stdout
    assert not (fold / "log.txt").exists()
    first, second, *_ = command("sweep", "sweep.yaml", *SHORT).stderr.splitlines()
    assert (first, second[20:27]) == ("1 of 2 jobs are complete already", "2 of 2:")
