import json

import pytest
import yaml

from qm7cli.cli.main import main
from qm7cli.model.variants import RULES


def test_the_rules_are_as_expected_on_the_bundled_molecules(command):
    lines = command("gradcheck", "--data", "gfn7").stdout.splitlines()
    assert lines[0].split() == ["direction", "rescaling", "layer", "1", "layer", "2", "layer", "3"]
    assert sum(line.endswith("0.0 x 1.000") for line in lines) == 18
    assert [line for line in lines if line in RULES or line.endswith("(control)")] == [
        "original", "corrected", "no-prebias", "uncompensated (control)",
    ]  # fmt: skip
    assert sum(line.startswith("uncompensated (control)") for line in lines) == 3
    assert lines[-1] == "All of it is as expected."


@pytest.mark.realdata
def test_the_rules_are_as_expected_on_qm7(command, qm7):
    assert command("gradcheck", "--data", qm7.path).stdout.endswith("All of it is as expected.\n")


@pytest.mark.parametrize(("format_", "read"), [("yaml", yaml.safe_load), ("json", json.loads)])
def test_a_program_can_read_it(command, format_, read):
    found = read(command("gradcheck", "--variant", "corrected", "--format", format_).stdout)
    assert found["failures"] == []
    assert {each["variant"] for each in found["directions"] + found["motions"] + found["shifts"]} == {"corrected"}
    (shift,) = found["shifts"]
    assert shift["with_a"] < 1e-9 < shift["without_a"]
    assert shift["factors"] == pytest.approx([1, 1, 1], abs=1e-3)
    assert all(0.98 < each < 0.9995 for each in shift["expected"])
    assert {each["parameter"] for each in found["directions"]} == {"dW", "dA", "dB"}
    assert found["sizes"][1:] == [12, 5, 1]


def test_the_same_seed_gives_the_same_and_another_another(command):
    first, again, other = (command("gradcheck", "--seed", seed, "--format", "json").stdout for seed in (1, 1, 2))
    assert first == again != other


def test_an_expectation_that_does_not_hold_is_an_error(monkeypatch, capsys, tmp_path, mat):
    """In this process, where a rule can be replaced by a wrong one."""
    monkeypatch.setitem(RULES, "original", RULES["corrected"])
    output = tmp_path / "found.txt"
    monkeypatch.setattr("sys.argv", ["qm7", "gradcheck", "--data", str(mat), "--output", str(output)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    said = capsys.readouterr().err
    assert "qm7: original: it is not so that A steps straight to the mean input\n" in said
    assert "qm7: original: it is not so that A forgets a shift that it began with by the factor 1 - r b an iter" in said
    assert "corrected" not in said
    assert "as expected" not in output.read_text()
