"""A manifest's text becomes documents or a named line; hostile text costs nothing but its refusal."""

from __future__ import annotations

import json
import time

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.sources.documents import Unreadable, json_documents, plain, yaml_chunks, yaml_documents


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a: [1", 1, "not YAML"),
        ("a: 1\nb: {c: 1\nd: 2\n", 3, "not YAML"),
        ("a: 1\n  b: 2\n", 2, "not YAML"),
        ("a: b: c\n", 1, "not YAML"),
        ("\ta: 1\n", 1, "not YAML"),
        ("a: 1\nb: 2\na: 3\n", 3, "the key a stands twice"),
        ("a: !!python/object/apply:os.system [ls]\n", 1, "no such tag"),
        ("a: 1\nb: !!timestamp now\n", 2, "no timestamp"),
        ("a: 1\nb: !!int ''\n", 2, "no int"),
        ("a: 1\nb: !!bool maybe\n", 2, "no bool"),
        ("a: 1\nb: !!binary é\n", 2, "not YAML"),
        ("a: &x [1]\nb: *y\n", 2, "undefined alias"),
        ("a: &x [*x]\n", 1, "not YAML"),
        ("a: \x01\n", 1, "not YAML"),
        ("? [a, b]\n: 1\n", 1, "key must be text"),
        ("a: " + "[" * 300, 1, "nested too deeply"),
        ("a: " + "[" * 300_000, 1, "nested too deeply"),
        ("{a: " * 20_000, 1, "nested too deeply"),
        ("- " * 50_000 + "a", 1, "nested too deeply"),
        ("? " * 50_000 + "a", 1, "nested too deeply"),
        ("".join(" " * depth + f"a{depth}:\n" for depth in range(500)), 1, "nested too deeply"),
    ],
)
def test_bad_yaml_is_refused_with_its_line(text: str, line: int, words: str) -> None:
    with pytest.raises(Unreadable, match=words) as refusal:
        yaml_documents(text)
    if "nested" not in words:
        assert refusal.value.line == line


@pytest.mark.parametrize("text", ['{"a": 1, "b": 2, "a": 3}', '{"x": [{"a": 1, "a": 1}]}'])
def test_a_key_that_stands_twice_in_json_is_refused_too(text: str) -> None:
    """The library lets the last one win."""
    with pytest.raises(Unreadable, match="the key a stands twice"):
        json_documents(text)


@pytest.mark.parametrize(
    "text",
    [
        "a: !s3cr3t x",
        "a: !<s3cr3t> x",
        "a: !!s3cr3t x",
        "s3cr3t: 1\ns3cr3t: 2",
        "a: *s3cr3t",
        "a: !!int s3cr3t",
        "a: !!timestamp s3cr3t",
        'a: "s3cr3t',
        'a: "\\s3cr3t"',
        "%s3cr3t",
        "- s3cr3t\nb: 1",
    ],
)
def test_a_refusal_shows_nothing_that_may_be_a_secret(text: str) -> None:
    """A password that is not quoted may well begin with an exclamation mark."""
    with pytest.raises(Unreadable) as refusal:
        yaml_documents(text)
    assert "s3cr3t" not in str(refusal.value)


_TAGS = st.sampled_from(["int", "float", "bool", "null", "timestamp", "binary", "set", "omap", "pairs", "map", "seq", "str", "x"])


@settings(max_examples=300)
@given(_TAGS, st.text(alphabet=st.sampled_from(list("ab01:-. '\"[]{},=_")), max_size=8))
def test_any_tag_on_any_value_is_a_document_or_a_line(tag: str, value: str) -> None:
    try:
        yaml_documents(f"a: !!{tag} {value}\n")
    except Unreadable as error:
        assert error.line in {1, 2}


def test_an_alias_bomb_is_refused_before_it_grows() -> None:
    layers = ["a0: &a0 [x,x,x,x,x,x,x,x,x,x]"]
    layers += [f"a{n}: &a{n} [" + ",".join([f"*a{n - 1}"] * 10) + "]" for n in range(1, 12)]
    began = time.process_time()
    with pytest.raises(Unreadable, match="too many aliases"):
        yaml_documents("\n".join(layers))
    assert time.process_time() - began < 5


def test_a_merge_bomb_is_refused_before_it_grows() -> None:
    layers = ["a0: &a0 {k0: 1}"]
    layers += [f"a{n}: &a{n} {{<<: [" + ",".join([f"*a{n - 1}"] * 12) + f"], k{n}: 1}}" for n in range(1, 9)]
    with pytest.raises(Unreadable, match="too many aliases"):
        yaml_documents("\n".join(layers))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2026-11-24", "2026-11-24"),
        ("2026-11-24T14:03:00Z", "2026-11-24T14:03:00Z"),
        ("12:30:45", "12:30:45"),
        ("=", "="),
        ("10", 10),
        ("0x1f", 31),
        ("010", 8),
        ("1.5", 1.5),
        ("yes", True),
        ("~", None),
        ("'10'", "10"),
    ],
)
def test_scalars_are_what_kubernetes_reads(text: str, value: object) -> None:
    assert yaml_documents(f"a: {text}\n") == [(1, {"a": value})]


@pytest.mark.parametrize("value", [float("inf"), float("nan"), b"x", {"a": {1, 2}}])
def test_what_json_lacks_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"must be finite|has no meaning"):
        plain({"a": [value]})


def test_keys_become_text() -> None:
    assert plain({True: 1, None: 2, 3: 4}) == {"true": 1, "null": 2, "3": 4}


def test_anchors_and_merges_are_read() -> None:
    text = "base: &base {a: 1}\nother:\n  <<: *base\n  b: 2\n"
    assert yaml_documents(text) == [(1, {"base": {"a": 1}, "other": {"a": 1, "b": 2}})]


_TEXT = st.text(alphabet=st.sampled_from(list("ab:-? \n#'\"|>[]{},&*!%@`0")), max_size=60)


@settings(max_examples=300)
@given(st.lists(_TEXT, max_size=4).map("\n---\n".join))
def test_any_text_is_documents_or_a_line_and_pieces_say_the_same(text: str) -> None:
    """Cutting at markers changes nothing: it is what lets an edit parse only what it changed."""
    try:
        whole = [document for _, document in yaml_documents(text)]
    except Unreadable as error:
        assert 1 <= error.line <= text.count("\n") + 2
        return
    pieces = [document for _, chunk in yaml_chunks(text) for _, document in yaml_documents(chunk)]
    assert [one for one in pieces if one is not None] == [one for one in whole if one is not None]


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)


@settings(max_examples=200)
@given(st.lists(_JSON, max_size=3))
def test_json_reads_back(values: list[object]) -> None:
    text = "\n".join(json.dumps(value) for value in values)
    assert [value for _, value in json_documents(text)] == values


@settings(max_examples=150)
@given(_JSON)
def test_yaml_of_json_values_reads_back(value: object) -> None:
    text = yaml.safe_dump({"a": value}, allow_unicode=False)
    assert [one for _, one in yaml_documents(text)] == [{"a": value}]


@pytest.mark.parametrize("text", ["{", '{"a": NaN}', "[" * 100_000, '{"a": 1} x', "[" * 70 + "]" * 70])
def test_bad_json_is_refused(text: str) -> None:
    with pytest.raises(Unreadable, match="not JSON"):
        json_documents(text)


def test_json_names_the_line() -> None:
    with pytest.raises(Unreadable) as refusal:
        json_documents('{"a": 1}\n{\n"b": \n}')
    assert refusal.value.line == 4
