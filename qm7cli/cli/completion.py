"""What a shell completes besides commands, options and their fixed choices: variants, data sets, runs, settings.

Typer has a shell ask for completions by starting the program with its own words in the environment. What is imported
here is what one answer needs.
"""

import io
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout, suppress
from itertools import islice
from pathlib import Path
from typing import Final

RUNS: Final = Path("runs")  # where training writes
MOST: Final = 1000  # runs that are shown
_ASKED: Final = "_QM7_COMPLETE"


def variants() -> list[str]:
    """Return the names of the variants."""
    from typing import get_args

    from qm7cli.model.variants import Variant

    return list(get_args(Variant))


def data_sets() -> list[str]:
    """Return the bundled data sets, and the files here and in data/ that may be one."""
    from qm7cli.data.dataset import BUNDLED

    return [*BUNDLED, *_files(".mat", ".npz"), *_files(".mat", ".npz", directory="data")]


def schemes() -> list[str]:
    """Return how molecules are dealt to folds, and the files here that may say it."""
    from qm7cli.data.splits import SCHEMES, SPLIT_FILE

    return [*SCHEMES, *_files(*SPLIT_FILE)]


def experiments() -> list[str]:
    """Return the experiments that come with the program, and the files here that may be one."""
    return _experiments(sweeps=False)


def sweeps() -> list[str]:
    """Return the sweeps that come with the program, and the files here that may be one."""
    return _experiments(sweeps=True)


def _experiments(*, sweeps: bool) -> list[str]:
    from qm7cli.core.errors import QM7Error
    from qm7cli.runs.experiment_files import ENDING, experiment_files, is_sweep

    found = []
    for name, path in [*experiment_files().items(), *((name, Path(name)) for name in _files(ENDING))]:
        with suppress(QM7Error):
            if is_sweep(path) == sweeps:
                found.append(name)
    return found


def every_experiment() -> list[str]:
    """Return the experiments and sweeps that come with the program."""
    from qm7cli.runs.experiment_files import experiment_files

    return list(experiment_files())


def runs() -> list[str]:
    """Return the runs under runs/, and the directories between."""
    return list(islice(_runs(RUNS), MOST))


def _runs(directory: Path) -> Iterator[str]:
    with suppress(OSError):
        below = sorted(entry.name for entry in os.scandir(directory) if entry.is_dir())
        if any(name.startswith("fold-") for name in below):
            yield str(directory)
            return
        found = [run for name in below for run in _runs(directory / name)]
        if found and directory != RUNS:
            yield str(directory)
        yield from found


def keys() -> list[str]:
    """Return the dotted keys of all settings."""
    from qm7cli.runs.experiment import DEFAULTS

    return list(DEFAULTS)


def assignments(incomplete: str) -> list[str]:
    """Return the dotted keys of settings that fit or, of the only one, what it may be set to, its default first.

    Its key alone is there as well: a shell goes on to the next word after a completion that is the only one.
    """
    from qm7cli.core.validation import setting_choices
    from qm7cli.runs.experiment import DEFAULTS, RECORDED_SETTINGS, Experiment

    key, equals, _ = incomplete.partition("=")
    fitting = [each for each in DEFAULTS if each.startswith(key) and each not in RECORDED_SETTINGS]
    if equals:
        fitting = [each for each in fitting if each == key]
    if len(fitting) != 1:
        return fitting
    (key,) = fitting
    own = {"data": data_sets, "split.scheme": schemes}
    values = own[key]() if key in own else setting_choices(key, Experiment)
    return [f"{key}=", *(f"{key}={value}" for value in values)]


def _files(*endings: str, directory: str = "") -> list[str]:
    with suppress(OSError):
        names = sorted(entry.name for entry in os.scandir(directory or ".") if entry.is_file())
        return [os.path.join(directory, name) for name in names if name.endswith(endings)]  # noqa: PTH118
    return []


def is_asked() -> bool:
    """Say whether a shell has started the program to ask for completions."""
    return _ASKED in os.environ


def answer(complete: Callable[[], object]) -> None:
    """Answer a shell by what `complete` prints, Typer's answer to the words in the environment, and exit.

    An error is no answer: nothing is printed then.

    To bash, ``=`` and ``:`` are words of their own, and what is completed is what follows them: Typer has to be given
    the whole word, and bash only the rest of it. Of ``--option=value``, Typer gives the value, and the others take the
    whole.
    """
    known = _join_words() if os.environ[_ASKED].endswith("_bash") else 0
    option = re.search(r" (--[\w-]+=)\S*$", os.environ.get("_TYPER_COMPLETE_ARGS", ""))
    begun = option[1] if option else ""
    printed = io.StringIO()
    try:
        with suppress(Exception, KeyboardInterrupt), redirect_stdout(printed):
            complete()  # it exits, and the status tells fish whether there are any
        sys.exit(1)
    finally:
        for line in printed.getvalue().splitlines():
            if os.environ[_ASKED].endswith("_zsh"):
                print(re.sub(r'^(_arguments .*\(\()?"', rf"\g<0>{begun}", line))
            elif rest := line[known:]:
                print(begun + rest)


def _join_words() -> int:
    """Join in the environment what bash has parted; return how much of the word to complete, or its value, it has."""
    parts = os.environ["COMP_WORDS"].split("\n")[: int(os.environ["COMP_CWORD"]) + 1]
    words = re.sub(r"\n([=:]+)(\n|$)", r"\1", "\n".join(parts)).split("\n")
    os.environ["COMP_WORDS"], os.environ["COMP_CWORD"] = "\n".join(words), str(len(words) - 1)
    last = parts[-1] if parts[-1].strip("=:") else ""
    known = words[-1].removesuffix(last)
    option, equals, value = known.partition("=")
    return len(value if equals and option.startswith("--") else known)
