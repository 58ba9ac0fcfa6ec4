"""Seconds and memory of whole commands: start-up, evaluation, jobs, two folds at once against one after the other.

    QM7_DATA=/path/to/qm7.mat python benchmarks/commands.py

Each figure is the median of `RUNS` processes, those of a ratio taken in turns.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

from data import load_qm7
from qm7cli.data.dataset import Dataset
from qm7cli.runs.access import prepare_run
from qm7cli.runs.experiment import resolve
from qm7cli.training.executor import Job
from qm7cli.training.process_executor import ProcessExecutor

RUNS = 5
PAIRS = 3
QM7 = str(Path(sys.executable).with_name("qm7"))


def run(*arguments: str) -> tuple[float, float]:
    """Return the seconds and the peak memory, MB, of a command."""
    start = time.perf_counter()
    process = subprocess.Popen([QM7, *arguments], stdout=subprocess.DEVNULL)  # noqa: S603
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"qm7 {' '.join(arguments)} failed")
    return time.perf_counter() - start, usage.ru_maxrss / 1e3


def figure(name: str, *arguments: str) -> None:
    """Print the median over runs of a command."""
    seconds, megabytes = (
        statistics.median(values) for values in zip(*(run(*arguments) for _ in range(RUNS)), strict=True)
    )
    print(f"{name:62}{seconds:7.2f} s{megabytes:6.0f} MB")


def job_overhead(data: Dataset, folder: Path) -> None:
    """Print the seconds from giving a worker a job of one iteration to its outcome, for its first job and others."""
    seconds = []
    with closing(ProcessExecutor(1, lambda _: None)) as executor:
        for seed in range(1 + RUNS):
            experiment = resolve(None, ["training.iterations=1", "evaluation.draws=1"], {"seed": seed})
            job = Job(folder / f"job-{seed}", experiment, 0)
            prepare_run(job.run, experiment, [0], data, overwrite=False)
            start = time.perf_counter()
            executor.submit(job, data).result()
            seconds.append(time.perf_counter() - start)
    first, others = seconds[0], statistics.median(seconds[1:])
    print(f"a job of 1 iteration, 1 draw: on a new worker {first:.2f} s, on a warm one {others:.2f} s")


def main() -> None:
    """Measure and print."""
    data = load_qm7()
    with tempfile.TemporaryDirectory() as folder:
        trained = f"{folder}/trained"
        train = ("train", "--quiet", "--overwrite", "--fold", "0")
        once = ("--set", "evaluation.draws=1", "--iterations", "1")
        figure("qm7 --help", "--help")
        figure("start to first iteration (train of 1 iteration, 1 draw)", *train, *once, "--out", f"{folder}/once")
        figure(
            "train of fold 0, 1,000 iterations, a worker's peak memory",
            *train,
            "--iterations",
            "1000",
            "--out",
            trained,
        )
        figure("eval of fold 0, 10 draws", "eval", "--quiet", trained)
        job_overhead(data, Path(folder))
        two = (*train, "--fold", "1", "--iterations", "10000")
        pairs = [[run(*two, "--jobs", str(jobs), "--out", f"{folder}/two")[0] for jobs in (1, 2)] for _ in range(PAIRS)]
        alone, beside = (statistics.median(seconds) for seconds in zip(*pairs, strict=True))
        ratio = statistics.median(one / other for one, other in pairs)
        print(f"two folds, 10,000 iterations: --jobs 1 {alone:.1f} s, --jobs 2 {beside:.1f} s, ratio {ratio:.2f}")


if __name__ == "__main__":
    main()
