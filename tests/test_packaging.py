import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def test_a_wheel_holds_the_package_alone_and_works_outside_the_checkout(tmp_path):
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, capture_output=True, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        archive.extractall(tmp_path / "site")
    assert {name.split("/")[0].split("-")[0] for name in names} == {"qm7cli"}
    assert any(name.endswith("licenses/LICENSE") for name in names)
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import qm7cli.cli.main; print(qm7cli.__file__); qm7cli.cli.main.main()",
            "info",
            "--data",
            "gfn7",
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith(str(tmp_path / "site"))
    assert "1933" in done.stdout


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
