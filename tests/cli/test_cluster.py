"""Sweeps on a Dask cluster: a real scheduler and real workers on 127.0.0.1."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import qm7cli.training.dask_executor
from conftest import ENDLESS, SHORT, SWEEP, bits, wait_for
from qm7cli.core.locks import lock

pytestmark = pytest.mark.xdist_group("cluster")


@pytest.fixture
def cluster(tmp_path):
    """Starts a scheduler and workers; gives the address and the processes."""
    dask, started = Path(sys.executable).with_name("dask"), []

    def start(name, *args):
        with (tmp_path / f"{name}.log").open("w") as log:
            process = subprocess.Popen([dask, *args], cwd=tmp_path, stdout=log, stderr=log, start_new_session=True)
        started.append(process)
        return process

    def make(workers, threads=1):
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
def start(background, tmp_path):
    """Starts a sweep on a cluster in the background."""
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(SWEEP))
    dask = ["sweep", "sweep.yaml", "--out", "dask", "--executor", "dask", "--scheduler"]
    return lambda address, *args: background(*dask, address, *args)


def test_a_cluster_gives_the_bits_of_processes_even_if_it_loses_workers(cluster, start, command, one_by_one, tmp_path):
    address, _, workers = cluster(workers=3)
    process = start(address, *SHORT)
    wait_for(lambda: len(list((tmp_path / "dask").glob("*/fold-*/checkpoint.npz"))) >= 3, process)
    os.killpg(workers[0].pid, signal.SIGKILL)
    os.killpg(workers[1].pid, signal.SIGTERM)
    stdout, stderr = process.communicate(timeout=120)
    assert process.returncode == 0, stderr
    *_, ended, last = stderr.splitlines()
    assert (ended[20:27], last) == ("8 of 8:", "the runs are in dask")
    assert stdout == command("compare", "dask").stdout
    assert len(bits(tmp_path / "dask")) == 20
    assert bits(tmp_path / "dask") == one_by_one
    assert "test MAE" in next((tmp_path / "dask").glob("*/fold-0/log.txt")).read_text()


def test_a_signal_stops_the_jobs_with_their_checkpoints_written(cluster, start, tmp_path):
    address, *_ = cluster(workers=1, threads=2)
    process = start(address, *ENDLESS, "--set", "training.checkpoint_every=100000000")  # none on the way
    wait_for(lambda: len(list((tmp_path / "dask").glob("*/fold-*/log.txt"))) == 2, process)  # it has heard of both
    process.send_signal(signal.SIGTERM)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 143
    assert stderr.splitlines()[-1] == "qm7: stopped by SIGTERM; the same command resumes from here"
    results = [yaml.safe_load(path.read_text()) for path in tmp_path.glob("dask/*/fold-*/result.yaml")]
    assert [fold["status"] for fold in results] == ["partial", "partial"]
    assert all(fold["iterations"] >= 250 for fold in results)
    checkpoints = list((tmp_path / "dask").glob("*/fold-*/checkpoint.npz"))
    assert len(checkpoints) == 2
    for path in checkpoints:
        with lock(path.parent / ".lock", busy="it is still being trained"):
            pass


def test_a_scheduler_that_goes_away_is_an_error_for_every_job(cluster, start, tmp_path):
    address, scheduler, _ = cluster(workers=1, threads=2)
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
