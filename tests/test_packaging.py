import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

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


@pytest.fixture(scope="module")
def wheel(once):
    """A directory with the package's wheel, and with what that installs in `site`."""

    def build(path):
        command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(path)]
        subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
        with zipfile.ZipFile(next(path.glob("*.whl"))) as archive:
            archive.extractall(path / "site")

    return once("wheel", build)


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
    assert "qm7cli/py.typed" in names
    program = "import qm7cli.cli.main; print(qm7cli.__file__); qm7cli.cli.main.main()"
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
