"""The program `qm7`: its commands, its options for all of them, and its exit status."""

import inspect
import io
import os
import re
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from importlib.resources import files
from typing import Annotated, Any, Final

import typer
from typer.core import TyperCommand, TyperGroup

import qm7cli
from qm7cli.cli.augment import augment
from qm7cli.cli.baseline import baseline
from qm7cli.cli.centering import centering
from qm7cli.cli.collect import collect
from qm7cli.cli.compare import compare
from qm7cli.cli.convert import convert
from qm7cli.cli.download import download
from qm7cli.cli.eval import evaluate
from qm7cli.cli.experiments import experiments
from qm7cli.cli.gradcheck import gradcheck
from qm7cli.cli.import_ import import_
from qm7cli.cli.info import info
from qm7cli.cli.options import complete_variants
from qm7cli.cli.output import SHOW_TRACEBACKS, note, print_error, print_traceback
from qm7cli.cli.plot import plot
from qm7cli.cli.predict import predict
from qm7cli.cli.report import report
from qm7cli.cli.split import split
from qm7cli.cli.status import status
from qm7cli.cli.sweep import sweep
from qm7cli.cli.train import train
from qm7cli.core.errors import QM7Error, UsageError, notices_to, shortage
from qm7cli.core.signals import SIGNALS

GROUPS: Final[dict[str, dict[str, Callable[..., None]]]] = {  # of commands, by what they are about
    "Data": {"download": download, "info": info, "split": split, "augment": augment, "convert": convert},
    "Training": {"train": train, "baseline": baseline, "import": import_, "sweep": sweep, "experiments": experiments},
    "Results": {"status": status, "collect": collect, "compare": compare, "plot": plot, "report": report},
    "Models": {"predict": predict, "eval": evaluate, "centering": centering, "gradcheck": gradcheck},
}
COMMANDS: Final = {name: command for group in GROUPS.values() for name, command in group.items()}
PAGES: Final = {  # of docs/, each with the commands whose help names it
    "data": "download info split convert train", "python": "augment", "benchmarks": "baseline", "files": "status",
    "results": "import compare eval", "sweeps": "sweep experiments collect plot report", "predict": "predict",
    "centering": "centering", "own-rule": "gradcheck", "tutorial": "",
}  # fmt: skip


class _Group(TyperGroup):
    """Lists the commands by what they are about, and cuts none of their descriptions."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the list of commands."""
        del ctx
        width = max(map(len, self.commands))
        for heading, names in GROUPS.items():
            with formatter.section(heading):
                formatter.write_dl(
                    [(name.ljust(width), self.commands[name].get_short_help_str(limit=500)) for name in names]
                )


class _Command(TyperCommand):
    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return what stands behind the command: ``FILE``, where Typer has ``{FILE}``."""
        return [piece.replace("{", "").replace("}", "") for piece in super().collect_usage_pieces(ctx)]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the list of options, with the names of the rules, which are imported for that alone.

        Types, choices and ranges are not repeated as ``<list[Path]>``, ``<a|b>`` and ``[x>=0]``: sentences say them.
        """
        params: list[Any] = self.params
        for each in params:
            each.min = each.max = None
            each.metavar = each.metavar or each.name.rstrip("_").rpartition("_")[2].upper()
            each.help = each.help.replace(" [default", "  [default")  # as Typer's own
            if each.name == "variant":
                each.help = each.help.replace("RULES", ", ".join(complete_variants()))
            if each.param_type_name == "argument":
                each.display_type_rich = lambda ctx: ""  # noqa: ARG005
        super().format_options(ctx, formatter)


def _help(command: Callable[..., None], name: str = "") -> str:
    """Return the docstring of a command, whose lines stay as they are under headings, and the page that has more."""
    page = next(page for page, names in PAGES.items() if name in names.split(" "))
    text = f"{inspect.getdoc(command)}\n\nMore: docs/{page}.md"
    return re.sub(r"\n\n(?=[A-Z][\w ]*:\n)", "\n\n\b\n", text)  # as click wants it


