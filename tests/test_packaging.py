import json
import os
import re
import subprocess
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


@pytest.fixture
def outside(installed, tmp_path):
    """Runs an installed program outside the checkout, and returns what it prints."""

    def run(program, *args, **options):
        environment = {name: value for name, value in os.environ.items() if name not in {"QM7_DATA", "PYTHONPATH"}}
        own = {"cwd": tmp_path, "env": environment, "stdout": subprocess.PIPE, "text": True, **options}
        return subprocess.run([installed / program, *args], check=True, **own).stdout

    return run


def test_a_wheel_holds_the_package_alone_and_its_installed_command_works(installed, outside, tmp_path):
    built = next(installed.parents[1].glob("*.whl"))
    assert ("+g" in built.name) == (ROOT / ".git").exists()
    assert outside("python", "-m", "qm7cli", "--version") == f"qm7 {built.name.split('-')[1]}\n"
    with zipfile.ZipFile(built) as archive:
        names = archive.namelist()
        (entries,) = (archive.read(name).decode() for name in names if name.endswith("entry_points.txt"))
    assert entries.split()[1:] == ["qm7", "=", "qm7cli.__main__:main", "qm7cli", "=", "qm7cli.__main__:main"]
    assert {name.split("/")[0].split("-")[0] for name in names} == {"qm7cli"}
    assert any(name.endswith("licenses/LICENSE") for name in names)
    bundled = {name.rpartition("/")[2] for name in names if name.startswith("qm7cli/experiments/")}
    assert bundled == {path.name for path in (ROOT / "experiments").glob("*.yaml")}
    assert "qm7cli/py.typed" in names
    assert outside("python", "-c", "import qm7cli; print(qm7cli.__file__)").startswith(str(installed.parent))
    for line in ("--cite", "experiments variants", "predict --smiles C --quiet"):
        assert outside("qm7", *line.split())
    outside("qm7", *["train", "--data", "gfn7", "--fold", "0", "--iterations", "1", "--out", "run"])
    assert (tmp_path / "run/results.yaml").exists()


def test_the_page_about_python_runs_outside_the_checkout_and_prints_what_it_shows(installed, outside):
    page = (ROOT / "docs" / "python.md").read_text().partition("# Use augmented sets")[0]
    cells = CELL.findall(page)
    warnings = ("-W", "error", "-W", "default::UserWarning")
    root = str(installed.parent)
    printed = outside("python", *warnings, "-c", NOTEBOOK, root, input=json.dumps([code for code, _ in cells]))
    for (code, shown), line in zip(cells, printed.splitlines(), strict=True):
        ours, theirs = json.loads(line), shown
        assert re.sub(NUMBER, "N", ours) == re.sub(NUMBER, "N", theirs), code
        numbers = [[float(number) for number in re.findall(NUMBER, text)] for text in (ours, theirs)]
        assert numbers[0] == pytest.approx(numbers[1], rel=0.02, abs=0.11), code  # digits differ by machine
