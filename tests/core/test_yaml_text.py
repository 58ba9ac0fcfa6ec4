import pytest
import yaml

from qm7cli.core import yaml_text
from qm7cli.core.errors import QM7Error


@pytest.mark.parametrize("name", ["a\x1b[31mb", "a\u202eb", "a\x9bb", "a\nb", "a\r", "a\u2028b", "ä 分子"])
def test_yaml_holds_every_text(name):
    written = yaml_text.format_yaml({"name": name, "run": [name]})
    assert yaml_text.parse_yaml(written, "x") == {"name": name, "run": [name]}
    assert ("ä" in written) == ("ä" in name)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("[010, 08, -3, +5, 0, 1_000]", [10, 8, -3, 5, 0, 1000]),
        ("[1e6, 1E-3, 1.5, 1., .5, -0.5e+3, 1_0.2_5]", [1e6, 1e-3, 1.5, 1.0, 0.5, -500.0, 10.25]),
        ("[.inf, -.INF, 1e400]", [float("inf"), -float("inf"), float("inf")]),
        ("[1:30, 1:30.5, 0x1F, 0o17, 0b11]", ["1:30", "1:30.5", "0x1F", "0o17", "0b11"]),
        ("[1_, _1, 1__0, 1e, e5, ., +, 1.2.3, --1, inf, nan]",
         ["1_", "_1", "1__0", "1e", "e5", ".", "+", "1.2.3", "--1", "inf", "nan"]),
        ("['010', \"1e6\", !!str 10, !!int 010, !!float 3]", ["010", "1e6", "10", 10, 3.0]),
        ("[null, ~, true, false, yes, no, on]", [None, None, True, False, True, False, True]),
        ("a: &a [1, 2]\nb: [*a, *a]\nc: &c {x: 1}\nd: {<<: *c, y: 2}",
         {"a": [1, 2], "b": [[1, 2]] * 2, "c": {"x": 1}, "d": {"x": 1, "y": 2}}),
        ("", None),
    ],
)  # fmt: skip
def test_numbers_are_decimal_and_all_else_is_yaml_s(text, value):
    read = yaml_text.parse_yaml(text, "x")
    assert read == value
    assert repr(read) == repr(value)  # 1 is not 1.0


@pytest.mark.parametrize(("text", "message"), [
    ("a: 1\nb: [", "x, line 3: this is not YAML: did not find expected node content"),
    ("a: 1\na: 2", "x, line 2: this is not YAML: the key a is there twice"),
    ("!!int 1:30", "x: this is not YAML: invalid literal for int"),
    ("!!python/object:os.system {}", "x, line 1: this is not YAML: could not determine a constructor for the tag"),
    ("a: \udc80", "x: this is not YAML: "),
])  # fmt: skip
def test_what_is_not_yaml_is_one_sentence_that_names_the_line(text, message):
    with pytest.raises(QM7Error) as error:
        yaml_text.parse_yaml(text, "x")
    assert str(error.value).startswith(message)


@pytest.mark.parametrize("text", ["1e6", "010", "1:30", "0x1F", "1_000", "yes", "null", ".5", "2020-01-01", "a b"])
def test_a_text_that_looks_like_a_number_is_written_so_that_every_reader_takes_it_for_a_text(text):
    written = yaml_text.format_yaml({"name": text, "number": 1e-6, "whole": 10})
    for read in (yaml_text.parse_yaml(written, "x"), yaml.safe_load(written)):
        assert read == {"name": text, "number": 1e-6, "whole": 10}
