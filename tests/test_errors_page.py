"""docs/troubleshooting.md quotes the sentences of the program, each with its cause and its cure."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/troubleshooting.md").read_text()
ENTRY = re.compile(r"^```text\n(.*?)\n```\n\n- Cause: (.+)\n- Cure: (.+)$", re.MULTILINE)
SPLIT = re.compile(r'"\s+f?"')  # where a text goes on in the next line
CODE = " ".join(SPLIT.sub("", file.read_text()) for file in (ROOT / "qm7cli").rglob("*.py"))


def is_said(quoted):
    """Say whether a sentence's parts between the signs of omission stand, in this order, together in the code."""
    parts = [re.escape(part.strip()) for part in quoted.split("…") if re.search(r"\w", part)]
    return re.search(".{0,99}?".join(parts), CODE, re.DOTALL)


def test_every_quoted_sentence_is_one_of_the_program():
    quoted = [entry[0] for entry in ENTRY.findall(PAGE)]
    assert len(quoted) >= 15
    assert len(set(quoted)) == len(quoted) == PAGE.count("```text") == PAGE.count("- Cause: ") == PAGE.count("- Cure: ")
    assert [sentence for sentence in quoted if not is_said(sentence)] == []
