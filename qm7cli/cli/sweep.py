"""`qm7 sweep`: every fold of every configuration of a sweep file."""

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from qm7cli.cli.compare import comparison_table
from qm7cli.cli.options import RUNS, Data, Folds, Jobs, Quiet, Settings, Split, complete_experiments
from qm7cli.cli.output import Column, make_table, note, print_error, write_output
from qm7cli.cli.train import exit_if_failed, exit_if_stopped
from qm7cli.core.signals import StopRequest, stop_on_signals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qm7cli.cli.progress import Display
    from qm7cli.data.dataset import Dataset
    from qm7cli.training.claim_fold import Progress
    from qm7cli.training.executor import Job, Outcome

    Failures = list[tuple[Job, Outcome]]

JOB_COLUMNS: Final = (Column("run", "run", left=True), *(Column(key, key) for key in ("fold", "status", "iterations")))


def sweep(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE.yaml|NAME",
            autocompletion=complete_experiments,
            help="Sweep file, with base and grid or points, or one of qm7 experiments.",
        ),
    ],
    settings: Settings = None,
    fold: Folds = None,
    split: Split = None,
    data: Data = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Directory of the runs. Default: runs/ and the sweep file's name."),
    ] = None,
    jobs: Jobs = None,
    executor: Annotated[
        Literal["process", "dask"], typer.Option(help="Processes on this machine, or a Dask cluster.")
    ] = "process",
    scheduler: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="The Dask scheduler's, as tcp://host:8786.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the jobs and do nothing else.")] = False,
    quiet: Quiet = False,
) -> None:
    """Train every fold of every configuration of a sweep file, and compare the configurations.

    The same command again skips complete jobs and resumes the others. A job that fails does not stop the others; its
    fold's directory has a log.txt. Sweeps may share a directory: a fold that another process trains is tried again at
    the end; if it is still busy, and no job failed, the exit status is 75.

    Example: qm7 sweep variants --set training.iterations=20000
    """
    if (executor == "dask") != (scheduler is not None):
        raise typer.BadParameter("--executor dask and --scheduler ADDRESS go together")
    if jobs is not None and scheduler:
        raise typer.BadParameter("--jobs is for processes; a Dask cluster does as many at a time as it has threads")
    with stop_on_signals(note) as stop:
        from qm7cli.cli.progress import show_progress
        from qm7cli.training.sweep import open_runs, plan, read_sweep

        directory = out or RUNS / file.stem
        flags = {"data": data, "split.scheme": split, "split.folds": fold or None}
        work = plan(read_sweep(file, settings or [], flags), directory)
        if dry_run:
            _print_jobs(work)
            return
        left = open_runs(work)
        with show_progress(len(work), len(work) - len(left), quiet=quiet) as display:
            failures = _do_jobs(left, scheduler, jobs, display, stop)
    _print_failures(failures, len(work))
    exit_if_stopped(stop)
    _print_results(work)
    if not quiet:
        note(f"the runs are in {directory}")
    exit_if_failed([outcome for _, outcome in failures])


def _do_jobs(
    work: "Sequence[tuple[Job, Dataset]]",
    scheduler: str | None,
    jobs: int | None,
    display: "Display",
    stop: StopRequest,
) -> "Failures":
    """Do jobs; return those that failed or diverged, or are busy elsewhere."""
    from qm7cli.core.errors import QM7Error
    from qm7cli.training.dask_executor import DaskExecutor
    from qm7cli.training.executor import available_cores
    from qm7cli.training.process_executor import ProcessExecutor
    from qm7cli.training.sweep import do_logged, log_progress

    def report(progress: "Progress") -> None:
        log_progress(progress)
        display.report(progress)

    failures: Failures = []
    if not work:
        return failures
    at_once = min(jobs or available_cores(), len(work))
    with closing(DaskExecutor(scheduler, report) if scheduler else ProcessExecutor(at_once, report)) as executor:
        for job, outcome in do_logged(work, executor, stop):
            display.end_job(job, outcome)
            if isinstance(outcome, QM7Error) or outcome.status == "diverged":
                failures.append((job, outcome))
    return failures


def _print_jobs(work: "Sequence[tuple[Job, Dataset]]") -> None:
    from qm7cli.training.sweep import job_status

    rows = []
    for job, _ in work:
        status, iterations = job_status(job)
        done = f"{iterations} of {job.experiment.iterations}"
        rows.append({"run": str(job.run), "fold": str(job.fold), "status": status, "iterations": done})
    write_output(make_table(rows, JOB_COLUMNS))


def _print_failures(failures: "Failures", jobs: int) -> None:
    """Print why jobs failed, and how many are busy elsewhere."""
    from qm7cli.core.errors import BusyError, QM7Error
    from qm7cli.training.sweep import log_file

    busy = sum(isinstance(outcome, BusyError) for _, outcome in failures)
    for job, outcome in failures:
        if not isinstance(outcome, BusyError):
            reason = str(outcome) if isinstance(outcome, QM7Error) else f"{job.run}: {outcome.reason}"
            print_error(f"{reason} ({log_file(job.run, job.fold)})", outcome)
    if busy:
        print_error(f"{busy} of {jobs} jobs are busy: another process trains them; run the same command again later")


def _print_results(work: "Sequence[tuple[Job, Dataset]]") -> None:
    """Print the comparison of the runs that have a result."""
    from qm7cli.analysis.compare import compare_groups
    from qm7cli.runs.collect import find_runs

    begun = [run for run in dict.fromkeys(job.run for job, _ in work) if (run / "results.yaml").exists()]
    if begun:
        write_output(comparison_table(compare_groups(find_runs(begun))))
