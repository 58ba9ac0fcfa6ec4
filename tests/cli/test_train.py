import os
import re
import subprocess
import zipfile

import numpy as np
import pytest
import yaml

import molecules
from conftest import qm7_path, within
from qm7cli.data.dataset import PUBLISHED_SIZE


@pytest.fixture
def train(command, quick_flags):
    """Runs a quick training into `run`, with more arguments."""

    def run(*args, **kwargs):
        return command("train", "--out", "run", *quick_flags, *args, **kwargs)

    return run


def results(directory):
    return yaml.safe_load((directory / "results.yaml").read_text())


def test_all_folds_are_trained_and_the_tree_of_files_is_as_documented(train, tmp_path):
    done = train("--variant", "corrected", "--jobs", "2")
    run = tmp_path / "run"
    files = sorted(str(path.relative_to(run)) for path in run.rglob("*") if path.is_file() and path.name[0] != ".")
    per_fold = ["checkpoint.npz", "history.csv", "model.npz", "predictions.csv", "result.yaml"]
    assert files == sorted(
        ["config.yaml", "results.yaml", *(f"fold-{k}/{name}" for k in range(5) for name in per_fold)]
    )
    assert results(run)["status"] == "complete"
    assert results(run)["variant"] == "corrected"
    lines = done.stdout.splitlines()
    assert re.split(r"  +", lines[0]) == ["fold", "test MAE", "test RMSE", "train MAE", "train RMSE", "minutes"]
    mae = results(run)["mae"]
    assert [line.split()[:2] for line in lines[1:6]] == [
        [str(fold["fold"]), f"{fold['mae']:.2f}"] for fold in results(run)["folds"]
    ]
    assert lines[6].startswith("mean")
    assert f"{mae['mean']:.2f} +- {mae['std']:.2f}" in lines[6]
    assert lines[7:] == ["MAE and RMSE in kcal/mol; status: complete; iterations: 300", "run/results.yaml"]


def test_progress_goes_to_standard_error_as_plain_lines_and_quiet_leaves_it_out(train):
    line = r"fold 0: iteration 200 of 300, \d+/s, \d+ s left, test MAE \d+\.\d\d kcal/mol$"
    assert re.match(line, train("--fold", "0").stderr.splitlines()[1])
    assert train("--fold", "1", "--quiet").stderr == ""


def test_the_default_directory_tells_the_settings(command, quick_flags, tmp_path):
    done = command("train", "--fold", "0", *quick_flags, "--split", "random", "--iterations", "5")
    name = "runs/small-original-seed0-split.scheme=random-network.hidden=20,10-evaluation.draws=3"
    assert done.stdout.splitlines()[-1] == f"{name}/results.yaml"
    assert (tmp_path / name / "results.yaml").exists()


def test_print_config_prints_what_would_run_and_runs_nothing(command, tmp_path):
    done = command(
        "train", "--print-config", "--variant", "no-prebias", "--fold", "3", "--fold", "1", "--set", "seed=4"
    )
    config = yaml.safe_load(done.stdout)
    assert (config["variant"], config["seed"], config["split"]["folds"]) == ("no-prebias", 4, [3, 1])
    assert list(tmp_path.iterdir()) == []


def test_another_configuration_is_refused_unless_overwritten(train, tmp_path):
    train("--fold", "0")
    before = (tmp_path / "run/results.yaml").read_text()
    done = train("--fold", "1", "--seed", "1", status=1)
    assert done.stderr == (
        "qm7: run was trained with other settings (seed differs); choose another --out, or --overwrite it\n"
    )
    assert (tmp_path / "run/results.yaml").read_text() == before
    train("--fold", "1", "--seed", "1", "--overwrite")
    assert [fold["fold"] for fold in results(tmp_path / "run")["folds"]] == [1]


