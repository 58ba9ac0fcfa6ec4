"""Every command's table on 80 columns, piped and on a terminal."""

import re
import shutil
import subprocess

import pytest

from conftest import QUICK, qm7_path
from qm7cli.runs.access import default_name
from qm7cli.runs.experiment import resolve
from qm7cli.training.train_run import train_run

SETTINGS = ("encoding.noise=0.5", *QUICK[:1], *QUICK[-1:])  # that the names of runs tell


@pytest.fixture(scope="module")
def trained(once, small):
    """Runs of two variants on all folds, under their default names, and a baseline; to be read only."""

    def make(path):
        for flags in ({"variant": "corrected"}, {"variant": "no-prebias"}, {"baseline.model": "linear"}):
            settings = () if "baseline.model" in flags else ("training.iterations=10", *SETTINGS)
            experiment = resolve(None, settings, flags)
            where = "table1" if "baseline.model" in flags else "variants"
            train_run(experiment, small, path / "runs" / where / default_name(experiment, small.name))
        (path / "sweep.yaml").write_text(
            "grid: {variant: [original, no-prebias], network.hidden: [[20, 10], [400, 100, 30]]}"
        )

    return once("tables", make)


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize(
    "line",
    [
        "info",
        "info --data gfn7",
        "split",
        "train --iterations 20 --set network.hidden=[20,10] --quiet",
        "train --iterations 20 --set network.hidden=[20,10] --fold 0 --quiet",
        "baseline --model linear --quiet",
        "sweep sweep.yaml --dry-run",
        "sweep sweep.yaml --dry-run --set encoding.noise=0.5 --set training.averaging=0.125",
        "eval --quiet",
        "eval runs/variants --part both --quiet",
        "eval --part both --fold 0 --quiet",
        "collect",
        "collect runs/variants",
        "centering --fold 0",
        "centering runs/variants/*corrected*",
        "gradcheck",
    ],
)
def test_the_table_fits_80_columns_and_units_are_not_over_names(trained, mat, tmp_path, line, terminal):
    place = tmp_path / "place"
    shutil.copytree(trained, place)
    words = f"stty cols 80 2> /dev/null; exec {qm7_path()} {line} 2> /dev/null"
    done = subprocess.run(
        ["script", "-qec", words, "/dev/null"] if terminal else ["bash", "-c", words],
        cwd=place,
        env={"QM7_DATA": str(mat), "PATH": "/usr/bin:/bin", "TERM": "xterm", "HOME": "/"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", done.stdout).splitlines()
    assert lines
    paths = [line for line in lines if re.fullmatch(r"\S*/\S*", line)]  # may be longer, and are not broken
    assert max(len(line) for line in lines if line not in paths) <= 80
    assert not lines[0].startswith("kcal/mol")
    assert ("─" * 30 in done.stdout) <= terminal
