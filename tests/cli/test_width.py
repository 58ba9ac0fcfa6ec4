"""The tables of a network, a sweep and a check on 80 columns, piped and on a terminal."""

import re
import shutil
import subprocess

import pytest

from conftest import qm7_path


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize("line", ["train --fold 0 --iterations 20 --quiet", "collect"])
def test_the_table_fits_80_columns_and_units_are_not_over_names(three_variants, mat, tmp_path, line, terminal):
    shutil.copytree(three_variants, tmp_path / "runs")
    words = f"stty cols 80 2> /dev/null; exec {qm7_path()} {line} 2> /dev/null"
    done = subprocess.run(
        ["script", "-qec", words, "/dev/null"] if terminal else ["bash", "-c", words],
        cwd=tmp_path,
        env={"QM7_DATA": str(mat), "PATH": "/usr/bin:/bin", "TERM": "xterm", "HOME": "/"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", done.stdout).splitlines()
    assert len(lines) > 2
    paths = [line for line in lines if re.fullmatch(r"\S*/\S*", line)]  # may be longer, and are not broken
    assert max(len(line) for line in lines if line not in paths) <= 80
    assert not lines[0].startswith("kcal/mol")
    assert ("─" * 30 in done.stdout) <= terminal
