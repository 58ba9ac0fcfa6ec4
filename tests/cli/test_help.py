import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import qm7cli
from conftest import qm7_path
from qm7cli.cli import main
from qm7cli.cli.main import COMMANDS


def test_the_version_is_that_of_the_package(command):
    assert command("--version").stdout == command("-V").stdout == f"qm7 {qm7cli.__version__}\n"


def test_help_is_a_command_too(command):
    assert command("help").stdout == command("--help").stdout
    assert command("help", "import").stdout == command("import", "--help").stdout
    assert "Did you mean 'train'?" in command("help", "trian", status=2).stderr


def test_without_a_command_the_help_lists_them_and_cuts_no_description_at_80_columns(command):
    text = command(COLUMNS="80").stdout
    assert text == command("--help", COLUMNS="80").stdout
    listed = " ".join(text.split())
    assert "--debug" in listed
    for name in COMMANDS:
        description = command(name, "--help").stdout.split("\n\n")[1]
        assert f"{name} {' '.join(description.split()).partition('. ')[0].rstrip('.')}" in listed


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_each_command_has_an_example(command, name):
    assert re.search(rf"Example: qm7 {name}\b", command(name, "--help").stdout)


def test_the_help_imports_nothing_heavy_and_answers_in_a_third_of_a_second_of_work():
    program = (
        "import sys; sys.argv = ['qm7', '--help']; import qm7cli.__main__\n"
        "try: qm7cli.__main__.main()\n"
        "finally: assert not {'numpy', 'scipy', 'pydantic', 'yaml', 'rich'} & sys.modules.keys()"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.stderr == ""
    assert "Training:" in done.stdout
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.3


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("train --fold one", "'--fold'"),
        ("convert x.xyz --output x.npz", "'--energy-key'"),
        ("augment --output x.npz --part all", "'--part'"),
        ("eval run --draws 9223372036854775808", "'--draws'"),
        ("train --set split.count=10", "split.count is 10, but it is for stratified and random"),
        ("train --set network.hidden=800,200", 'network.hidden is "800,200": write [800,200]'),
        ("train --set seed=many", 'seed is "many": write a whole number, as 20'),
        ("train --set seed", '--set "seed": write KEY=VALUE'),
        ("train --set sead=1", '--set sead: unknown key sead; did you mean "seed"?'),
        ("train --set baseline.kernel=gaussian", "--set baseline.kernel: baseline.kernel is "),
        ("train --seed 1:30", "Invalid value for '--seed': 1:30 is not a whole number"),
        ("split --scheme stratifed", 'split.scheme is "stratifed", but it should be published, '),
        ("split --output folds.npz", "--output folds.npz: the name of a split file must end in .yaml"),
        ("baseline --model mean --ridge 1", "baseline.ridge is 1.0, but mean takes none"),
        ("download --sha256 abc123", "abc123 is neither any nor 64 hexadecimal digits"),
        ("compare run --margin 0", "Invalid value for '--margin': 0 is not a number of kcal/mol above 0"),
        ("compare run --margin nan", "nan is not a number of kcal/mol above 0"),
        ("augment --output x.npz --split random", "--split needs --fold"),
        ("convert x.xyz --energy-key e --output x.xyz", "the name of a data set file must end in .npz"),
        ("sweep", "FILE"),
        ("predict --run run", "no molecules: name a FILE of molecules, or give --smiles"),
        ("sweep x.yaml --executor dask", "--executor dask and --scheduler ADDRESS go together"),
        ("sweep x.yaml --executor dask --scheduler tcp://h:1 --jobs 2", "--jobs is for processes"),
        ("gradcheck --variant x", "--variant is x, not one of original, "),
        ("trian", "No such command 'trian'. Did you mean 'train'?"),
        ("train --iteration 5", 'No such option: --iteration; did you mean "--iterations"?'),
        ("train --lr 0.1", '; did you mean "--set training.schedule=..."?'),
        ("train --batch-size 5", '; did you mean "--set training.batch_size=..."?'),
        ("train --set training.iteration=5", '; did you mean "iterations"?'),
        ("eval --lr 5", "No such option: --lr (see"),
    ],
)
def test_wrong_usage_is_one_line_that_asks_what_was_meant_and_status_2(command, tmp_path, line, message):
    done = command(*line.split(), status=2)
    assert done.stdout == ""
    assert done.stderr.startswith("qm7: ")
    assert done.stderr.count("\n") == 1
    assert message in done.stderr
    assert not list(tmp_path.iterdir())
    name = line.split()[0]
    assert done.stderr.endswith(f" (see qm7 {f'{name} ' if name in COMMANDS else ''}--help)\n")


def test_the_package_the_command_and_the_process_of_the_tests_are_the_same_program(command):
    here = command("trian", status=2)
    for program in ([sys.executable, "-m", "qm7cli"], [qm7_path()]):
        done = subprocess.run([*program, "trian"], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (here.returncode, here.stdout, here.stderr)


def test_a_bug_is_not_taken_for_a_shortage_and_told_in_a_sentence(monkeypatch):
    def fail(*_):
        raise RuntimeError("list changed during iteration")

    monkeypatch.setattr("qm7cli.data.soundness.describe", fail)
    with pytest.raises(RuntimeError, match="list changed"):
        main.run(["info", "--data", "gfn7"])


def test_the_tilde_is_the_home_directory_in_options_settings_and_the_environment(command, mat, tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home/x.mat").write_bytes(mat.read_bytes())
    (tmp_path / "home/e.yaml").write_text("{data: ~/x.mat, network: {hidden: [2]}}")
    home, short = {"HOME": str(tmp_path / "home")}, ("--fold", 0, "--iterations", 1, "--quiet", "--out=~/run")
    command("train", "--config=~/e.yaml", *short, **home)
    command("train", "--config=~/e.yaml", *short, "--data", "~/x.mat", **home)
    assert (tmp_path / "home/run/results.yaml").exists()
    assert "60" in command("info", **home, QM7_DATA="~/x.mat").stdout
    command("split", "--output=~/f.yaml", **home)
    assert "12" in command("split", "--scheme=~/f.yaml", **home).stdout
    assert not (tmp_path / "~").exists()


def test_cite_prints_what_the_citation_file_lists_as_bibtex(command):
    text = command("--cite").stdout
    citation = yaml.safe_load((Path(__file__).parents[2] / "CITATION.cff").read_text())
    assert f"version {qm7cli.__version__}" in text
    assert citation["version"] == qm7cli.__version__
    assert text.count("@") == 1 + len(citation["references"])
    for reference in citation["references"]:
        assert f"{{{reference['title']}}}" in text
        assert f"{{{reference['year']}}}" in text
