import re
import resource
import subprocess
import sys

import pytest

import qm7cli
from conftest import qm7_path

GROUPS = {
    "Data": ["download", "info", "split", "augment", "convert"],
    "Training": ["train", "baseline", "sweep", "experiments"],
    "Results": ["status", "collect", "compare", "plot", "report", "clean"],
    "Models": ["predict", "eval", "centering", "gradcheck"],
}
COMMANDS = [name for group in GROUPS.values() for name in group]
READERS = {"collect", "compare", "plot", "report", "status", "clean", "experiments"}  # they need no data set


def test_the_version_is_that_of_the_package(command):
    assert command("--version").stdout == f"qm7 {qm7cli.__version__}\n"


def test_without_a_command_the_help_lists_them(command):
    assert command().stdout == command("--help").stdout
    assert "--debug" in command().stdout
    listed = {}
    for line in command().stdout.splitlines():
        if heading := re.fullmatch(r"([A-Z]\w+):", line):
            listed[heading[1]] = []
        elif entry := re.match(r"  (\w+)  ", line):
            listed[heading_of(listed)].append(entry[1])
    assert {name: listed[name] for name in GROUPS} == GROUPS


def heading_of(listed):
    return list(listed)[-1]


def test_the_list_of_commands_cuts_no_description_at_80_columns(command):
    listed = " ".join(command("--help", COLUMNS="80").stdout.split())
    assert "..." not in listed.partition("Data:")[2]
    for name in COMMANDS:
        description = command(name, "--help").stdout.split("\n\n")[1]
        assert f"{name} {' '.join(description.split()).partition('. ')[0].rstrip('.')}" in listed


