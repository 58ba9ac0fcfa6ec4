"""What shells complete beyond what Typer does by itself: variants, experiments, runs and keys of settings.

Typer has a shell ask by starting the program with the words in the environment.
"""

import io
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout, suppress
from pathlib import Path
from typing import Final

RUNS: Final = Path("runs")  # where training writes
_ASKED: Final = "_QM7_COMPLETE"


def variants() -> list[str]:
    """Return the names of the variants."""
    from qm7cli.model.variants import RULES

    return list(RULES)


def every_experiment() -> list[str]:
    """Return the experiments and sweeps that come with the program."""
    from qm7cli.runs.experiment import experiment_files

    return list(experiment_files())


def experiments() -> list[str]:
    """Return the experiments that come with the program."""
    return [name for name in every_experiment() if name not in sweeps()]


def sweeps() -> list[str]:
    """Return the sweeps that come with the program."""
    from qm7cli.runs.experiment import experiment_files, is_sweep

    return [name for name, path in experiment_files().items() if is_sweep(path)]


def runs() -> list[str]:
    """Return the runs under runs/, linked ones too, and the directories between."""
    return list(_below(RUNS))


def _below(directory: Path) -> Iterator[str]:
    found: list[Path] = []
    with suppress(OSError):
        found = sorted(path for path in directory.iterdir() if path.is_dir())
    for path in found:
        if any((path / name).exists() for name in ("config.yaml", "results.yaml")):
            yield str(path)
        elif not path.is_symlink() and (below := list(_below(path))):  # a link may lead back to where it is
            yield from (str(path), *below)


def keys() -> list[str]:
    """Return the dotted keys of the settings that a user chooses."""
    from qm7cli.runs.experiment import DEFAULTS, RECORDED_SETTINGS

    return [key for key in DEFAULTS if key not in RECORDED_SETTINGS]


def is_asked() -> bool:
    """Say whether a shell has started the program to ask for completions."""
    return _ASKED in os.environ


def answer(complete: Callable[[], object]) -> None:
    """Answer a shell by what `complete` prints, and exit; an error is no answer.

    Typer is given the whole word that is completed, and bash, to which ``=`` and ``:`` end a word, the rest of it.
    """
    known = _join_words() if os.environ[_ASKED].endswith("_bash") else 0
    printed = io.StringIO()
    try:
        with suppress(Exception, KeyboardInterrupt), redirect_stdout(printed):
            complete()  # it exits, and the status tells fish whether there are any
        sys.exit(1)
    finally:
        print("".join(f"{line[known:]}\n" for line in printed.getvalue().splitlines() if line[known:]), end="")


def _join_words() -> int:
    """Join in the environment what bash has parted, but for ``--option=``; return how much of the last word it has."""
    parts = os.environ["COMP_WORDS"].split("\n")[: int(os.environ["COMP_CWORD"]) + 1]
    joined = re.sub(r"\n([=:]+)(\n|$)", r"\1", "\n".join(parts))
    words = re.sub(r"(?m)^(--[\w-]+)=", r"\1\n", joined).split("\n")
    os.environ["COMP_WORDS"], os.environ["COMP_CWORD"] = "\n".join(words), str(len(words) - 1)
    return len(words[-1].removesuffix(parts[-1].strip("=:")))
