"""Sweeps on a Dask cluster: a real scheduler and real workers on 127.0.0.1."""

import os
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

import qm7cli.training.dask_executor
from conftest import bits, train_one_by_one, wait_for
from qm7cli.core.locks import lock

pytest.importorskip("distributed")
pytestmark = pytest.mark.xdist_group("cluster")

SWEEP = {
    "base": {"split": {"folds": [0, 3]}, "network": {"hidden": [20, 10]}, "evaluation": {"every": 1000, "draws": 3}},
    "grid": {"variant": ["original", "corrected"], "seed": [0, 1]},
}
SHORT = ["--set", "training.iterations=1200", "--set", "training.checkpoint_every=100"]
ENDLESS = ["--set", "training.iterations=100000000", "--set", "training.checkpoint_every=100"]
DASK = str(Path(sys.executable).with_name("dask"))


@contextmanager
def starter(directory):
    """Starts a scheduler, unless there is one at the address, and workers; gives the address and the processes."""
    started = []

    def start(name, *args):
        with (directory / f"{name}.log").open("w") as log:
            process = subprocess.Popen([DASK, *args], cwd=directory, stdout=log, stderr=log, start_new_session=True)
        started.append(process)
        return process

    def make(workers=2, threads=1, address=None):
        scheduler = None
        if address is None:
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
            scheduler = start("scheduler", "scheduler", "--host", address, "--no-dashboard")
        options = ["--nthreads", str(threads), "--no-nanny", "--no-dashboard", "--local-directory", "scratch"]
        return address, scheduler, [start(f"worker-{k}", "worker", address, *options) for k in range(workers)]

    yield make
    for process in reversed(started):
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture
def cluster(tmp_path):
    """Starts clusters for one test."""
    with starter(tmp_path) as make:
        yield make


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """The address of a cluster of one worker with two threads, for all tests that leave it as it is."""
    with starter(tmp_path_factory.mktemp("cluster")) as make:
        yield make(workers=1, threads=2)[0]


@pytest.fixture
def start(background, tmp_path):
    """Starts a sweep on a cluster in the background."""
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(SWEEP))
    dask = ["sweep", "sweep.yaml", "--out", "dask", "--executor", "dask", "--scheduler"]
    return lambda address, *args: background(*dask, address, *args)


@pytest.fixture(scope="module")
def undisturbed(once, small):
    """The bits of the same runs, trained one by one in this process."""
    return bits(once("cluster-one-by-one", lambda path: train_one_by_one(SWEEP, SHORT[1::2], small, path)))


def folds(directory):
    return [yaml.safe_load(path.read_text()) for path in sorted(directory.glob("*/fold-*/result.yaml"))]


def test_a_cluster_gives_the_bits_of_processes_even_if_it_loses_workers(cluster, start, command, undisturbed, tmp_path):
    address, _, workers = cluster(workers=3)
    process = start(address, *SHORT)
    wait_for(lambda: len(list((tmp_path / "dask").glob("*/fold-*/checkpoint.npz"))) >= 3, process)
    os.killpg(workers[0].pid, signal.SIGKILL)
    os.killpg(workers[1].pid, signal.SIGTERM)
    stdout, stderr = process.communicate(timeout=120)
    assert process.returncode == 0, stderr
    assert [line.split(":")[0] for line in stderr.splitlines()][-2:] == ["8 of 8", "the runs are in dask"]
    assert stdout == command("compare", "dask").stdout
    assert len(bits(tmp_path / "dask")) == 20
    assert bits(tmp_path / "dask") == undisturbed
    assert "test MAE" in next((tmp_path / "dask").glob("*/fold-0/log.txt")).read_text()


def test_a_signal_stops_the_jobs_with_their_checkpoints_written(shared, start, tmp_path):
    process = start(shared, *ENDLESS, "--set", "training.checkpoint_every=100000000")  # none on the way
    wait_for(lambda: len(list((tmp_path / "dask").glob("*/fold-*/log.txt"))) == 2, process)  # it has heard of both
    process.send_signal(signal.SIGTERM)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 143
    assert stderr.splitlines()[-1] == "qm7: stopped by SIGTERM; the same command goes on from here"
    stopped = folds(tmp_path / "dask")
    assert [fold["status"] for fold in stopped] == ["partial", "partial"]
    assert all(fold["iterations"] >= 1000 for fold in stopped)
    checkpoints = list((tmp_path / "dask").glob("*/fold-*/checkpoint.npz"))
    assert len(checkpoints) == 2
    for path in checkpoints:
        with lock(path.parent / ".lock", busy="it is still being trained"):
            pass


def test_a_scheduler_that_goes_away_is_an_error_for_every_job(cluster, start, tmp_path):
    address, scheduler, _ = cluster()
    process = start(address, *ENDLESS)
    wait_for(lambda: len(list((tmp_path / "dask").glob("*/fold-*/checkpoint.npz"))) == 2, process)
    os.killpg(scheduler.pid, signal.SIGKILL)
    _, stderr = process.communicate(timeout=100)
    assert process.returncode == 1
    assert "Traceback" not in stderr
    assert stderr.count("qm7: fold ") == 8


def test_where_no_scheduler_answers_it_is_one_sentence(command, tmp_path, monkeypatch):
    monkeypatch.setattr(qm7cli.training.dask_executor, "CONNECT_WITHIN", 1)
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(SWEEP))
    for address in ("tcp://127.0.0.1:9", "nonsense", "tcp://127.0.0.1:x"):
        done = command("sweep", "sweep.yaml", "--executor", "dask", "--scheduler", address, status=1)
        assert done.stderr.startswith(f"qm7: no Dask scheduler answers at {address}: ")
        assert done.stderr.count("\n") == 1
