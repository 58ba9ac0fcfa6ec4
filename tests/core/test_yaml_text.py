from itertools import pairwise

import pytest
import yaml

from conftest import within
from qm7cli.core import yaml_text
from qm7cli.core.errors import QM7Error


def test_a_record_tells_whether_it_is_what_was_written():
    record = {"name": "x\udcff ü", "at": "2020-01-01", "id": "0123", "sizes": [1, 2.0, 1e-7, None, True], "by": {0: {}}}
    text = yaml_text.format_record(record)
    assert yaml_text.parse_record(text, "x", "do it again") == record
    assert yaml_text.parse_record(text.replace("\n", "\r\n"), "x", "do it again") == record
    assert yaml_text.parse_record("a: 1", "x", "do it again") == {"a": 1}  # of older versions
    with pytest.raises(QM7Error, match=r"x is damaged or was changed: its checksum is \w+, not '\w+'; do it again"):
        yaml_text.parse_record(text.replace("2.0", "2.1"), "x", "do it again")


@pytest.mark.parametrize("name", ["a\x1b[31mb", "a\u202eb", "a\x9bb", "a\nb", "a\r", "a\u2028b", "\udcff", "ä 分子"])
def test_yaml_holds_every_text_and_nothing_that_a_terminal_obeys(name):
    written = yaml_text.format_yaml({"name": name, "run": [name]})
    assert all(map(str.isprintable, written.split("\n")))
    assert yaml_text.parse_yaml(written, "x") == {"name": name, "run": [name]}
    assert ("ä" in written) == ("ä" in name)


@pytest.fixture(params=["libyaml", "PyYAML"])
def _parser(request, monkeypatch):
    """Either of the two parsers."""
    if request.param == "PyYAML":
        monkeypatch.setattr(yaml_text, "_FastLoader", yaml_text._Loader)
    elif not yaml.__with_libyaml__:
        pytest.skip("PyYAML has no libyaml here")


@pytest.mark.usefixtures("_parser")
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
        ("a: 1\nb: {c: [2, &x d], e: *x}\n", {"a": 1, "b": {"c": [2, "d"], "e": "d"}}),
        ("", None),
    ],
)  # fmt: skip
def test_numbers_are_decimal_and_all_else_is_yaml_s(text, value):
    read = yaml_text.parse_yaml(text, "x")
    assert read == value
    assert repr(read) == repr(value)  # 1 is not 1.0


@pytest.mark.usefixtures("_parser")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: [", "x, line 2: this is not YAML: expected the node content, but found '<stream end>'"),
        ("a: 1\na: 2", "x, line 2: this is not YAML: the key a is there twice"),
        ("!!int 1:30", "x: this is not YAML: invalid literal for int"),
        ("!!python/object:os.system {}", "x, line 1: this is not YAML: could not determine a constructor for the tag"),
        ("[" * 100_000, "x, line 1: this is not YAML: more than 100 collections are in one another"),
        ("- " * 100_000, "x, line 1: this is not YAML: more than 100 collections are in one another"),
        ("a: \udc80", "x: this is not YAML: unacceptable character"),
    ],
)
def test_what_is_not_yaml_has_the_same_sentence_whatever_parses_it(text, message):
    with pytest.raises(QM7Error) as error:
        yaml_text.parse_yaml(text, "x")
    assert str(error.value).startswith(message)


LETTERS = "abcdefghijklm"
BOMB = "a: &a [1, 2, 3]\n" + "\n".join(
    f"{later}: &{later} [{', '.join(10 * [f'*{earlier}'])}]" for earlier, later in pairwise(LETTERS)
)
CHAIN = "- &a0 [1]\n" + "\n".join(f"- &a{k + 1} [*a{k}]" for k in range(200))
MERGED = "a: &a {x: 1}\n" + "\n".join(
    f"{later}: &{later} {{<<: [*{earlier}, *{earlier}]}}" for earlier, later in pairwise(LETTERS * 2)
)


@pytest.mark.usefixtures("_parser")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BOMB, "it has 4567901234580 values, more than 1000000, when each alias is followed"),
        (f"{BOMB}\nbase: {{encoding: *m}}", "more than 1000000, when each alias is followed"),
        (CHAIN, "more than 100 collections are in one another when each alias is followed"),
        ("a: &a [{b: *a}]", "an alias stands in what it is the alias of"),
        ("!!bool maybe", "'maybe'"),
    ],
)
def test_aliases_that_stand_for_more_than_there_is_room_for_are_refused(text, message):
    with within(60), pytest.raises(QM7Error, match=rf"x(, line 1)?: this is not YAML: .*{message}"):
        yaml_text.parse_yaml(text, "x")


def test_aliases_in_moderation_are_followed():
    text = "a: &a [1, 2]\nb: [*a, *a]\nc: &c {x: 1}\nd: {<<: *c, y: 2}"
    assert yaml_text.parse_yaml(text, "x") == {"a": [1, 2], "b": [[1, 2]] * 2, "c": {"x": 1}, "d": {"x": 1, "y": 2}}


def test_many_keys_take_no_longer_than_they_must():
    keys = "".join(f"key{k}: {k}\n" for k in range(100_000))
    with within(30), pytest.raises(QM7Error, match="x, line 100001: this is not YAML: the key key7 is there twice"):
        yaml_text.parse_yaml(f"{keys}key7: 7", "x")


@pytest.mark.usefixtures("_parser")
def test_a_text_has_so_many_values_and_no_more(monkeypatch):
    monkeypatch.setattr(yaml_text, "_MOST", 1000)
    assert len(yaml_text.parse_yaml("[" + "x," * 999 + "]", "x")) == 999
    with pytest.raises(QM7Error, match="x, line 1: this is not YAML: it has more than 1000 values"):
        yaml_text.parse_yaml("[" + "x," * 1000 + "]", "x")


@pytest.mark.parametrize(
    "text", ["1e6", "010", "1:30", "0x1F", "1_000", "yes", "null", ".5", "1.", "2020-01-01", "a b"]
)
def test_a_text_that_looks_like_a_number_is_written_so_that_every_reader_takes_it_for_a_text(text):
    written = yaml_text.format_yaml({"name": text, "number": 1e-6, "whole": 10})
    for read in (yaml_text.parse_yaml(written, "x"), yaml.safe_load(written)):
        assert read == {"name": text, "number": 1e-6, "whole": 10}


def test_the_parser_in_use_is_libyaml_s_where_pyyaml_has_it():
    assert issubclass(yaml_text._FastLoader, yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader)
