import json
import os
import re
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
        (entries,) = (archive.read(name).decode() for name in names if name.endswith("entry_points.txt"))
    assert entries.split()[1:] == ["qm7", "=", "qm7cli.__main__:main", "qm7cli", "=", "qm7cli.__main__:main"]
    assert {name.split("/")[0].split("-")[0] for name in names} == {"qm7cli"}
    assert any(name.endswith("licenses/LICENSE") for name in names)
    bundled = {name.rpartition("/")[2] for name in names if name.startswith("qm7cli/experiments/")}
    assert bundled == {path.name for path in (ROOT / "experiments").glob("*.yaml")}
    assert "qm7cli/py.typed" in names
    program = "import qm7cli.__main__; print(qm7cli.__file__); qm7cli.__main__.main()"
    for line in ("info --data gfn7", "--cite", "experiments variants", "predict --smiles C --quiet"):
        assert outside("-c", program, *line.split()).startswith(str(wheel / "site"))


def test_the_page_about_python_runs_outside_the_checkout_and_prints_what_it_shows(wheel, outside):
    pytest.importorskip("sklearn")
    cells = CELL.findall((ROOT / "docs" / "python.md").read_text())
    warnings = ("-W", "error", "-W", "default::UserWarning")
    printed = outside(*warnings, "-c", NOTEBOOK, str(wheel), stdin=json.dumps([code for code, _ in cells]))
    for (code, shown), line in zip(cells, printed.splitlines(), strict=True):
        ours, theirs = json.loads(line), shown
        assert re.sub(NUMBER, "N", ours) == re.sub(NUMBER, "N", theirs), code
        numbers = [[float(number) for number in re.findall(NUMBER, text)] for text in (ours, theirs)]
        assert numbers[0] == pytest.approx(numbers[1], rel=0.02, abs=0.11), code  # digits differ by machine
