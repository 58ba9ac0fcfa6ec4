"""A comparison of runs as one page of HTML that needs no other file, no network and no script."""

from collections.abc import Iterable, Sequence
from html import escape
from string import Template
from typing import Any, Final

from qm7cli.analysis.compare import Comparison
from qm7cli.analysis.figure_style import Options, as_svg
from qm7cli.analysis.plots import KINDS
from qm7cli.analysis.plots.setting import NotSweptError
from qm7cli.core.errors import QM7Error, import_extra
from qm7cli.core.html import html_table, html_text
from qm7cli.runs.collect import Run

NOTE: Final = (
    "MAE and RMSE are of the test molecules: mean over folds ± population standard deviation over folds. Where there "
    "are several seeds, the standard deviation over them follows."
)
STYLE: Final = """
@page { size: A4; margin: 15mm }
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 62rem; margin: auto; padding: 1rem;
  overflow-wrap: anywhere }
h1 { font-size: 1.6em; line-height: 1.2 }
h2 { font-size: 1.15em; margin: 1.8em 0 .5em; break-after: avoid }
p { margin: .5em 0 }
table, figcaption, .note { font-size: .87em }
figcaption, .note { color: #555 }
.wide { overflow-x: auto }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { padding: .25em .8em .25em 0; text-align: left; vertical-align: top; border-bottom: 1px solid #ddd }
tbody th { font-weight: normal }
.number { text-align: right }
tr, figure { break-inside: avoid }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 20rem), 1fr)); gap: 1.5rem 2rem }
figure { margin: 0; max-width: 30rem }
figure svg { width: 100%; height: auto; display: block }
@media screen { .wide td, .wide tbody th { white-space: nowrap } }
@media print {
  body { font-size: 9.5pt; padding: 0; max-width: none }
  .figures { display: block; columns: 2; column-gap: 10mm }
  figure { margin-bottom: 6mm }
  .wide table { font-size: 7pt }
}
"""
PAGE: Final = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
$style</style>
</head>
<body>
<h1>$title</h1>
<p class="note">$origin</p>
$verdicts
<h2>Groups</h2>
$comparison
<p class="note">$note</p>
<h2>Figures</h2>
<div class="figures">
$figures
</div>
$left_out
<h2>Runs, and the settings in which they differ</h2>
$runs
<h2>Settings in common</h2>
$settings
<h2>Environment</h2>
$environment
</body>
</html>
""")


def render_report(
    comparison: Comparison,
    runs: Sequence[Run],
    header: Sequence[str],
    rows: Iterable[Sequence[str]],
    command: str = "",
    reference: str | None = None,
) -> str:
    """Return the page on a comparison of `runs`, whose table has a `header` and `rows`; the same runs give the same.

    It tells the `command` that makes it, and why a picture is left out. Raises QM7Error if matplotlib is missing.
    """
    import_extra("matplotlib", "plots", "figures need")
    settings = [run.settings | {"data SHA-256": run.results.dataset.sha256} for run in runs]
    values = {key: [own.get(key) for own in settings] for key in dict.fromkeys(key for own in settings for key in own)}
    differing = {key: own for key, own in values.items() if any(value != own[0] for value in own)}
    common = [(key, own[0]) for key, own in values.items() if key not in differing]
    left_out: list[str] = []
    figures = [_figure(kind, comparison, reference, left_out) for kind in KINDS]
    names = ", ".join(sorted({run.results.dataset.name for run in runs}))
    return PAGE.substitute(
        title=escape(f"{len(runs)} run{'s' if len(runs) > 1 else ''} on {names}"),
        style=STYLE,
        origin=_origin(runs, command),
        verdicts="\n".join(f"<p>{escape(sentence)}</p>" for sentence in comparison.sentences),
        comparison=html_table(header, [[cell.replace("+-", "±") for cell in row] for row in rows]),
        note=escape(f"{NOTE} {comparison.explanation}"),
        figures="\n".join(filter(None, figures)),
        left_out="\n".join(f"<p>{escape(sentence)}</p>" for sentence in left_out),
        runs=_runs(runs, differing),
        settings=html_table(("setting", "value"), common),
        environment=_environment(runs),
    )


def _origin(runs: Sequence[Run], command: str) -> str:
    """Say what the data set is, when the runs were made, and what makes the page."""
    recorded = (run.results.dataset for run in runs)
    datasets = {each.sha256: f"{each.name}, SHA-256 {each.sha256[:12]}..." for each in recorded}
    times = sorted(time[:10] for run in runs for time in run.results.times.values() if time)
    made = f" Made {' to '.join(dict.fromkeys([times[0], times[-1]]))}." if times else ""
    told = escape(f"Data: {'; '.join(datasets.values())}.{made}")
    return f"{told} Command: <code>{escape(command)}</code>" if command else told


def _figure(kind: str, comparison: Comparison, reference: str | None, left_out: list[str]) -> str:
    """Return a picture with what to look for in it; what cannot be drawn is added to what is left out."""
    try:
        picture = as_svg(KINDS[kind].draw(comparison, Options(reference=reference)), kind)
    except NotSweptError:
        return ""
    except QM7Error as error:
        left_out.append(f"{kind} left out: {error}.")
        return ""
    labelled = f'<div role="img" aria-labelledby="{kind}">{picture}</div>'
    caption = f"<b>{escape(KINDS[kind].shows)}.</b> {escape(KINDS[kind].look_for)}"
    return f'<figure>{labelled}<figcaption id="{kind}">{caption}</figcaption></figure>'


def _runs(runs: Sequence[Run], differing: dict[str, list[Any]]) -> str:
    """Return a table of the runs: their settings, folds, training sizes, found hyperparameters and times."""
    rows = []
    for k, run in enumerate(runs):
        folds = run.results.folds
        sizes = sorted({fold.train_molecules for fold in folds})
        shown = " to ".join(f"{size:,}" for size in sorted({*sizes[:1], *sizes[-1:]}))
        found = [
            f"fold {fold.fold}: {', '.join(f'{key} {value:g}' for key, value in fold.hyperparameters.items())}"
            for fold in folds
            if fold.hyperparameters
        ]
        times = [(time or "-")[:19].replace("T", " ") for time in run.results.times.values()]
        own, numbers = (values[k] for values in differing.values()), ", ".join(str(fold.fold) for fold in folds)
        rows.append((run.path, *own, numbers, run.results.status, shown, "; ".join(found) or "-", *times))
    own_titles = ("folds", "status", "training molecules", "hyperparameters")
    return html_table(("run", *differing, *own_titles, *(f"{name}, UTC" for name in runs[0].results.times)), rows)


def _environment(runs: Sequence[Run]) -> str:
    """Return a table of the environments, with all values that a part of them has had; their times are elsewhere."""
    values: dict[str, dict[str, None]] = {}
    for environment in (each for run in runs for each in run.results.environments):
        for key, value in environment.model_dump(exclude={"started", "finished"}).items():
            values.setdefault(key, {})[html_text(value)] = None
    return html_table(("environment", "value"), [(key, "; ".join(own)) for key, own in values.items()])
