"""Random templates, rendered by the real Envoy and by MiniJinja itself: the same text, or an error in both."""

from __future__ import annotations

import json
import re
from typing import Any

import minijinja
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.support.rendering import rendering

pytestmark = [pytest.mark.envoy, pytest.mark.filterwarnings("ignore:Generating overly large repr")]
_WORDS = ("", "a", "Zed", "two words", "x-y_z", "é€😀", 'q"uo\\te', " pad ", "12", "a,b,c", "<&>")
DATA: dict[str, Any] = {
    "b": True,
    "e": {"s": "in", "t": {"u": [1, 2]}},
    "f": 2.5,
    "i": 7,
    "k": [],
    "l": [3, 1, 2],
    "m": [{"n": "one", "v": 1}, {"n": "two", "v": 2}, {"n": "three"}],
    "o": None,
    "s": "text é",
    "w": ["b", "A", "c", "b"],
}
_INTS = st.integers(-20, 20)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _joined(*parts: Any) -> st.SearchStrategy[str]:
    """Pieces one after the other; a text stands for itself."""
    return st.tuples(*(st.just(one) if isinstance(one, str) else one for one in parts)).map("".join)


def _is_ascii(template: str) -> bool:
    return template.isascii() and re.search(r"\bs\b", template) is None


_text_atom = st.one_of(
    st.sampled_from(_WORDS).map(_quoted), st.sampled_from(["s", "e.s", 'e["s"]', "w[0]", "m[1].n", "m[-1].n"])
)
_int_atom = st.one_of(
    _INTS.map(lambda value: f"({value})"),
    st.sampled_from(["i", "l[0]", "l[-1]", "m[0].v", "e.t.u[1]", "l|length", "w|count"]),
)
_float_atom = st.one_of(st.sampled_from(["f", "0.1", "1e10", "1.0", "3.75"]), _int_atom)
_list_atom = st.sampled_from(
    [
        "l",
        "w",
        "k",
        "[1, 2, 3]",
        '["x", "y"]',
        "e.t.u",
        "range(4)",
        "s|list",
        "l[1:]",
        "w[::-1]",
        "l[1::-1]",
        "w[-1:-3:-2]",
        "w[9:1:-1]",
    ]
)


