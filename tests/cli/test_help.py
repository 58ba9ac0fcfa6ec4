import re
import resource
import subprocess
import sys
from pathlib import Path

import make_reference
import pytest
import yaml
from typer.main import get_command

import qm7cli
from conftest import qm7_path
from qm7cli.cli import main
from qm7cli.cli.main import COMMANDS
from qm7cli.cli.options import complete_variants
from qm7cli.model.variants import RULES

ROOT = Path(__file__).parents[2]


def test_the_version_is_that_of_the_package(command):
    assert command("--version").stdout == command("-V").stdout == f"qm7 {qm7cli.__version__}\n"
    if (ROOT / ".git").exists():
        commit = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=ROOT, text=True)[:12]
        assert f"+g{commit}" in qm7cli.__version__


def test_help_is_a_command_too(command):
    assert command("help").stdout == command("--help").stdout
    assert command("help", "import").stdout == command("import", "--help").stdout
    assert "Did you mean 'train'?" in command("help", "trian", status=2).stderr


def test_the_help_names_the_rules_also_one_s_own(command, monkeypatch):
    monkeypatch.setitem(RULES, "half-speed", RULES["original"])
    for name in ("train", "gradcheck"):
        told = " ".join(command(name, "--help").stdout.split())
        assert ": original, corrected, no-prebias, uncompensated, half-speed. [default: " in told
    assert complete_variants()[-1] == "half-speed"
    assert "uncompensated, half-speed; did" in command("train", "--variant", "half-sped", status=2).stderr


def test_without_a_command_the_help_lists_them_with_the_first_sentence_of_their_own(command):
    text = command(COLUMNS="80").stdout
    assert text == command("--help", COLUMNS="80").stdout
    listed = " ".join(text.split())
    assert "--debug" in listed
    for name in COMMANDS:
        description = command(name, "--help").stdout.split("\n\n")[1]
        assert f"{name} {' '.join(description.split())} " in f"{listed} "


@pytest.mark.parametrize("name", COMMANDS)
def test_a_help_has_examples_all_choices_and_short_paragraphs_and_sentences_in_80_columns(command, name):
    text, params = command(name, "--help", COLUMNS="80").stdout, get_command(main.app).commands[name].params
    blocks = re.split(r"\n\n(?=Arguments|Options)", text)[0].split("\n\n")[1:]
    (examples,) = [block for block in blocks if block.startswith("  Examples:\n")]
    assert f"\n    qm7 {name} " in f"{examples} ".replace("\n", " \n")
    assert examples.count("\n    qm7 ") >= 2
    prose = [block for block in blocks if not re.match("  [A-Z][\\w ]*:\n", block)]
    assert max(len(line) for line in text.splitlines()) <= 80
    assert max(block.count("\n") for block in prose) < 3
    sentences = re.split(r"\.\s|\[", "\n".join([*prose, *(each.help for each in params)]))
    assert max(len(sentence.split()) for sentence in sentences) <= 30
    choices = [choice for each in params for choice in make_reference._choices(each.type_descriptor.annotation)]
    assert [choice for choice in choices if not re.search(rf"[\s(]{choice}\b", text)] == []


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


@pytest.mark.parametrize(("line", "message"), [
    ("train --fold one", "'--fold'"),
    ("convert x.xyz --output x.npz", "'--energy-key'"),
    ("train --set network.hidden=800,200", 'network.hidden is "800,200": write [800,200]'),
    ("train --set seed", '--set "seed": write KEY=VALUE'),
    ("train --seed 1:30", "Invalid value for '--seed': 1:30 is not a whole number"),
    ("split --output folds.npz", "--output folds.npz: the name of a split file must end in .yaml"),
    ("compare run --margin 0", "Invalid value for '--margin': 0 is not a number of kcal/mol above 0"),
    ("augment --output x.npz --split random", "--split needs --fold"),
    ("convert x.xyz --energy-key e --output x.xyz", "the name of a data set file must end in .npz"),
    ("sweep", "name a sweep file, or give --grid KEY=VALUE,VALUE"),
    ("sweep --grid seed", '--grid "seed": write each KEY once, as in --grid seed=0,1,2'),
    ("sweep --grid seed=[1", "--grid seed, line 2: this is not YAML"),
    ("sweep --grid seed=1 --grid seed=2", '--grid "seed=2": write each KEY once'),
    ("sweep --grid sead=1", '--grid, the point sead=1: unknown key sead; did you mean "seed"?'),
    ("sweep --grid seed=1,2 --set seed=3", "--grid sweeps seed, so it cannot be given as well"),
    ("predict --run run", "no molecules: name a FILE of molecules, or give --smiles"),
    ("sweep x.yaml --executor dask", "--executor dask and --scheduler ADDRESS go together"),
    ("trian", "No such command 'trian'. Did you mean 'train'?"),
    ("train --lr 0.1", '; did you mean "--set training.schedule=..."?'),
])  # fmt: skip
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
    home = {"HOME": str(tmp_path / "home")}
    command("train", "--config=~/e.yaml", "--fold", 0, "--iterations", 1, "--quiet", "--out=~/run", **home)
    assert (tmp_path / "home/run/results.yaml").exists()
    assert "60" in command("info", **home, QM7_DATA="~/x.mat").stdout
    assert not (tmp_path / "~").exists()


def test_cite_prints_what_the_citation_file_lists_as_bibtex(command):
    text = command("--cite").stdout
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert f"version {qm7cli.__version__}" in text
    assert text.count("@") == 1 + len(citation["references"])
    for reference in citation["references"]:
        assert f"{{{reference['title']}}}" in text
        assert f"{{{reference['year']}}}" in text
