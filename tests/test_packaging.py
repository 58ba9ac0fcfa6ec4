import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from qm7cli.cli.main import COMMANDS as NAMES

ROOT = Path(__file__).parents[1]


NUMBER = r"-?\d+(?:\.\d*)?"
CELL = re.compile(r"```python\n(.*?)```\n(?:\n```text\n(.*?)```\n)?", re.DOTALL)
NOTEBOOK = """
import contextlib, io, json, sys
import qm7cli
assert qm7cli.__file__.startswith(sys.argv[1]), qm7cli.__file__
cells, scope = json.load(sys.stdin), {}
for number, cell in enumerate(cells):
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(cell, f"cell {number}", "exec"), scope)
    print(json.dumps(printed.getvalue()))
"""


@pytest.fixture
def outside(wheel, tmp_path):
    """Runs Python with the package from its wheel, outside the checkout, and returns what it prints."""

    def run(*args, stdin=""):
        environment = {**os.environ, "PYTHONPATH": str(wheel / "site")}
        done = subprocess.run(
            [sys.executable, *args],
            cwd=tmp_path,
            env={name: value for name, value in environment.items() if name != "QM7_DATA"},
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_a_wheel_holds_the_package_alone_and_works_outside_the_checkout(wheel, outside):
    with zipfile.ZipFile(next(wheel.glob("*.whl"))) as archive:
        names = archive.namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"qm7cli"}
    assert any(name.endswith("licenses/LICENSE") for name in names)
    bundled = {name.rpartition("/")[2] for name in names if name.startswith("qm7cli/experiments/")}
    assert bundled == {path.name for path in (ROOT / "experiments").glob("*.yaml")}
    assert "qm7cli/py.typed" in names
    program = "import qm7cli.__main__; print(qm7cli.__file__); qm7cli.__main__.main()"
    printed = outside("-c", program, "info", "--data", "gfn7")
    assert printed.startswith(str(wheel / "site"))
    assert "1933" in printed


def test_the_page_about_python_runs_outside_the_checkout_and_prints_what_it_shows(wheel, outside):
    pytest.importorskip("sklearn")
    cells = CELL.findall((ROOT / "docs" / "python.md").read_text())
    printed = outside(
        "-W",
        "error",
        "-W",
        "default::UserWarning",
        "-c",
        NOTEBOOK,
        str(wheel),
        stdin=json.dumps([code for code, _ in cells]),
    )
    for (code, shown), line in zip(cells, printed.splitlines(), strict=True):
        ours, theirs = json.loads(line), shown
        assert re.sub(NUMBER, "N", ours) == re.sub(NUMBER, "N", theirs), code
        numbers = [[float(number) for number in re.findall(NUMBER, text)] for text in (ours, theirs)]
        assert numbers[0] == pytest.approx(numbers[1], rel=0.02, abs=0.11), code  # digits differ by machine


SHORT = "--data gfn7 --set network.hidden=[20] --set evaluation.draws=2 --iterations 20 --fold 0 --quiet"
COMMANDS = [  # of README, shorter, and all that need no QM7
    "--version",
    "--cite",
    "--cite bibtex",
    "experiments",
    "experiments variants",
    "info --data gfn7",
    "train --config quick --print-config",
    f"train {SHORT} --variant corrected",
    f"train {SHORT} --variant original",
    "sweep variants --data gfn7 --dry-run",
    "baseline --model linear --data gfn7 --fold 0 --quiet",
    "status",
    "eval --data gfn7 --quiet",
    "collect --format csv --output folds.csv",
    "compare runs/gfn7-corrected-seed0-network.hidden=20-evaluation.draws=2",
    "plot --kind curves --output curves.svg runs/gfn7-original-seed0-network.hidden=20-evaluation.draws=2",
    "report --output report.html runs/gfn7-original-seed0-network.hidden=20-evaluation.draws=2",
    "centering --data gfn7 runs/gfn7-original-seed0-network.hidden=20-evaluation.draws=2",
    "gradcheck --data gfn7",
    "split --scheme stratified --data gfn7 --output folds.yaml",
    "augment --split folds.yaml --data gfn7 --fold 0 --draws 1 --output train.npz --quiet",
    "predict runs/gfn7-corrected-seed0-network.hidden=20-evaluation.draws=2 water.xyz --quiet",
    "convert water.xyz --energy-key energy --count 2 --output mine.npz",
    "clean runs --yes",
]