def _ints(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    operator = st.sampled_from([" + ", " - ", " * ", " // ", " % "])
    return st.one_of(
        _joined("(", inner, operator, inner, ")"),
        _joined("(-", inner, ")"),
        _joined("(", inner, ")|abs"),
        _joined("(", inner, " if ", st.sampled_from(["b", "o", "k", "s"]), " else ", inner, ")"),
    )


_int = st.recursive(_int_atom, _ints, max_leaves=4)
_text = st.recursive(
    _text_atom,
    lambda inner: st.one_of(
        _joined("(", inner, st.sampled_from([" ~ ", " + "]), inner, ")"),
        _joined("(", inner, ")|", st.sampled_from(["lower", "trim", "reverse", "string"])),
        # Of letters beyond ASCII only MiniJinja knows the capital ones.
        _joined("(", inner, ")|", st.sampled_from(["capitalize", "upper", "title"])).filter(_is_ascii),
        _joined("(", inner, ")|replace(", inner, ", ", inner, ")"),
        _joined("(", inner, ")[", _INTS.map(str), ":", _INTS.map(str), "]"),
        _joined("(", inner, " ~ ", _int, ")"),
        _joined("(", inner, ")|default(", inner, ", true)"),
    ),
    max_leaves=4,
)
_numbers = st.one_of(
    _int,
    _joined(_float_atom, st.sampled_from([" + ", " - ", " * ", " / "]), _float_atom),
    _joined("(", _float_atom, ")|", st.sampled_from(["round", "round(1)", "int", "float", "abs"])),
    _joined(_int, " ** ", st.integers(0, 3).map(str)),
)
_list = st.recursive(
    _list_atom,
    lambda inner: st.one_of(
        _joined("(", inner, ")|", st.sampled_from(["sort", "reverse", "unique", "list", "sort(reverse=true)"])),
        _joined("(", inner, " + ", inner, ")"),
        _joined("(", inner, ")[", _INTS.map(str), ":", _INTS.map(str), "]"),
        _joined("(", inner, ")[", _INTS.map(str), ":", _INTS.map(str), ":", st.sampled_from(["2", "3"]), "]"),
        _joined("(", inner, ")|map(", st.sampled_from(['"string"', '"lower"']), ")"),
        _joined(
            "(",
            inner,
            ")|",
            st.sampled_from(["select", "reject"]),
            "(",
            st.sampled_from(['"string"', '"defined"', '"eq", 1']),
            ")",
        ),
    ),
    max_leaves=3,
)
_listed = _joined(
    "(",
    _list,
    ")|",
    st.sampled_from(
        [
            'join(",")',
            "length",
            "first",
            "last",
            "min",
            "max",
            "sum",
            "tojson",
            "batch(2)|length",
            "slice(2)|first|join",
        ]
    ),
)
_single = st.one_of(
    _text, _int, st.sampled_from(["b", "o", "u", "f", "true", "none", "e.zz", "2.5", "7.0", "m[0]", "l"])
)
_any = st.one_of(_text, _int, _list, st.sampled_from(["b", "o", "e", "u", "m", "f", "true", "none", "u.v", "e.zz"]))
_truth = st.recursive(
    st.one_of(
        _joined(_single, st.sampled_from([" == ", " != ", " < ", " <= ", " > ", " >= "]), _single),
        _joined(_text, st.sampled_from([" in ", " not in "]), st.sampled_from(["w", "s", "e", '"two words"', "u"])),
        _joined(
            _any,
            " is ",
            st.sampled_from(["defined", "undefined", "none", "string", "number", "mapping", "not none", "boolean"]),
        ),
        _joined(_int, " is ", st.sampled_from(["odd", "even", "divisibleby(3)", "gt(2)", "eq 3", "in l"])),
        _any,
    ),
    lambda inner: st.one_of(
        _joined("(", inner, st.sampled_from([" and ", " or "]), inner, ")"), _joined("(not ", inner, ")")
    ),
    max_leaves=3,
)
_shown = st.one_of(
    _joined("{{ ", st.one_of(_text, _numbers, _listed), " }}"),
    _joined("{{ ", st.one_of(_text, _int), " if ", _truth, " else ", _text, " }}"),
    _joined("{% if ", _truth, " %}yes{% else %}no{% endif %}"),
)
_plain = st.sampled_from(["", "{#- left out -#}", " ", "text", "\n", "100% ", "}} ", "\\", "é"])


def _statements(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    trim = st.sampled_from(["", "-"])
    loop = st.sampled_from(
        [
            "loop.index",
            "(1 if loop.first else 2)",
            "(1 if loop.last else 2)",
            "loop.revindex0",
            "loop.length",
            'loop.cycle("a", "b")',
            "x",
        ]
    )
    return st.one_of(
        _joined(inner, _plain, inner),
        _joined(
            "{%",
            trim,
            " if ",
            _truth,
            " ",
            trim,
            "%}",
            inner,
            "{% elif ",
            _truth,
            " %}",
            inner,
            "{%",
            trim,
            " endif ",
            trim,
            "%}",
        ),
        _joined("{% for x in ", _list, " %}", inner, "{{ ", loop, " }}{% else %}", inner, "{% endfor %}"),
        _joined("{% for x in ", _list, " if x ", trim, "%}{{ x }}", inner, "{% endfor %}"),
        _joined('{% for p in m if p.n != "two" %}{{ p.n }}', inner, "{{ p.v|default(0) }}{% endfor %}"),
        _joined("{% for k, v in e|items %}{{ k }}{{ v|length }}", inner, "{% endfor %}"),
        _joined("{% for k in e %}{{ k }}", inner, "{% endfor %}"),
        _joined("{% set x = ", st.one_of(_text, _int), " %}{{ x }}", inner),
        _joined("{% set x %}", inner, "{% endset %}{{ x|length }}{{ x }}"),
        _joined("{% with x = ", _text, " %}", inner, "{{ x }}{% endwith %}"),
        _joined("{% filter upper|trim %}", inner, "{% endfilter %}").filter(_is_ascii),
        _joined(
            "{% macro g(x, y=", _int, ") %}[{{ x }}|{{ y }}]{% endmacro %}{{ g(", _text, ") }}{{ g(1, y=2) }}", inner
        ),
        _joined("{% raw %}{{ ", inner.filter(lambda one: "{%" not in one), " }}{% endraw %}"),
        _joined("{% filter trim %}{% set x = ", _text, " %}{% endfilter %}{{ x }}", inner),
        _joined("{% set q = namespace(n=0) %}{% for x in l %}{% set q.n = q.n + x %}{% endfor %}{{ q.n }}", inner),
    )


_templates = st.recursive(st.one_of(_shown, _plain), _statements, max_leaves=6)


@st.composite
def templates(draw: st.DrawFn) -> str:
    """A name for them: what they are made of would be told at length."""
    return draw(_templates)


def expected(template: str) -> str | None:
    """What MiniJinja makes of it; None of what it cannot render."""
    environment = minijinja.Environment()
    try:
        return environment.render_str(template.rstrip(), **DATA)
    except (minijinja.TemplateError, ValueError):
        return None


def drawn(many: int) -> list[str]:
    """Templates, the same in every run; they are drawn together and rendered by one Envoy, and none is shrunk."""
    found: dict[str, None] = {}

    @settings(
        max_examples=many,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
        derandomize=True,
        database=None,
    )
    @given(templates())
    def keep(one: str) -> None:
        if one.strip():
            found[one] = None

    keep()
    return list(found)


async def test_a_template_is_rendered_as_minijinja_renders_it() -> None:
    """Or it cannot be rendered by either: then the body is empty."""
    rendered = drawn(600)
    body = json.dumps(DATA).encode()
    differ, errors = [], 0
    async with rendering([{"response": {"body": {"parseAs": "AsJson", "value": one}}} for one in rendered]) as site:
        for number, template in enumerate(rendered):
            answer = await site.ask(number, "POST", {"content-type": "application/json"}, body)
            said = expected(template)
            errors += said is None
            if (answer.status, answer.body.decode()) != (200, said or ""):
                differ.append((template, answer.body.decode(), said))
    assert not differ
    assert errors < len(rendered) / 5
