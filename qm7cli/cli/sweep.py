"""`qm7 sweep`: every fold of every configuration of a sweep."""

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from qm7cli.cli import options
from qm7cli.cli.compare import comparison_table
from qm7cli.cli.output import Column, make_table, note, print_error, write_output
from qm7cli.cli.train import exit_if_failed, exit_if_stopped
from qm7cli.core.signals import StopRequest, stop_on_signals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qm7cli.core.errors import QM7Error
    from qm7cli.data.dataset import Dataset
    from qm7cli.training.claim_fold import Progress
    from qm7cli.training.executor import Job, Outcome

    Work = Sequence[tuple[Job, Dataset]]
    Ended = list[tuple[Job, Outcome]]

JOB_COLUMNS: Final = (Column("run", "run", left=True), *(Column(key, key) for key in ("fold", "status", "iterations")))
GRID = "Values of a setting, as seed=0,1,2. Repeat it for every combination of several settings."


def sweep(
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE",
            autocompletion=options.complete_experiments,
            help="Sweep file (base, grid, points), a name that qm7 experiments lists, or - for standard input.",
        ),
    ] = None,
    grid: Annotated[list[str] | None, options.key_option(GRID, metavar="KEY=VALUE,...")] = None,
    settings: options.Settings = None,
    fold: options.Folds = None,
    split: options.Split = None,
    data: options.Data = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Directory of the runs. [default: runs/ and the file's name, or runs/sweep]"),
    ] = None,
    overwrite: options.Overwrite = False,
    jobs: options.Jobs = None,
    executor: Annotated[
        Literal["process", "dask"], typer.Option(help="process (on this machine) or dask (a cluster).")
    ] = "process",
    scheduler: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Address of the Dask scheduler, as tcp://host:8786.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the jobs and exit.")] = False,
    print_commands: Annotated[
        bool, typer.Option("--print-commands", help="Print a qm7 train command for each job and exit.")
    ] = False,
    quiet: options.Quiet = False,
) -> None:
    """Train every fold of every configuration of a sweep, and compare the configurations.

    Without FILE, --grid sweeps around the defaults. If FILE is an experiment, --grid sweeps around it.

    Run the same command again to resume. A diverged job is a result. A failed job does not stop the others; log.txt
    of its fold has the reason. Sweeps may share a directory.

    Examples:
      qm7 sweep --data gfn7 --grid seed=0,1,2 --set training.iterations=1000
      qm7 sweep variants --dry-run
      qm7 sweep fast --grid encoding.step=0.5,1 --out runs/steps

    Exit status 1: a job failed. 75: another process still trains a fold, and no job failed.
    """
    if (executor == "dask") != (scheduler is not None):
        raise typer.BadParameter("--executor dask and --scheduler ADDRESS go together")
    if jobs is not None and scheduler:
        raise typer.BadParameter("--jobs is for processes; a Dask cluster does as many at a time as it has threads")
    with stop_on_signals(note) as stop:
        from qm7cli.training.sweep import plan, read_sweep

        directory = out or options.RUNS / (file.stem if file and file.stem != "-" else "sweep")
        flags = {"data": data, "split.scheme": split, "split.folds": fold or None}
        work = plan(read_sweep(file, settings or [], flags, grid or []), directory)
        if print_commands or dry_run:
            _print_jobs(work, commands=print_commands)
            return
        ended = _do_jobs(work, scheduler, jobs, stop, overwrite=overwrite, quiet=quiet)
    failures = _print_failures(ended, len(work), quiet=quiet)
    exit_if_stopped(stop)
    _print_comparison(work, None if quiet else directory)
    exit_if_failed(failures)


def _print_comparison(work: "Work", directory: Path | None) -> None:
    from qm7cli.analysis.compare import compare_groups
    from qm7cli.runs.collect import find_runs

    if begun := [run for run in dict.fromkeys(job.run for job, _ in work) if (run / "results.yaml").exists()]:
        write_output(comparison_table(compare_groups(find_runs(begun))))
    if directory:
        note(f"the runs are in {directory}")


def _do_jobs(
    work: "Work", scheduler: str | None, jobs: int | None, stop: StopRequest, *, overwrite: bool, quiet: bool
) -> "Ended":
    """Do the jobs that are left, with progress; return those that failed or diverged, or are busy elsewhere."""
    from qm7cli.cli.progress import show_progress
    from qm7cli.core.errors import QM7Error
    from qm7cli.training.dask_executor import DaskExecutor
    from qm7cli.training.executor import available_cores
    from qm7cli.training.process_executor import ProcessExecutor
    from qm7cli.training.sweep import do_logged, log_progress, open_runs

    ended: Ended = []
    left = open_runs(work, overwrite=overwrite)
    with show_progress(len(work), len(work) - len(left), quiet=quiet) as display:

        def report(progress: "Progress") -> None:
            log_progress(progress)
            display.report(progress)

        if not left:
            return ended
        at_once = min(jobs or available_cores(), len(left))
        with closing(DaskExecutor(scheduler, report) if scheduler else ProcessExecutor(at_once, report)) as executor:
            for job, outcome in do_logged(left, executor, stop):
                display.end_job(job, outcome)
                if isinstance(outcome, QM7Error) or outcome.status == "diverged":
                    ended.append((job, outcome))
    return ended


def _print_jobs(work: "Work", *, commands: bool) -> None:
    """Print where each job stands, or its command."""
    from qm7cli.training.sweep import job_status, train_command

    if commands:
        print(*(train_command(job) for job, _ in work), sep="\n")
        return
    rows = []
    for job, _ in work:
        status, iterations = job_status(job)
        done = f"{iterations} of {job.experiment.iterations}"
        rows.append({"run": str(job.run), "fold": str(job.fold), "status": status, "iterations": done})
    write_output(make_table(rows, JOB_COLUMNS))


def _print_failures(ended: "Ended", jobs: int, *, quiet: bool) -> "list[QM7Error]":
    """Print why jobs failed, how many are busy elsewhere and how many diverged; return the errors."""
    from qm7cli.core.errors import BusyError, QM7Error
    from qm7cli.training.sweep import log_file

    errors = [(job, outcome) for job, outcome in ended if isinstance(outcome, QM7Error)]
    for job, error in errors:
        if not isinstance(error, BusyError):
            print_error(f"{error} ({log_file(job.run, job.fold)})", error)
    if busy := sum(isinstance(error, BusyError) for _, error in errors):
        print_error(f"{busy} of {jobs} jobs are busy: another process trains them; run the same command again later")
    if (diverged := len(ended) - len(errors)) and not quiet:
        note(f"{diverged} of {jobs} jobs diverged")
    return [error for _, error in errors]
