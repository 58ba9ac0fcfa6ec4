"""docs/troubleshooting.md quotes the sentences of the program, each with its cause and its cure."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/troubleshooting.md").read_text()
ENTRY = re.compile(r"^```text\n(.*?)\n```\n\n- Cause: (.+)\n- Cure: (.+)$", re.MULTILINE)


def constant_parts(node):
    """Return the text of a literal, with the sign of omission for what is filled in; None if it is no text."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else "…" for part in node.values)
    return None


def sentences():
    """Return all texts in the package's code, and those of a simple statement one after the other."""
    for file in (ROOT / "qm7cli").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Assign | ast.Raise | ast.Return | ast.Expr):
                inside = {part for f in ast.walk(node) if isinstance(f, ast.JoinedStr) for part in f.values}
                texts = [text for part in ast.walk(node) if part not in inside and (text := constant_parts(part))]
                yield from {*texts, "…".join(texts)}


SENTENCES = {" ".join(sentence.split()) for sentence in sentences()}


def is_said(quoted):
    """Say whether a sentence's parts between the signs of omission are, in this order, parts of one in the code."""
    parts = [re.escape(part.strip()) for part in quoted.split("…") if re.search(r"\w", part)]
    pattern = re.compile(".*?".join(parts))
    return any(pattern.search(sentence) for sentence in SENTENCES)


def test_every_quoted_sentence_is_one_of_the_program():
    quoted = [entry[0] for entry in ENTRY.findall(PAGE)]
    assert len(quoted) >= 15
    assert len(set(quoted)) == len(quoted) == PAGE.count("```text") == PAGE.count("- Cause: ") == PAGE.count("- Cure: ")
    assert [sentence for sentence in quoted if not is_said(sentence)] == []
