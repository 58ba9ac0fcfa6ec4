"""Sweeps in processes of this machine: from end to end, stopped, killed and with jobs that fail."""

import io
import shlex

import pytest
import yaml

from conftest import SHORT, SWEEP, bits
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


def test_a_dry_run_prints_the_jobs_and_where_they_stand(command, quick_flags, tmp_path):
    name = "small-corrected-seed1-network.hidden=20,10-evaluation.draws=3"
    train = ("train", *quick_flags, *SHORT, "--variant", "corrected", "--seed", 1, "--fold", 3)
    command(*train, "--out", f"runs/sweep/{name}")
    before = sorted(tmp_path.rglob("*"))
    lines = command("sweep", "sweep.yaml", *SHORT, "--dry-run").stdout.splitlines()
    assert len(lines) == 1 + 4 * 3  # a heading for each run
    assert lines[-3] == f"runs/sweep/{name}"
    assert lines[-2].split() == ["0", "new", "0", "of", "500"]
    assert lines[-1].split() == ["3", "complete", "500", "of", "500"]
    assert sorted(tmp_path.rglob("*")) == before


def test_jobs_that_fail_are_listed_with_their_log_and_the_others_go_on(command, tmp_path):
    grid = {"training.schedule": [[[1, 1e30]], [[1, 0.01]]]}
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump({"base": SWEEP["base"] | {"seed": 4}, "grid": grid}))
    good = tmp_path / "runs/sweep/small-original-seed4-network.hidden=20,10-training.schedule=1,0.01-evaluation.draws=3"
    (good / "fold-3").mkdir(parents=True)
    (good / "fold-3/checkpoint.npz").write_text("nonsense")
    done = command("sweep", "sweep.yaml", *SHORT, status=1)
    errors = [line for line in done.stderr.splitlines() if line.startswith("qm7: ")]
    assert len(errors) == 1
    assert f"{good.relative_to(tmp_path)}/fold-3/checkpoint.npz is damaged" in errors[0]
    assert done.stderr.count("is damaged") == 1
    assert errors[0].endswith(f"({good.relative_to(tmp_path)}/fold-3/log.txt)")
    assert "\n2 of 4 jobs diverged\n" in done.stderr
    assert "in train_fold" in (good / "fold-3/log.txt").read_text()
    assert [fold["status"] for fold in folds(tmp_path / "runs/sweep")] == ["complete", "diverged", "diverged"]
    again = command("sweep", "sweep.yaml", *SHORT, status=1)
    first, second = again.stderr.splitlines()[:2]
    assert first == "1 of 4 jobs are complete already"
    assert " 2 of 4: " in second  # after the time
    anew = command("sweep", "sweep.yaml", *SHORT, "--overwrite")  # as the damaged file asks for
    assert "4 of 4: " in anew.stderr
    assert "2 of 4 jobs diverged" in anew.stderr
    assert command("sweep", "sweep.yaml", *SHORT, "--quiet").stderr == ""


def test_a_sweep_needs_no_file_and_its_commands_run_by_hand_give_the_same(command, tmp_path, one_by_one):
    grid = ["--grid", "variant=original,corrected", "--grid", "seed=0,1", "--fold", 0, "--fold", 3]
    settings = ["network.hidden=[20, 10]", "evaluation={every: 250, draws: 3}"]
    flags = [*grid, *SHORT, *(part for each in settings for part in ("--set", each))]
    lines = command("sweep", *flags, "--print-commands").stdout.splitlines()
    assert not (tmp_path / "runs").exists()
    for line in lines:
        program, *args = shlex.split(line)
        assert program == "qm7"
        command(*args)
    assert bits(tmp_path / "runs/sweep") == one_by_one
    assert command("sweep", *flags).stderr.startswith("8 of 8 jobs are complete already\n")


def test_a_grid_is_added_to_a_file_s_and_standard_input_is_a_file(command, monkeypatch):
    def jobs(*args, given=""):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(given.encode())))
        lines = command("sweep", *args, "--print-commands").stdout.splitlines()
        return [[word for word in shlex.split(line) if word.startswith(("seed", "network"))] for line in lines]

    both = ["network.hidden=[5]", "network.hidden=[6, 7]"]
    sizes = ["--grid", "network.hidden=[5],[6,7]", "--fold", 1]
    assert jobs("-", *sizes, given="grid: {seed: [3, 4]}") == [[f"seed={seed}", own] for seed in (3, 4) for own in both]
    assert jobs("-", *sizes, given="seed: 3") == [["seed=3", own] for own in both]
    twice = command("sweep", "sweep.yaml", "--grid", "seed=7", status=1)
    assert twice.stderr == "qm7: sweep.yaml sweeps seed, so it cannot be given as well\n"
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"seed: 5")))
    assert "\nseed: 5\n" in command("train", "--config", "-", "--print-config").stdout


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
    summary = "qm7: 1 of 2 jobs are busy: another process trains them; run the same command again later\n"
    assert quiet.stderr == summary
    assert summary in done.stderr
    assert not (fold / "log.txt").exists()
    first, second, *_ = command("sweep", "sweep.yaml", *SHORT).stderr.splitlines()
    assert (first, second[20:27]) == ("1 of 2 jobs are complete already", "2 of 2:")
