from qm7cli.model.variants import RULES


def test_the_rules_are_as_expected_on_the_bundled_molecules(command):
    lines = command("gradcheck", "--data", "gfn7").stdout.splitlines()
    assert lines[0].split() == ["direction", "rescaling", "layer", "1", "layer", "2", "layer", "3"]
    assert sum(line.endswith("0.0 x 1.000") for line in lines) == 18
    names = ["original", "corrected", "no-prebias", "uncompensated (control)"]
    assert [line for line in lines if line in names] == names
    assert lines[-1] == "All of it is as expected."


def test_an_expectation_that_does_not_hold_is_an_error(command, monkeypatch, tmp_path):
    monkeypatch.setitem(RULES, "original", RULES["corrected"])
    said = command("gradcheck", "--output", "found.txt", status=1).stderr
    assert "qm7: original: it is not so that A steps straight to the mean input\n" in said
    assert "corrected" not in said
    assert "as expected" not in (tmp_path / "found.txt").read_text()


def test_a_rule_of_one_s_own_is_measured_and_held_to_nothing(command, monkeypatch):
    monkeypatch.setitem(RULES, "half-speed", lambda C, CW, dZ, _: (-C.sum(axis=0) / 2, (dZ - CW).sum(axis=0)))
    alone = command("gradcheck", "--variant", "half-speed").stdout
    assert alone.count("half-speed") == 2
    assert "\ndA " in alone
    assert "as expected" not in alone
    assert command("gradcheck").stdout.endswith("All of it is as expected.\n")
