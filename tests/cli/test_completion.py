"""What shells complete: Typer's answers, asked for as the scripts do that it installs."""

import pytest


@pytest.fixture
def ask(command, tmp_path):
    """Asks qm7, as bash does, what completes a command line; returns what bash would put there."""
    elsewhere = tmp_path / "elsewhere/linked-run"
    runs = tmp_path / "runs"
    for run in (runs / "small-original-seed0", runs / "group/small-seed0-network.offset=0.5", elsewhere):
        run.mkdir(parents=True)
        (run / "results.yaml").touch()
    (runs / "linked").symlink_to(elsewhere)
    for link in (runs / "a", runs / "group/b"):  # a cycle
        link.symlink_to(".")

    def ask(words):
        parts = words.split(" ")
        asked = {"COMP_WORDS": "\n".join(parts), "COMP_CWORD": str(len(parts) - 1)}
        done = command(own=True, _QM7_COMPLETE="complete_bash", **asked)
        assert done.stderr == ""
        return done.stdout.splitlines()

    return ask


@pytest.mark.parametrize(("words", "completions"), [
    ("qm7 tr", ["train"]),
    ("qm7 train --variant c", ["corrected"]),
    ("qm7 train --config q", ["quick"]),
    ("qm7 sweep v", ["variants"]),
    ("qm7 collect runs/s", ["runs/small-original-seed0"]),
    ("qm7 train --set network.", ["network.hidden", "network.activation", "network.offset", "network.bias"]),
    ("qm7 compare --by training.b", ["training.batch_size"]),
])  # fmt: skip
def test_bash_gets_what_completes_a_word(ask, words, completions):
    assert ask(words) == completions


def test_runs_are_found_through_links_to_them_and_not_in_circles(ask):
    found = ["runs/group", "runs/group/small-seed0-network.offset=0.5", "runs/linked", "runs/small-original-seed0"]
    assert ask("qm7 collect ") == found