def test_a_wheel_in_a_fresh_environment_does_what_readme_shows_outside_the_checkout(wheel, tmp_path):
    fresh = tmp_path / "fresh"
    venv.create(fresh)
    python = fresh / "bin/python"
    pip = [sys.executable, "-m", "pip", "--python", python]
    install = [*pip, "install", "--quiet", "--no-index", "--no-deps", next(wheel.glob("*.whl"))]
    subprocess.run(install, capture_output=True, check=True)
    packages = sysconfig.get_path("purelib", vars={"base": str(fresh), "platbase": str(fresh)})
    # What the wheel needs is borrowed; the .pth file there that leads to the checkout is not followed from here.
    Path(packages, "borrowed.pth").write_text(sysconfig.get_path("purelib"))
    (tmp_path / "water.xyz").write_text(2 * "3\nenergy=-232.8\nO 0 0 0\nH 0 0 0.95\nH 0 0.95 0\n")
    environment = {name: value for name, value in os.environ.items() if name not in {"QM7_DATA", "PYTHONPATH"}}

    def run(*command):
        return subprocess.run(
            list(map(str, command)), cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )

    assert run(python, "-c", "import qm7cli; print(qm7cli.__file__)").stdout.startswith(str(fresh))
    assert {line.split()[0] for line in COMMANDS} >= NAMES.keys() - {"download"}
    for line in COMMANDS:
        done = run(fresh / "bin/qm7", *line.split())
        assert done.returncode == 0, (line, done.stderr)
        assert "Traceback" not in done.stderr


@pytest.fixture
def make(tmp_path):
    """Says what `make` would do in a new checkout, or one where some files have been made."""
    if not shutil.which("make"):
        pytest.skip("there is no make")
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)

    def plan(target, *made):
        for name in made:
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).touch()
        environment = {name: value for name, value in os.environ.items() if "MAKE" not in name}
        done = subprocess.run(
            ["make", "--dry-run", target], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
        )
        return done.stdout

    return plan


@pytest.mark.parametrize("target", ["run", "bench"])
def test_running_installs_only_what_the_program_needs_and_says_first_how_long_it_takes(make, target):
    lines = make(target).splitlines()
    installed = next(place for place, line in enumerate(lines) if "pip install" in line)
    assert lines[installed].endswith("--editable .")
    assert not any("[dev]" in line for line in lines)
    assert "seconds" in lines[0]
    said = next(place for place, line in enumerate(lines) if "on two" in line)
    assert "minute" in lines[said]
    assert said < min(place for place, line in enumerate(lines) if "qm7 train" in line or "benchmarks/" in line)
    assert "install" not in make(target, ".venv/installed")


@pytest.mark.parametrize("target", ["test", "lint"])
def test_testing_adds_to_what_running_has_installed(make, target):
    assert make(target).count("pip install") == 2
    added = make(target, ".venv/installed")
    assert added.count("pip install") == 1
    assert "--editable '.[dev]'" in added
    assert "install" not in make(target, ".venv/installed", ".venv/ready")


@pytest.mark.parametrize("script", ["step.py", "commands.py"])
def test_a_benchmark_without_qm7_is_one_sentence(tmp_path, script):
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / script],
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if name != "QM7_DATA"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("the benchmarks need QM7, as data/qm7.mat or where QM7_DATA says: ")
    assert done.stderr.count("\n") == 1