# Plain help and usage errors in one line, without rich's frames: they are read in logs too.
app = typer.Typer(cls=_Group, rich_markup_mode=None, context_settings={"help_option_names": ["-h", "--help"]})
for name, command in COMMANDS.items():
    app.command(name, cls=_Command, help=_help(command, name))(command)


def _qm7(
    version: Annotated[bool, typer.Option("--version", "-V", help="Print the version.")] = False,
    cite: Annotated[bool, typer.Option("--cite", help="Print what to cite, as BibTeX.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Predict atomization energies, and train and compare models on QM7.

    Examples:
      qm7 predict --smiles CCO
      qm7 train --data gfn7 --fold 0 --iterations 1000
      qm7 help train
    """
    del debug  # `run` takes it, which may also stand after the command
    if version:
        print(f"qm7 {qm7cli.__version__}")
    if cite:
        text = files("qm7cli").joinpath("data/bundled/qm7cli.bib").read_text(encoding="utf-8")
        print(text.replace("VERSION", qm7cli.__version__, 1), end="")
    if version or cite:
        raise typer.Exit


app.callback(invoke_without_command=True, help=_help(_qm7))(_qm7)


def _sentence(error: Any) -> str:
    if hasattr(error, "possibilities"):  # there is no such option
        from qm7cli.core.validation import option_suggestion
        from qm7cli.runs.experiment import Experiment

        known = [option for each in error.ctx.command.params for option in each.opts if option.startswith("--")]
        return f"{error.message.rstrip('.')}{option_suggestion(error.option_name, known, Experiment)}"
    if isinstance(error, typer.TyperException):
        return error.format_message()
    if isinstance(error, OSError):
        return f"{error.filename or 'standard output'}: {error.strerror or error}"
    return shortage(error) or str(error)


def main() -> None:
    """Run the command line in a process of its own: streams are writable, and signals end it so that it tidies up."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # more are not used, and cost a fifth of a second to start
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # as for names that a terminal cannot show
    for number in SIGNALS:
        if number != signal.SIGINT and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda number, _: sys.exit(128 + number))
    if "_QM7_COMPLETE" in os.environ:  # a shell asks what completes a command line, and Typer answers and exits
        app(prog_name="qm7")
    status = run(sys.argv[1:])
    try:
        sys.stdout.flush()
    except OSError:  # it must not fail again at the exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.exit(status)


def _expand_home(argument: str) -> str:
    """Expand a ``~`` at the beginning of a path; no shell does so in ``--out=~/runs/a``."""
    option, equals, value = argument.partition("=") if argument.startswith("--") else ("", "", argument)
    return option + equals + os.path.expanduser(value)  # noqa: PTH111 - which may be no path


def run(argv: Sequence[str]) -> int:
    """Run the command line, without the program's name, and return its exit status: an error's own, 2 for wrong usage.

    With --debug, before the command or after it, the traceback of an error is printed.
    """
    end = argv.index("--") if "--" in argv else len(argv)
    arguments = [_expand_home(argument) for argument in argv[:end] if argument != "--debug"] + [*argv[end:]]
    if arguments[:1] == ["help"]:
        arguments = [*arguments[1:], "--help"]
    SHOW_TRACEBACKS.set(len(arguments) < len(argv))
    try:
        with notices_to(note):
            ended = app(arguments or ["--help"], prog_name="qm7", standalone_mode=False)
        sys.stdout.flush()
    except SystemExit as end:  # typer's, where a reader such as head has had enough of more than a buffer holds
        return int(end.code or 0)
    except (typer.TyperException, UsageError) as error:
        called = "".join(f" {name}" for name in arguments[:1] if name in COMMANDS)
        print_error(f"{_sentence(error)} (see qm7{called} --help)")
        return 2
    except (QM7Error, MemoryError, OSError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not shortage(error):
            raise
        if SHOW_TRACEBACKS.get():
            print_traceback(traceback.format_exc())
        elif not isinstance(error, BrokenPipeError):  # a reader such as head has had enough
            print_error(_sentence(error))
        return error.exit_status if isinstance(error, QM7Error) else 1
    return int(ended or 0)
