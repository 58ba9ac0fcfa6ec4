import os
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


def test_a_wheel_holds_the_package_alone_and_works_outside_the_checkout(tmp_path):
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, capture_output=True, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        archive.extractall(tmp_path / "site")
    assert {name.split("/")[0].split("-")[0] for name in names} == {"qm7cli"}
    assert any(name.endswith("licenses/LICENSE") for name in names)
    bundled = {name.rpartition("/")[2] for name in names if name.startswith("qm7cli/experiments/")}
    assert bundled == {path.name for path in (ROOT / "experiments").glob("*.yaml")}
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


def test_a_wheel_in_a_fresh_environment_does_what_readme_shows_outside_the_checkout(tmp_path):
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, capture_output=True, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    fresh = tmp_path / "fresh"
    venv.create(fresh, with_pip=True)
    python = fresh / "bin/python"
    install = [python, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", wheel]
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
