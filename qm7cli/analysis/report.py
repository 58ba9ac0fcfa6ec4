"""A comparison of runs as one page of HTML that needs no other file, no network and no script."""

import json
import re
from collections.abc import Iterable, Sequence
from html import escape
from string import Template
from typing import Any, Final

from qm7cli.analysis.compare import Comparison
from qm7cli.analysis.figure_style import as_svg, load_matplotlib
from qm7cli.analysis.page_style import STYLE
from qm7cli.analysis.plots import KINDS, Options
from qm7cli.analysis.plots.setting import NotSweptError
from qm7cli.core.errors import QM7Error
from qm7cli.runs.collect import Run
from qm7cli.runs.environment import TIMES

INCOMPARABLE: Final = " cannot be compared with "  # in a verdict without a difference
NOTE: Final = (
    "MAE and RMSE are of the test molecules: mean over folds +- population standard deviation over folds. Where there "
    "are several seeds, the standard deviation over them follows."
)
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
<h2>Pictures</h2>
<div class="figures">
$figures
</div>
$left_out
<h2>Runs, and the settings in which they differ</h2>
$runs
<section>
<h2>Settings in common</h2>
$settings
</section>
<section>
<h2>Environment</h2>
$environment
</section>
</body>
</html>
""")


def render_report(
    comparison: Comparison,
    runs: Sequence[Run],
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    command: str = "",
    reference: str | None = None,
) -> str:
    """Return the page on a comparison of `runs`; the same runs give the same page.

    `header` and `rows` are the table with the comparison's figures. The page tells the `command` that
    makes it; `reference` is that of the comparison. Raises QM7Error if matplotlib is not installed. What cannot be
    drawn or told is left out, and the page says why.
    """
    load_matplotlib()
    common, differing = _sorted_out([run.settings | {"data SHA-256": run.results.dataset.sha256} for run in runs])
    left_out: dict[str, list[str]] = {}  # by reason
    figures = [_figure(kind, comparison, reference, left_out) for kind in KINDS]
    count = f"{len(runs)} run{'s' if len(runs) > 1 else ''}"
    names = ", ".join(sorted({run.results.dataset.name for run in runs}))
    return PAGE.substitute(
        title=escape(f"{count} on {names}"),
        style=STYLE,
        origin=_origin(runs, command),
        verdicts="\n".join(f"<p>{escape(_typeset(sentence))}</p>" for sentence in _sentences(comparison)),
        comparison=_table(header, [(name, *map(_typeset, figures)) for name, *figures in rows], "stacked"),
        note=escape(_typeset(f"{NOTE} {comparison.explanation}")),
        figures="\n".join(filter(None, figures)),
        left_out="\n".join(_absence(what, reason) for reason, what in left_out.items()),
        runs=_runs(runs, differing),
        settings=_settings(common),
        environment=_environment(runs),
    )


def _absence(what: Sequence[str], reason: str) -> str:
    sentence = f"{' and '.join(what)} left out: {reason}."
    return f"<p>{escape(sentence[0].upper() + sentence[1:])}</p>"


def _origin(runs: Sequence[Run], command: str) -> str:
    """Say what the data set is, when the runs were made, and what makes the page."""
    datasets = {}
    for run in runs:
        dataset = run.results.dataset
        molecules = f"{dataset.molecules:,} molecules, " if dataset.molecules else ""
        datasets[dataset.sha256] = f"{dataset.name}, {molecules}SHA-256 {dataset.sha256[:12]}..."
    times = sorted(time[:10] for run in runs for name in TIMES if (time := getattr(run.results.environment, name)))
    sentences = [f"Data: {'; '.join(datasets.values())}."]
    if times:
        sentences.append(f"Made {times[0]}." if times[0] == times[-1] else f"Made {times[0]} to {times[-1]}.")
    told = escape(" ".join(sentences))
    return f"{told} Command: <code>{escape(command)}</code>" if command else told


def _sentences(comparison: Comparison) -> list[str]:
    """Return the verdicts and notes; where nothing can be compared, for one reason, that is said once."""
    verdicts = [group.verdict for group in comparison.groups if group.verdict]
    reasons = {verdict.partition(": ")[2] for verdict in verdicts}
    compared = any(INCOMPARABLE not in verdict for verdict in verdicts)
    if compared or len(verdicts) < 2 or len(reasons) > 1:
        return comparison.sentences
    others = [sentence for sentence in comparison.sentences if INCOMPARABLE not in sentence]
    return [f"Nothing can be compared: {reasons.pop()}.", *others]


def _figure(kind: str, comparison: Comparison, reference: str | None, left_out: dict[str, list[str]]) -> str:
    """Return a picture with what to look for in it; what cannot be drawn is added to what is left out, by reason."""
    try:
        picture = as_svg(KINDS[kind].draw(comparison, Options(reference=reference)), kind)
    except NotSweptError:
        return ""
    except QM7Error as error:
        left_out.setdefault(str(error), []).append(f"the picture of {kind}")
        return ""
    labelled = f'<div role="img" aria-labelledby="{kind}">{picture}</div>'
    caption = f"<b>{escape(KINDS[kind].shows)}.</b> {escape(KINDS[kind].look_for)}"
    return f'<figure>{labelled}<figcaption id="{kind}">{caption}</figcaption></figure>'


def _runs(runs: Sequence[Run], differing: dict[str, list[Any]]) -> str:
    """Return a table of the runs: their settings, folds, training sizes, found hyperparameters and times."""
    header = (
        "run",
        *differing,
        "folds",
        "status",
        "training molecules",
        "hyperparameters",
        *(f"{time}, UTC" for time in TIMES),
    )
    rows = []
    for k, run in enumerate(runs):
        folds = ", ".join(str(result.fold) for result in run.results.folds)
        sizes = sorted({result.train_molecules for result in run.results.folds if result.train_molecules})
        size = " to ".join(f"{size:,}" for size in sorted({*sizes[:1], *sizes[-1:]})) or "-"
        times = [str(getattr(run.results.environment, time) or "-") for time in TIMES]
        shown = [time.replace("T", " ").removesuffix("+00:00") for time in times]
        told = (folds, run.results.status, size, _hyperparameters(run), *shown)
        rows.append((run.path, *(values[k] for values in differing.values()), *told))
    empty = {header.index("hyperparameters")} if all(row[-3] == "-" for row in rows) else set()
    kept = [k for k in range(len(header)) if k not in empty]
    return _table([header[k] for k in kept], [[row[k] for k in kept] for row in rows], "stacked")


def _hyperparameters(run: Run) -> str:
    """Return the hyperparameters that were found, each with the folds where they were; a dash where there are none."""
    folds: dict[str, list[str]] = {}
    for result in run.results.folds:
        if result.hyperparameters:
            found = ", ".join(f"{key} {value:g}" for key, value in result.hyperparameters.items())
            folds.setdefault(found, []).append(str(result.fold))
    if len(folds) == 1:
        return next(iter(folds))
    return "; ".join(f"{found} (fold {', '.join(having)})" for found, having in folds.items()) or "-"


def _settings(common: dict[str, Any]) -> str:
    pairs = (f"<div><dt>{escape(key)}</dt> <dd>{escape(_text(value))}</dd></div>" for key, value in common.items())
    return "<dl>\n" + "\n".join(pairs) + "\n</dl>"


def _typeset(text: str) -> str:
    """Return a text with true minus and plus-minus signs before numbers."""
    return re.sub(r"(?<![\w.=\[-])-(?=\d)", "\N{MINUS SIGN}", text.replace("+-", "\N{PLUS-MINUS SIGN}"))


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


def _table(header: Sequence[str], rows: Iterable[Iterable[Any]], kind: str = "") -> str:
    """Return a table, escaped; columns of numbers to the right. A stacked one is a list on a narrow screen."""
    texts = [[_text(cell) for cell in row] for row in rows]
    columns = list(zip(*texts, strict=True)) or [()] * len(header)
    classes = [
        ' class="number"' * all(re.match(r"[-+\d\N{MINUS SIGN}]", text) for text in column) for column in columns
    ]
    head = "".join(f'<th scope="col"{own}>{escape(title)}</th>' for title, own in zip(header, classes, strict=True))
    lines = []
    for first, *others in texts:
        cells = zip(others, classes[1:], header[1:], strict=True)
        told = "".join(f'<td{own} data-title="{escape(title)}">{escape(text)}</td>' for text, own, title in cells)
        lines.append(f'<tr><th scope="row">{escape(first)}</th>{told}</tr>\n')
    table = f"<table>\n<thead><tr>{head}</tr>\n</thead>\n<tbody>\n{''.join(lines)}</tbody></table>"
    return f'<div class="{kind}" tabindex="0">{table}</div>' if kind else table


def _text(value: Any) -> str:
    return json.dumps(value) if isinstance(value, list | bool | None) else str(value)
