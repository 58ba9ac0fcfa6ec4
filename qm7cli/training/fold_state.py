"""What has become of the folds of a run, or is becoming of them, from their files alone while others train them.

A training writes its result when it begins, at each evaluation and when it ends, and its checkpoint now and then: each
says where it was when the file was written.
"""

import time
from pathlib import Path
from typing import Literal, NamedTuple

from qm7cli.core.locks import is_held
from qm7cli.runs.access import fold_directory, fold_numbers
from qm7cli.runs.results import FoldResult, read_fold, read_results
from qm7cli.training.fold_training import read_about


class FoldState(NamedTuple):
    """What has become of a fold: ``running`` if a process holds it, ``new`` if it was asked for and not begun."""

    run: str
    fold: int
    status: Literal["complete", "diverged", "running", "interrupted", "new"]
    iterations: int  # known to be done; of an interrupted fold, those from which it resumes
    iterations_asked: int
    mae: float | None  # of the test, kcal/mol; of a fold that has not ended, the last on the way
    seconds_left: float | None  # an estimate


def fold_states(run: Path) -> list[FoldState]:
    """Return the states of a run's folds that were asked for, in order; raises QM7Error if a file of it is damaged."""
    results = read_results(run)
    recorded, wanted = {result.fold: result for result in results.folds}, results.config.split.folds or ()
    states = []
    for fold in sorted({*recorded, *fold_numbers(run), *wanted}):
        result = read_fold(run, fold) or recorded.get(fold)
        running = is_held(fold_directory(run, fold) / ".lock")
        if result is not None and result.status != "partial":
            asked = result.iterations if result.status == "complete" else results.config.iterations
            states.append(FoldState(str(run), fold, result.status, result.iterations, asked, result.mae, None))
        elif result is not None or running:
            states.append(_unfinished(run, fold, result, results.config.iterations, running=running))
        elif fold in wanted:
            states.append(FoldState(str(run), fold, "new", 0, results.config.iterations, None, None))
    return states


def _unfinished(run: Path, fold: int, result: FoldResult | None, asked: int, *, running: bool) -> FoldState:
    """Return the state of a fold that has not ended."""
    directory = fold_directory(run, fold)
    points, kept = [(0.0, 0, 0.0)], 0  # of the training: a time, and the iterations and seconds until then
    if result is not None:
        points.append(((directory / "result.yaml").stat().st_mtime, result.iterations, result.seconds))
    if (checkpoint := directory / "checkpoint.npz").exists():
        about = read_about(checkpoint)
        kept = about.iteration
        points.append((checkpoint.stat().st_mtime, about.iteration, about.seconds))
    mae = result.history[-1].test_mae if result and result.history else None
    if not running:
        return FoldState(str(run), fold, "interrupted", kept, asked, mae, None)
    when, iterations, seconds = max(points)
    left = None
    if iterations and seconds:  # it goes on as fast as until then
        left = round(max(0.0, seconds / iterations * (asked - iterations) - max(0.0, time.time() - when)), 1)
    return FoldState(str(run), fold, "running", iterations, asked, mae, left)
