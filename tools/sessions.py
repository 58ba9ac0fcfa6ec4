"""The sessions that pages show, as fenced blocks of the language `console`: they can be run, and written anew.

python tools/sessions.py README.md docs/tutorial.md    # run every command; write what it prints under it

Lines that begin with `$ ` are commands, lines that begin with `> ` go on with one; what follows is what they print.
All commands of a page are run in one new directory, by bash, in their order.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

SESSION = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^\$ (.*\n(?:> .*\n)*)((?:(?!\$ ).*\n)*)", re.MULTILINE)
NUMBER = re.compile(r"-?\d[\d.]*(?:e[+-]?\d+)?")


class Step(NamedTuple):
    """A command of a session, and what it prints, standard error in between."""

    command: str
    printed: str


def steps(page: str) -> list[Step]:
    """Return the commands that a page shows, with what it shows under them."""
    return [Step(*match.groups()) for text in SESSION.findall(page) for match in COMMAND.finditer(text)]


def run(page: str, directory: Path, environment: Mapping[str, str] | None = None) -> Iterator[Step]:
    """Run the commands of a page in a directory; give what they print.

    Raises subprocess.CalledProcessError if one fails.
    """
    for step in steps(page):
        done = subprocess.run(  # noqa: S603 - what a page of this repository shows
            ["bash", "-ec", step.command.replace("\n> ", "\n")],  # noqa: S607
            cwd=directory,
            env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", **(environment or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=True,
        )
        yield step._replace(printed=done.stdout)


def differences(shown: str, printed: str) -> list[str]:
    """Return the words that one of two texts has more often than the other, digits aside.

    Another machine gives other digits, breaks lines elsewhere for them, and ends folds in another order.
    """
    ours, theirs = (Counter(NUMBER.sub("0", text).split()) for text in (shown, printed))
    return [
        f"{word} is shown {ours[word]}, printed {theirs[word]} times"
        for word in ours | theirs
        if ours[word] != theirs[word]
    ]


def numbers(text: str) -> list[float]:
    """Return the numbers in a text, sorted."""
    return sorted(float(number) for number in re.findall(r"(?<![\w.-])-?\d+(?:\.\d+)?(?![\w.])", text))


def problems(page: str, directory: Path, environment: Mapping[str, str] | None = None) -> list[str]:
    """Run the commands of a page; return in what they print something else than the page shows.

    The words must be the same, and three of four numbers within 5 %: others are times, or hang on the last digits.
    """
    found = []
    for shown, done in zip(steps(page), run(page, directory, environment), strict=True):
        found += [f"{shown.command}{each}" for each in differences(shown.printed, done.printed)]
        pairs = list(zip(numbers(shown.printed), numbers(done.printed), strict=False))
        if sum(abs(one - other) <= 0.05 * abs(one) for one, other in pairs) < 0.75 * len(pairs):
            found.append(f"{shown.command}prints other numbers:\n{done.printed}")
    return found


def write(file: Path) -> None:
    """Run the commands of a page and write what they print into it, and the pictures that it shows beside it."""
    page = file.read_text()
    with tempfile.TemporaryDirectory() as directory:
        printed = run(page, Path(directory))

        def anew(session: re.Match[str]) -> str:
            fresh = (next(printed) for _ in COMMAND.finditer(session[1]))
            return "```console\n" + "".join(f"$ {step.command}{step.printed}" for step in fresh) + "```"

        file.write_text(SESSION.sub(anew, page))
        for picture in Path(directory).glob("*.png"):
            if f"]({picture.name})" in page:
                shutil.copy(picture, file.parent)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        write(Path(name))
        print(name)
