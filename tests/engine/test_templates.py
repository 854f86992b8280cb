"""Templates are read whole, or what is wrong with them is told with its name and place."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.templates import runtime
from engine.templates.parser import LONGEST, template
from engine.templates.program import listed, text
from engine.templates.reading import reading
from engine.templates.tree import Wrong

WRONG = {
    "{{ 1": "line 1, column 1: this does not end: write }} behind it",
    "a\nbc {% if x %}d": "line 2, column 15: the template ends here, without {% endif %}",
    "{# never": "line 1, column 1: this comment does not end: write #} behind it",
    "{% raw %}{{": "line 1, column 1: raw does not end: write {% endraw %} behind it",
    "{{ 'a }}": "line 1, column 4: this text does not end: write ' behind it",
    "é {{ a $ b }}": "line 1, column 8: unexpected '$'",
    "{{ }}": "line 1, column 4: unexpected '}}': here a value must stand",
    "{{ a b }}": "line 1, column 6: unexpected 'b': here }} must stand",
    "{{ nothing() }}": "line 1, column 4: there is no function nothing",
    "{{ a|nothing }}": "line 1, column 6: there is no filter nothing",
    "{{ a is nothing }}": "line 1, column 9: there is no test nothing",
    "{{ a.upper() }}": "line 1, column 6: upper() cannot be called: call functions by their name, and use filters for methods",
    "{{ header() }}": "line 1, column 4: the function header takes 1 arguments, and here are 0",
    "{{ substring('a') }}": "line 1, column 4: the function substring takes 2 to 3 arguments, and here are 1",
    "{{ header(name='a') }}": "line 1, column 4: the function header takes no argument name",
    "{{ a|map(b) }}": "line 1, column 10: here the name of a filter must stand, as a text",
    "{{ a|select('nothing') }}": "line 1, column 13: there is no test nothing",
    "{{ f(*a) }}": "line 1, column 6: * spreads no arguments here: write them out",
    "{% include 'a' %}": "line 1, column 4: include is not taken here: a template stands alone here",
    "{% for a in b recursive %}{% endfor %}": "line 1, column 15: recursive is not taken here: use a macro",
    "{% nothing %}": "line 1, column 4: there is no statement nothing",
    "{% set loop = 1 %}": "line 1, column 8: loop cannot be assigned to",
    "{% macro header() %}{% endmacro %}": "line 1, column 10: header is taken: give the macro another name",
    "{% endif %}": "line 1, column 4: there is no statement endif",
    "{{ 1_ }}": "line 1, column 4: a number cannot end with _",
    "{{ '\\ud800' }}": "line 1, column 4: half of a surrogate pair is no character",
    "ab\0": "line 1, column 3: a zero character can be sent in no message",
    "x" * (LONGEST + 1): f"line 1, column 1: a template has at most {LONGEST} characters, and this has {LONGEST + 1}",
    "{{ " + "(" * 51 + "1" + ")" * 51 + " }}": "line 1, column 54: this stands in more than 50 others: take it apart",
    "{{ 1" + " + 1" * 200 + " }}": "line 1, column 412: this stands in more than 100 others: take it apart",
}


@pytest.mark.parametrize(("source", "told"), WRONG.items(), ids=range(len(WRONG)))
def test_what_cannot_be_done_is_told_with_its_place(source: str, told: str) -> None:
    with pytest.raises(Wrong) as caught:
        template(source)
    assert str(caught.value) == told


@given(st.text(st.sampled_from("{}%#-+ \n'\"\\abif01.,()[]|=<>~*/:_éendfor")) | st.text())
def test_no_text_raises_anything_else(source: str) -> None:
    try:
        found = template(source)
    except Wrong:
        return
    assert json.loads(text(listed(found)))[0] == "body"


@given(st.text())
def test_a_text_without_marks_is_itself(source: str) -> None:
    plain = source.replace("{", "").replace("\0", "").rstrip()
    assert listed(template(plain)) == ["body", [["text", plain]] if plain else []]


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_a_constant_is_itself(source: str) -> None:
    assert listed(template("{{ " + json.dumps(source) + " }}")) == ["body", [["emit", ["const", source]]]]


@pytest.mark.parametrize(
    ("source", "fields"),
    {
        "{{ a.b }}{{ c[d] }}": "acd",
        "{% set a = b %}{{ a }}": "b",
        "{{ a }}{% set a = 1 %}": "a",
        "{% for a, b in c if a %}{{ loop.index }}{{ b }}{% else %}{{ a }}{% endfor %}": "ac",
        "{% with a = 1, b = a %}{{ a ~ b }}{% endwith %}{{ b }}": "b",
        "{% macro m(a, b=c) %}{{ a ~ b ~ d }}{% endmacro %}{{ m(1) }}": "cd",
        "{% if a %}{% set b = 1 %}{% endif %}{{ b }}": "a",
        "{% set a %}{% set b = 1 %}{{ c }}{% endset %}{{ a ~ b }}": "c",
        "{{ header('x') }}{{ body() }}{{ 'a'|upper }}": "",
    }.items(),
)
def test_fields_are_what_nothing_else_gives(source: str, fields: str) -> None:
    assert "".join(name for name, _ in reading(template(source)).fields) == fields


def test_what_is_read_of_a_request() -> None:
    assert reading(template("{{ request_header('X-A') }}{{ get_cookie('k') }}")).headers == {"x-a", "cookie"}
    assert reading(template("{{ request_header(header('x')) }}")).headers is None
    assert reading(template("{{ header('x') }}")) == reading(template("x"))
    assert reading(template("{% if context() %}{% endif %}")).body


def test_the_runtime_has_no_long_text_and_no_comment() -> None:
    """What is taken off its lines is white space and comments only while no text spans lines."""
    assert "[[" not in runtime.source().replace("[[1]", "")
    assert not [line for line in runtime.source().splitlines() if line.startswith("--") or not line]