def test_the_help_answers_in_a_third_of_a_second_of_work():
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([qm7_path(), "--help"], capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.3


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_each_command_has_an_example_and_the_common_options(command, name):
    text = command(name, "--help").stdout
    assert re.search(rf"Example: qm7 {name} ", text)
    assert ("--data" in text) == (name not in {"download", "predict", "convert"} | READERS)
    assert ("--quiet" in text) == (name not in {"split", "gradcheck", "centering"} | READERS)  # which say nothing else


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trian"], "trian"),
        (["train", "--iteration", "5"], "--iteration"),
        (["train", "--fold", "one"], "'--fold'"),
        (["train", "--jobs", "0"], "'--jobs'"),
        (["train", "surplus"], "surplus"),
        (["predict", "run"], "FILE"),
        (["convert", "x.xyz", "--output", "x.npz"], "'--energy-key'"),
        (["augment"], "'--output'"),
        (["augment", "--output", "x.npz", "--part", "all"], "'--part'"),
        (["augment", "--output", "x.npz", "--noise", "-1"], "'--noise'"),
        (["split", "folds.yaml"], "folds.yaml"),
        (["eval", "run", "--format", "xml"], "'--format'"),
        (["eval", "run", "--draws", "9223372036854775808"], "'--draws'"),
        (["predict", "run", "x.xyz", "--draws", "1" + 32 * "0"], "'--draws'"),
        (["predict", "run", "x.xyz", "--draws", "1000001"], "'--draws'"),
        (["train", "--set", "evaluation.draws=1000001"], "evaluation.draws is 1000001, but should be less than"),
        (["train", "--set", "split.count=10"], "split.count is 10, but it is for stratified and random"),
        (["compare", "run", "--format", "xml"], "'--format'"),
        (["sweep"], "FILE"),
        (["sweep", "x.yaml", "--executor", "slurm"], "'--executor'"),
        (["plot", "run", "--kind", "pie", "--output", "x.png"], "'--kind'"),
        (["report", "run"], "'--output'"),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(command, arguments, message):
    done = command(*arguments, status=2)
    assert done.stdout == ""
    assert done.stderr.startswith("qm7: ")
    assert done.stderr.count("\n") == 1
    assert message in done.stderr
    name = f"{arguments[0]} " if arguments[0] in COMMANDS else ""
    assert done.stderr.endswith(f" (see qm7 {name}--help)\n")


@pytest.mark.parametrize(
    ("arguments", "suggestion"),
    [
        (["train", "--iteration", "5"], '; did you mean "--iterations"?'),
        (["train", "--lr", "0.1"], '; did you mean "--set training.schedule=..."?'),
        (["sweep", "x.yaml", "--learning-rate=0.1"], '; did you mean "--set training.schedule=..."?'),
        (["train", "--batch-size", "5"], '; did you mean "--set training.batch_size=..."?'),
        (["train", "--rate", "5"], ""),
        (["train", "--epochs", "5"], ""),
        (["train", "--url", "5"], ""),
        (["train", "-x"], ""),
        (["eval", "--lr", "5"], ""),
        (["--lr"], ""),
        (["compare", "run", "--baseline", "x"], '; did you mean "--reference"?'),
        (["report", "run", "--baseline=x"], '; did you mean "--reference"?'),
        (["centering", "run", "--picture", "x.png"], '; did you mean "--plot"?'),
        (["eval", "--picture", "x.png"], ""),
    ],
)
def test_an_unknown_option_is_answered_with_what_is_close_to_it_if_anything_is(command, arguments, suggestion):
    name = arguments[0] if arguments[0] in COMMANDS else ""
    option = next(part.partition("=")[0] for part in arguments if part.startswith("-"))
    done = command(*arguments, status=2)
    assert done.stderr == f"qm7: No such option: {option}{suggestion} (see qm7 {name} --help)\n".replace("  ", " ")


def test_help_imports_nothing_heavy():
    program = (
        "import sys; sys.argv = ['qm7', '--help']; import qm7cli.__main__\n"
        "try: qm7cli.__main__.main()\n"
        "finally: assert not {'numpy', 'scipy', 'pydantic', 'yaml', 'rich'} & sys.modules.keys()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert "Training:" in done.stdout


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("trian", "train"),
        ("Status", "status"),
        ("plot --kind curvs --output x.png", "curves"),
        ("train --variant orignal", "original"),
        ("--cite bibtx", "bibtex"),
        ("train quick.yaml", "--config quick.yaml"),
        ("train quick", "--config quick"),
        ("train mine/settings.yaml", "--config mine/settings.yaml"),
        ("train corrected", "--variant corrected"),
        ("baseline gfn7", "--data gfn7"),
        ("train variants", "qm7 sweep variants"),
        ("experiments quik", "quick"),
        ("train --set training.iteration=5", "iterations"),
        ("train --split publishd", "published"),
    ],
)
def test_a_slip_is_answered_with_what_was_meant(command, line, meant):
    done = command(*line.split(), status=2)
    assert f'; did you mean "{meant}"? (see qm7' in done.stderr
    assert "." not in done.stderr.partition(";")[0][-1:]


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("train --config quik", "quick"),
        ("train --config experiments/quick.yaml", "quick"),
        ("sweep varants", "variants"),
        ("sweep my-swep.yaml", "my-sweep.yaml"),
        ("info --data gnf7", "gfn7"),
        ("collect my-rn", "my-run"),
        ("split --scheme fold.yaml", "folds.yaml"),
    ],
)
def test_a_path_that_is_not_there_is_answered_with_what_is_close(command, tmp_path, line, meant):
    (tmp_path / "my-run").mkdir()
    for name in ("my-sweep.yaml", "folds.yaml"):
        (tmp_path / name).touch()
    assert command(*line.split(), status=1).stderr.endswith(f'; did you mean "{meant}"?\n')


@pytest.mark.parametrize("line", ["frobnicate", "train frobnicate", "train --kind pie", "sweep x.yaml frobnicate"])
def test_what_is_close_to_nothing_gets_no_guess(command, line):
    assert "did you mean" not in command(*line.split(), status=2).stderr


def test_the_package_is_the_program_too():
    called = (
        subprocess.run([*program, "trian"], capture_output=True, text=True, check=False)
        for program in ([sys.executable, "-m", "qm7cli"], [qm7_path()])
    )
    ours, theirs = ((done.returncode, done.stdout, done.stderr) for done in called)
    assert ours == theirs
    assert ours[0] == 2
