"""`qm7 train`: train the folds of an experiment."""

import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qm7cli.cli.common import (
    Data,
    Debug,
    Quiet,
    Split,
    complain,
    deliver,
    load_dataset,
    mean_and_std,
    number,
    say,
    show_traceback,
    stoppable,
    whole_number,
)
from qm7cli.cli.formats import fit
from qm7cli.signals import StopRequest

if TYPE_CHECKING:
    from qm7cli.config import Experiment
    from qm7cli.dataset import Dataset
    from qm7cli.errors import QM7Error


Folds = Annotated[
    list[int] | None,
    typer.Option("--fold", metavar="N", min=0, help="Fold to hold out; may be given again. Without: all."),
]
Seed = Annotated[int | None, typer.Option(parser=whole_number, metavar="N", help="Seed of the random numbers.")]
Jobs = Annotated[
    int | None, typer.Option(metavar="N", min=1, help="Folds trained at a time. Without: as many as cores.")
]
Out = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Run directory. Without: a name under runs/ that tells the settings."),
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Remove these folds, or all where the settings differ, and start again.")
]


def train(
    config: Annotated[
        Path | None,
        typer.Option(metavar="FILE.yaml", help="Experiment file; what it leaves out has its default."),
    ] = None,
    variant: Annotated[
        str | None, typer.Option(metavar="original|corrected|no-prebias", help="What moves A and B.")
    ] = None,
    fold: Folds = None,
    iterations: Annotated[
        int | None, typer.Option(parser=whole_number, metavar="N", help="Iterations to train in all.")
    ] = None,
    seed: Seed = None,
    split: Split = None,
    data: Data = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Any setting, as training.batch_size=50; may be given again."),
    ] = None,
    jobs: Jobs = None,
    out: Out = None,
    overwrite: Overwrite = False,
    print_config: Annotated[
        bool, typer.Option("--print-config", help="Print the resolved experiment and do nothing else.")
    ] = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Train the folds of an experiment and report their test errors.

    Flags go before --set, --set before the file, the file before the defaults, which are those of the paper.
    Run again on the same directory, complete folds are kept, others go on where they stopped, and more iterations go on
    from the last state.

    Example: qm7 train --variant corrected --fold 0 --iterations 20000
    """
    flags = {
        "variant": variant,
        "seed": seed,
        "data": data,
        "split.scheme": split,
        "split.folds": fold or None,
        "training.iterations": iterations,
    }
    with stoppable() as stop:
        from qm7cli.config import resolve
        from qm7cli.yaml_text import format_yaml

        experiment = resolve(config, settings or [], flags)
        if print_config:
            print(format_yaml(experiment.model_dump(mode="json")), end="")
            return
        dataset = load_dataset(experiment.data)
        train_and_print(experiment, dataset, out, jobs, stop, overwrite=overwrite, quiet=quiet, debug=debug)


def train_and_print(
    experiment: "Experiment",
    dataset: "Dataset",
    out: Path | None,
    jobs: int | None,
    stop: StopRequest,
    *,
    overwrite: bool,
    quiet: bool,
    debug: bool,
) -> None:
    """Train the folds of an experiment with progress, print the results, and exit as what became of them asks."""
    from qm7cli.cli.progress import show_progress
    from qm7cli.run_directory import default_directory
    from qm7cli.runner import FoldsError, available_cores, train_run

    run = out or default_directory(Path("runs"), experiment, dataset.name)
    errors: dict[int, QM7Error] = {}
    with show_progress(quiet=quiet) as report:
        try:
            results = train_run(
                experiment,
                dataset,
                run,
                jobs=jobs or available_cores(),
                overwrite=overwrite,
                report=report,
                stopped=stop,
            )
        except FoldsError as failure:
            results, errors = failure.results, failure.errors
    if (run / "results.yaml").exists():
        _print_results(run)
    diverged = [result for result in results.values() if result.reason]
    for result in diverged:
        complain(result.reason or "")
    for error in errors.values():
        complain(str(error))
        if debug:
            show_traceback("".join(getattr(error, "__notes__", ())))
    if stop.signal:
        complain(f"stopped by {signal.Signals(stop.signal).name}; the same command goes on from here")
        raise typer.Exit(128 + stop.signal)
    if errors or diverged:  # busy only if all are
        raise typer.Exit(1 if diverged else min(error.exit_status for error in errors.values()))


def _print_results(run: Path) -> None:
    from qm7cli.results import METRICS, read_results, summary

    results = read_results(run)
    folds = results["folds"]
    rows = [
        [
            str(fold["fold"]),
            fold["status"],
            str(fold["iterations"] or "-"),
            *(number(fold[metric]) for metric in METRICS),
            number(fold["seconds"] / 60, 1),
        ]
        for fold in folds
    ]
    means = summary(folds, METRICS)
    total = ["mean", "", "", *(mean_and_std(means[metric]) for metric in METRICS), ""]
    header = ("fold", "status", "iterations", "test MAE", "test RMSE", "train MAE", "train RMSE", "minutes")
    optional = ("status", "iterations", "minutes", "train RMSE", "train MAE")
    table = header, [*rows, total] if len(folds) > 1 else rows
    fitted = fit(table, 1, "MAE and RMSE in kcal/mol", optional)
    deliver(fitted.table, None, None, fitted.words, fitted.after)
    say(str(run / "results.yaml"))
