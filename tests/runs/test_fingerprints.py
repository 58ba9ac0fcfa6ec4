import importlib.util
import re

import pytest
import yaml

from conftest import QUICK
from qm7cli.core.errors import notices_to
from qm7cli.core.validation import unflatten
from qm7cli.model.variants import RULES
from qm7cli.runs.access import default_name
from qm7cli.runs.fingerprints import ENGINE, _digest, fingerprints
from qm7cli.training.train_run import train_run

RULE = """
SPEED = 0.5  # a number of the module


def rule(C, CW, dZ, W):
    return -SPEED * C.sum(axis=0), dZ.sum(axis=0) - SPEED * CW.sum(axis=0)
"""


@pytest.fixture
def write_rule(tmp_path, monkeypatch):
    """Makes a module's text, with replacements, the source of the rule half-speed."""

    def write(*replacements):
        text = RULE
        for replacement in replacements:
            text = text.replace(*replacement)
        path = tmp_path / f"module{len(list(tmp_path.glob('module*.py')))}.py"
        path.write_text(text)
        spec = importlib.util.spec_from_file_location(path.stem, path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        monkeypatch.setitem(RULES, "half-speed", module.rule)
        return module.rule

    return write


def test_the_fingerprint_of_a_rule_is_that_of_its_code_and_numbers(write_rule, quick):
    def fingerprint(*replacements):
        write_rule(*replacements)
        return fingerprints(quick(variant="half-speed"))["rule"]

    known = fingerprint()
    assert fingerprint(("W):", "W):  # by hand"), ("    return", '    """Follow."""\n\n    return')) == known
    assert len({known, fingerprint(("= 0.5", "= 0.4")), fingerprint(("dZ.sum", "-dZ.sum"))}) == 3


def test_what_has_no_source_has_no_fingerprint_and_a_baseline_has_none(quick, monkeypatch):
    monkeypatch.setitem(RULES, "half-speed", max)  # of Python itself
    assert fingerprints(quick(variant="half-speed"))["rule"] is None
    assert fingerprints(quick("baseline.model=mean")) == {}


def test_the_fingerprint_of_source_ignores_comments_and_docstrings_alone():
    known = _digest("def f():\n    x = 1\n    return x\n")
    assert _digest('"""A module."""\n\n\ndef f():\n    """Return 1."""\n    x = 1  # one\n    return x') == known
    assert _digest("def f():\n    x = 2\n    return x\n") != known
    assert {"model/network", "model/encoder", "model/target", "training/fold_training"} < set(ENGINE)


def test_a_changed_rule_is_another_configuration_in_train_and_sweep(command, write_rule, quick, small, tmp_path):
    write_rule()
    experiment = quick("split.folds=[0, 1]", variant="half-speed")
    run = tmp_path / "all" / default_name(experiment, "small")
    train_run(experiment, small, run)
    base = unflatten({key: yaml.safe_load(value) for key, value in (each.split("=") for each in QUICK)})
    sweep = {"base": base | {"split": {"folds": [0, 1]}}, "grid": {"variant": ["half-speed"]}}
    (tmp_path / "s.yaml").write_text(yaml.safe_dump(sweep))
    train = ("train", "--config", run / "config.yaml", "--out", run, "--fold", 0)
    for line in (train, ("sweep", "s.yaml", "--out", "all")):
        command(*line)
    write_rule(("= 0.5", "= 0.4"))
    for line in (train, (*train, "--iterations", 400), ("sweep", "s.yaml", "--out", tmp_path / "all")):
        said = command(*line, status=1).stderr
        assert f"qm7: {run}: the rule half-speed has changed since; " in said
    command(*train, "--overwrite")
    assert not (run / "fold-1/result.yaml").exists()  # of the old rule


def test_a_fold_of_another_engine_is_kept_with_a_note_and_one_without_a_fingerprint_in_silence(run, quick, small):
    train_run(quick("split.folds=[0, 2]"), small, run)
    engine, file = fingerprints(quick())["engine"], run / "fold-0/result.yaml"
    for other, notes in (("'0123'", 1), ("null", 0)):
        file.write_text(re.sub("engine: [^,}]+", f"engine: {other}", file.read_text()))
        said = []
        with notices_to(said.append):
            train_run(quick("split.folds=[0, 2]", "training.iterations=300"), small, run)
        assert len(said) == notes
        file.write_text(re.sub("engine: [^,}]+", f"engine: '{engine}'", file.read_text()))