def test_divergence_ends_that_fold_alone_with_a_sentence(train, tmp_path):
    done = train("--fold", "0", "--fold", "1", "--set", "training.schedule=[[1, 1e3]]", "--jobs", "2", status=1)
    sentences = done.stderr.splitlines()[-2:]
    assert all(re.match(r"qm7: fold \d diverged at iteration \d+ \(rate 1000\)$", s) for s in sentences)
    assert results(tmp_path / "run")["status"] == "diverged"
    assert len(results(tmp_path / "run")["folds"]) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--fold", "5"], "there is no fold 5: this split has the folds 0 to 4"),
        (["--config", "none.yaml"], "cannot read none.yaml: No such file or directory"),
        (["--config", "."], "cannot read .: Is a directory"),
        (["--config", "fifo"], "cannot read fifo: it is a pipe or a device; put its content into a file and name that"),
        (["--config", "/dev/zero"], "cannot read /dev/zero: it is a pipe or a device"),
        (["--data", "none.mat"], "no data set: looked at none.mat, which does not exist"),
        (["--out", "file"], "file is a file, not a directory"),
        (["--out", "file/run"], "cannot make the directory file/run: Not a directory"),
        (["--out", "thesis"], "thesis is a directory with other files, not a run; choose another --out"),
        (["--set", "split.count=100", "--split", "random"], "split.count is 100, but there are only 60 molecules"),
    ],
)
def test_bad_input_is_one_sentence_and_leaves_everything_as_it_was(command, tmp_path, arguments, message):
    (tmp_path / "file").write_text("")
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis/chapter.tex").write_text("")
    before = sorted(tmp_path.rglob("*"))
    with within(60):
        done = command("train", *arguments, status=1)
    assert done.stdout == ""
    assert done.stderr.startswith(f"qm7: {message}")
    assert done.stderr.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--variant", "corect"],
            'variant is "corect", not one of original, corrected, no-prebias, uncompensated; did you',
        ),
        (["--split", "randon"], 'split.scheme is "randon"'),
        (["--set", 'split.scheme="a\\0.yaml"'], "--set split.scheme: split.scheme is "),
        (["--iterations", "0"], "training.iterations is 0, but should be greater than or equal to 1"),
        (["--set", "seed"], '--set "seed": write KEY=VALUE'),
        (["--set", "sead=1"], '--set sead: unknown key sead; did you mean "seed"?'),
        (["--set", "seed=["], "--set seed, line 1: this is not YAML"),
        (["--set", "baseline.kernel=gaussian"], "--set baseline.kernel: baseline.kernel is "),
        (["--seed", "1:30"], "Invalid value for '--seed': 1:30 is not a whole number"),
    ],
)
def test_options_that_cannot_be_are_wrong_usage(command, tmp_path, arguments, message):
    done = command("train", *arguments, status=2)
    assert done.stdout == ""
    assert done.stderr.startswith(f"qm7: {message}")
    assert done.stderr.endswith(" (see qm7 train --help)\n")
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_data_file_of_the_published_size_with_other_bytes_is_noted(train, tmp_path):
    variables, path = molecules.variables(), tmp_path / "odd\x07.npz"
    np.savez(path, **{name: variables[name] for name in "ZRP"}, T=variables["T"][0])
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("more", b"")
    missing = PUBLISHED_SIZE - path.stat().st_size
    np.savez(path, **{name: variables[name] for name in "ZRP"}, T=variables["T"][0])
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("more", bytes(missing))
    done = train("--data", path.name, "--fold", "0", "--quiet")
    assert re.fullmatch(
        r"odd\\x07.npz has the published file's size but not its SHA-256 \(\w{12}..., not fd6c26c10868...\), "
        r"so it may be damaged: qm7 download --force fetches it again\n",
        done.stderr,
    )


def test_a_damaged_checkpoint_is_one_sentence_and_the_other_folds_go_on(train, tmp_path):
    train("--fold", "0")
    checkpoint = tmp_path / "run/fold-0/checkpoint.npz"
    checkpoint.write_bytes(checkpoint.read_bytes()[:5000])
    done = train("--fold", "0", "--fold", "1", "--iterations", "400", status=1)
    assert re.search(r"^qm7: run/fold-0/checkpoint.npz is damaged: ", done.stderr, re.MULTILINE)
    assert [fold["iterations"] for fold in results(tmp_path / "run")["folds"]] == [300, 400]


def test_on_a_terminal_there_are_bars_and_lines_and_no_colour_when_asked(tmp_path, mat, quick_flags):
    script = [
        "script",
        "-qec",
        " ".join([qm7_path(), "train --fold 0 --out run", *map(_quoted, quick_flags)]),
        "/dev/null",
    ]
    shown = [
        subprocess.run(
            script,
            cwd=tmp_path,
            env={"QM7_DATA": str(mat), "TERM": "xterm-256color", "COLUMNS": "100", "PATH": "/usr/bin:/bin", **extra},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        ).stdout
        for extra in ({}, {"NO_COLOR": "1"})
    ]
    assert "fold 0 ━" in re.sub(r"\x1b\[[0-9;]*m", "", shown[0])
    colour = re.compile(r"\x1b\[[0-9;]*3[0-9][;m]")
    assert colour.search(shown[0])
    assert not colour.search(shown[1])


def _quoted(argument):
    return f"'{argument}'"
