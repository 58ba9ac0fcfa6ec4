import json
import os

import pytest

import molecules


def test_info_shows_the_data_set_as_aligned_lines_on_a_pipe(command, small):
    lines = dict(line.split("  ", 1) for line in command("info").stdout.splitlines())
    assert lines["molecules"].strip() == "60"
    assert lines["folds"].strip() == "5 of 12 molecules"
    assert lines["SHA-256"].strip() == small.sha256
    records = json.loads(command("info", "--format", "json").stdout)
    assert {"property": "molecules", "value": "60"} in [each | {"value": str(each["value"])} for each in records]


def test_a_data_set_that_is_not_sound_is_described_and_refused(command, tmp_path):
    molecules.write(tmp_path / "x.mat", {"R": molecules.variables()["R"] * 0.529177})
    done = command("info", "--data", "x.mat", status=1)
    assert done.stdout.startswith("property")
    assert done.stderr.startswith("qm7: X is not the Coulomb matrix of Z and R in bohr: molecule")


def test_without_a_data_set_the_places_looked_at_are_named(command):
    done = command("info", status=1, QM7_DATA="")
    assert done.stderr == (
        "qm7: no data set: looked at --data, not given; $QM7_DATA, not set; data/qm7.mat, which does not exist; "
        "qm7 download --dest data/qm7.mat fetches QM7, or try --data gfn7\n"
    )


@pytest.mark.parametrize("line", ["--debug info --data none.mat", "info --data none.mat --debug"])
def test_debug_before_or_after_the_command_shows_the_traceback(command, line):
    with pytest.raises(AssertionError, match="Traceback"):
        command(*line.split(), status=1)
    assert command("info", "--data", "none.mat", status=1).stderr.count("\n") == 1


@pytest.mark.realdata
@pytest.mark.usefixtures("qm7")
def test_info_on_qm7_gives_the_published_figures(command):
    text = " ".join(command("info", QM7_DATA=os.environ["QM7_DATA"]).stdout.split())
    for figure in ("7165", "4 to 23", "-2192.00 to -404.88, mean -1538.04, std 223.92", "5 of 1433 molecules",
                   "H -68.68, C -153.78, N -98.99, O -97.83, S -76.88 kcal/mol per atom"):  # fmt: skip
        assert figure in text
