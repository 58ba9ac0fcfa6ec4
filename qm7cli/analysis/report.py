"""A comparison of runs as one page of HTML that needs no other file, no network and no script."""

import json
from collections.abc import Iterable, Sequence
from html import escape
from string import Template
from typing import Any, Final

from qm7cli.analysis.compare import Comparison
from qm7cli.analysis.figure_style import as_svg, load_matplotlib
from qm7cli.analysis.plots import KINDS, Options
from qm7cli.core.errors import QM7Error
from qm7cli.runs.collect import Run
from qm7cli.runs.environment import TIMES

CAPTIONS: Final = {
    "curves": "Test MAE against training iterations: mean over folds +- population standard deviation over folds.",
    "folds": "Test MAE of each fold; the short lines are the means over folds.",
    "errors": "Errors of the test predictions, and the molecules with the largest (means over seeds; rows from 0).",
    "parity": "Predicted and true energies of the test molecules; on the line they agree.",
}
NOTE: Final = """MAE and RMSE are of the test molecules: mean over folds +- population standard deviation over folds.
Where there are several seeds, the standard deviation over them follows."""
BOOTSTRAP: Final = """The bootstrap's interval is for other test molecules and the networks as they are, that of the
t-test for other training sets as well."""
PAGE: Final = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
@page { size: A4; margin: 15mm }
body { font: 15px/1.5 system-ui, sans-serif; color: #222; background: #fff; max-width: 62rem; margin: auto;
  padding: 1rem; overflow-wrap: anywhere }
h1 { font-size: 1.6em; line-height: 1.2 }
h2 { font-size: 1.15em; margin: 1.8em 0 .5em; break-after: avoid }
p { margin: .5em 0 }
table, figcaption, .note { font-size: .87em }
figcaption, .note { color: #555 }
.wide { overflow-x: auto }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { padding: .25em .8em .25em 0; text-align: left; vertical-align: top; border-bottom: 1px solid #ddd }
th { vertical-align: bottom; border-bottom-color: #555 }
tr > :first-child, .wide * { white-space: nowrap }
.number { text-align: right }
tr, figure { break-inside: avoid }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 20rem), 1fr)); gap: 1.5rem 2rem }
figure { margin: 0; max-width: 30rem }
figure svg { width: 100%; height: auto; display: block }
@media print {
  body { font-size: 9.5pt; padding: 0; max-width: none }
  .figures { grid-template-columns: 85mm 85mm; gap: 6mm 10mm }
  .wide { overflow: visible }
  .wide table { font-size: 7pt }
  .wide * { white-space: normal; overflow-wrap: normal }
  .wide td:first-child { white-space: normal; overflow-wrap: anywhere }
}
</style>
</head>
<body>
<h1>$title</h1>
$verdicts
<h2>Groups</h2>
$comparison
<p class="note">$note</p>
<h2>Pictures</h2>
<div class="figures">
$figures
</div>
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
    comparison: Comparison, runs: Sequence[Run], table: tuple[Sequence[str], Sequence[Sequence[str]]]
) -> str:
    """Return the page on a comparison of `runs`; the same runs give the same page.

    `table`, a header and rows, has the comparison's figures as they are to be shown. Raises QM7Error if matplotlib is
    not installed. A picture that cannot be drawn is left out, and the page says why.
    """
    load_matplotlib()
    common, differing = _sorted_out([run.settings | {"data SHA-256": run.results.dataset.sha256} for run in runs])
    header = ("run", *differing, "folds", "status", *(f"{time}, UTC" for time in TIMES))
    rows = []
    for k, run in enumerate(runs):
        folds = ", ".join(str(result.fold) for result in run.results.folds)
        times = [str(getattr(run.results.environment, time) or "-") for time in TIMES]
        shown = [time.replace("T", " ").removesuffix("+00:00") for time in times]
        rows.append((run.path, *(values[k] for values in differing.values()), folds, run.results.status, *shown))
    count = f"{len(runs)} run{'s' if len(runs) > 1 else ''}"
    names = ", ".join(sorted({run.results.dataset.name for run in runs}))
    return PAGE.substitute(
        title=escape(f"{count} on {names}"),
        verdicts="\n".join(f"<p>{escape(sentence)}</p>" for sentence in comparison.sentences),
        comparison=f'<div class="wide">{_table(*table)}</div>',
        note=escape(f"{NOTE} {comparison.explanation} {BOOTSTRAP}" if comparison.explanation else NOTE),
        figures="\n".join(_figure(kind, caption, comparison) for kind, caption in CAPTIONS.items()),
        runs=f'<div class="wide">{_table(header, rows)}</div>',
        settings=_table(("setting", "value"), common.items()),
        environment=_environment(runs),
    )


def _figure(kind: str, caption: str, comparison: Comparison) -> str:
    try:
        picture = as_svg(KINDS[kind].draw(comparison, Options()), kind)
    except QM7Error as error:
        return f"<p>{escape(f'The picture of {kind} is left out: {error}.')}</p>"
    labelled = f'<div role="img" aria-labelledby="{kind}">{picture}</div>'
    return f'<figure>{labelled}<figcaption id="{kind}">{escape(caption)}</figcaption></figure>'


def _environment(runs: Sequence[Run]) -> str:
    """Return a table of the environments: what all share in a line, what differs with the runs or folds that have it.

    The times stand with the runs.
    """
    own = {name: environment for run in runs for name, environment in _places(run).items()}
    common, differing = _sorted_out([{key: of[key] for key in of if key not in TIMES} for of in own.values()])
    rows = list(common.items())
    for key, values in differing.items():
        for value in dict.fromkeys(map(_text, values)):
            having = [name for name, each in zip(own, values, strict=True) if _text(each) == value]
            rows.append((key, f"{value} ({', '.join(having)})"))
    return _table(("environment", "value"), rows)


def _places(run: Run) -> dict[str, dict[str, Any]]:
    """Return a run's environment by its name; where its folds differ, that of each by the fold's."""
    results = run.results
    if not results.environment.folds:
        return {str(run.path): results.environment.model_dump()}
    return {f"{run.path} fold {fold}": own.model_dump() for fold, own in results.environments.items()}


def _sorted_out(records: Sequence[dict[str, Any]]) -> tuple[dict[str, Any], dict[str, list[Any]]]:
    """Return the values that all records share, and those of each record under the other keys."""
    keys = dict.fromkeys(key for record in records for key in record)
    values = {key: [record.get(key) for record in records] for key in keys}
    common = {key: own[0] for key, own in values.items() if all(value == own[0] for value in own)}
    return common, {key: own for key, own in values.items() if key not in common}


def _table(header: Sequence[str], rows: Iterable[Iterable[Any]]) -> str:
    """Return a table, escaped; columns of numbers to the right."""
    texts = [[_text(cell) for cell in row] for row in rows]
    columns = list(zip(*texts, strict=True)) or [()] * len(header)
    classes = [' class="number"' * all(text[:1] in "+-0123456789" for text in column) for column in columns]

    def line(tag: str, cells: Iterable[str]) -> str:
        row = "".join(f"<{tag}{kind}>{escape(cell)}</{tag}>" for cell, kind in zip(cells, classes, strict=True))
        return f"<tr>{row}</tr>\n"

    return f"<table>\n<thead>{line('th', header)}</thead>\n{''.join(line('td', row) for row in texts)}</table>"


def _text(value: Any) -> str:
    return json.dumps(value) if isinstance(value, list | bool | None) else str(value)
