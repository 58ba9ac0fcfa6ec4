import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qm7cli.core.errors import QM7Error, import_extra, printable


@pytest.mark.parametrize(("text", "shown"), [
    ("ä 分子 e\u0301 [bold]", "ä 分子 e\u0301 [bold]"),
    ("\x1b[31mred\x1b]0;title\x07", r"\x1b[31mred\x1b]0;title\x07"),
    ("\u202eabc\u2066", r"\u202eabc\u2066"),
    ("\udcff\U000e0001", r"\udcff\U000e0001"),
])  # fmt: skip
def test_what_a_terminal_obeys_is_shown_instead(text, shown):
    assert printable(text) == shown


@given(st.text())
def test_no_text_keeps_a_control_a_format_or_a_line_separator(text):
    kinds = {unicodedata.category(sign) for sign in printable(text)}
    assert kinds.isdisjoint({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
    lines = text.split("\n")
    assert printable(text, keep="\n").split("\n") == [printable(line) for line in lines]


def test_a_library_that_is_missing_and_one_that_is_broken_are_told_apart(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "ase", None)
    sentence = r"^XYZ files need ase, which is not installed: pip install '.\[chem\]'$"
    with pytest.raises(QM7Error, match=sentence):
        import_extra("ase.io", "chem", "XYZ files need")
    (tmp_path / "broken.py").write_text("raise ImportError('libXrender.so.1: cannot open')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(QM7Error, match=r"^PDB files need broken, which is installed and cannot be imported: libXrend"):
        import_extra("broken", "chem", "PDB files need")
