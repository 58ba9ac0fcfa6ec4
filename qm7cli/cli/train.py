"""`qm7 train`: train the folds of an experiment."""

import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qm7cli.cli import options
from qm7cli.cli.output import make_table, note, print_error, refuse_inputs, result_columns, say, show_mean, write_output
from qm7cli.core.signals import StopRequest, stop_on_signals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qm7cli.cli.output import Format
    from qm7cli.core.errors import QM7Error
    from qm7cli.data.dataset import Dataset
    from qm7cli.runs.experiment import Experiment
    from qm7cli.runs.results import RunResults
    from qm7cli.training.executor import Outcome


def train(
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            autocompletion=options.complete_experiments,
            help="Experiment file, a name that qm7 experiments lists, or - for standard input.",
        ),
    ] = None,
    variant: Annotated[
        str | None,
        typer.Option(
            autocompletion=options.complete_variants, help="Update rule of A and B: RULES. [default: original]"
        ),
    ] = None,
    fold: options.Folds = None,
    iterations: Annotated[int | None, options.whole("Iterations to train in all. [default: 1000000]")] = None,
    seed: options.Seed = None,
    split: options.Split = None,
    data: options.Data = None,
    settings: options.Settings = None,
    jobs: options.Jobs = None,
    out: options.Out = None,
    overwrite: options.Overwrite = False,
    print_config: Annotated[
        bool, typer.Option("--print-config", help="Print the resolved experiment and exit.")
    ] = False,
    format_: options.OutputFormat = None,
    output: options.Output = None,
    quiet: options.Quiet = False,
) -> None:
    """Train the folds of an experiment and report their test errors.

    The default settings are those of the paper. Options override --set, and --set overrides --config.

    Run the same command again to resume. Complete folds are kept; with more --iterations, their training continues.
    Ctrl-C, SIGTERM, SIGUSR1, SIGUSR2 and SIGXCPU write a checkpoint and stop.

    Examples:
      qm7 train --data gfn7 --fold 0 --iterations 1000
      qm7 train --config fast
      qm7 train --config quick --fold 0 --variant corrected

    Exit status 1: a fold failed or diverged. 75: another process trains a fold.
    """
    flags = {
        "variant": variant,
        "seed": seed,
        "data": data,
        "split.scheme": split,
        "split.folds": fold or None,
        "training.iterations": iterations,
    }
    with stop_on_signals(note) as stop:
        from qm7cli.core.yaml_text import format_yaml
        from qm7cli.runs.experiment import resolve

        experiment = resolve(config, settings or [], flags)
        if print_config:
            print(format_yaml(experiment.model_dump(mode="json")), end="")
            return
        dataset = options.load_dataset(experiment.data)
        train_and_print(
            experiment, dataset, out, jobs, stop, overwrite=overwrite, format_=format_, output=output, quiet=quiet
        )


def train_and_print(
    experiment: "Experiment",
    dataset: "Dataset",
    out: Path | None,
    jobs: int | None,
    stop: StopRequest,
    *,
    overwrite: bool,
    quiet: bool,
    format_: "Format | None" = None,
    output: Path | None = None,
) -> None:
    """Train the folds of an experiment with progress, print results and errors, and exit with the status of these."""
    from qm7cli.cli.progress import show_progress
    from qm7cli.data.splits import select_folds
    from qm7cli.runs.access import default_name
    from qm7cli.training.executor import Job, available_cores
    from qm7cli.training.sweep import job_status
    from qm7cli.training.train_run import FoldsError, train_run

    refuse_inputs(output, [dataset.path])
    run = out or options.RUNS / default_name(experiment, dataset.name)
    jobs = jobs or available_cores()
    chosen = [fold.number for fold in select_folds(dataset, experiment.split)]
    left = sum(overwrite or job_status(Job(run, experiment, fold))[0] != "complete" for fold in chosen)
    errors: dict[int, QM7Error] = {}
    with show_progress(folds=left, quiet=quiet) as display:
        try:
            results = train_run(
                experiment, dataset, run, jobs=jobs, overwrite=overwrite, report=display.report, stopped=stop
            )
        except FoldsError as failure:
            results, errors = failure.results, failure.errors
    if results:
        print_results(run, results, format_, output)
    diverged = [each for each in results.folds if each.reason and each.fold in chosen] if results else []
    for result in diverged:
        print_error(result.reason or "")
    for error in errors.values():
        print_error(str(error), error)
    exit_if_stopped(stop)
    exit_if_failed([*diverged, *errors.values()])


def print_results(
    run: Path, results: "RunResults", format_: "Format | None" = None, output: Path | None = None
) -> None:
    """Print the results of a run, and where they are."""
    from qm7cli.model.metrics import METRICS, describe_units
    from qm7cli.runs.collect import as_run, collect_folds

    folds = [result.model_dump() | {"status": result.outcome} for result in results.folds]
    mean = {"fold": "mean", **{key: show_mean(results.summary(key)) for key in METRICS}}
    several, optional = len(folds) > 1, ("minutes", "train RMSE", "train MAE")
    rows, units = [*folds, mean] if several else folds, describe_units(with_mean=several)
    table = make_table(rows, result_columns(), units, shared=("status", "iterations"), optional=optional)
    records = collect_folds([as_run(run, results)])
    if write_output(table, records, format_, output) == "table":
        say(str(run / "results.yaml"))


def exit_if_stopped(stop: StopRequest) -> None:
    """Exit with 128 plus the number of the signal that came, if one did."""
    if stop.signal:
        print_error(f"stopped by {signal.Signals(stop.signal).name}; the same command resumes from here")
        raise typer.Exit(128 + stop.signal)


def exit_if_failed(failures: "Sequence[Outcome]") -> None:
    """Exit with 75 if all failures are that a fold is busy, with 1 if there are others, or not at all."""
    if failures:
        raise typer.Exit(min(getattr(failure, "exit_status", 1) for failure in failures))
