"""What templates say in the real Envoy: kgateway's functions, values of JSON, texts of users, and bounds."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from engine.templates.parser import LONGEST
from tests.support.rendering import rendering

pytestmark = pytest.mark.envoy


def _header(value: str, side: str = "response", **more: Any) -> dict[str, Any]:
    return {side: {"set": [{"name": "x-made", "value": value}], **more}}


def _body(value: str, side: str = "response", **more: Any) -> dict[str, Any]:
    return {side: {"body": {"value": value, **more}}}


_JSON = {"a": {"b": [1, 2.0, None, True, "t"]}, "n": 12345678901234567890, "e": 1e-7, "é": "ü", "q": 'a"b\\c\n'}
SAID = [
    # kgateway's functions
    ('{{ base64_encode("hello?>") }} {{ base64url_encode("hello?>") }}', "aGVsbG8/Pg== aGVsbG8_Pg=="),
    ('{{ base64_decode("aGVsbG8/Pg==") }} {{ base64url_decode("aGVsbG8_Pg==") }}', "hello?> hello?>"),
    (
        '[{{ base64_decode("aGVsbG8") }}{{ base64_decode("?") }}{{ base64_decode("/w==") }}{{ base64_decode("aGVsbG9=") }}]',
        "[]",
    ),
    (
        '{{ substring("ENVOYPROXY something", 5, 5) }}|{{ substring("response", 20) }}|{{ substring("abc", 1, 9) }}',
        "PROXY||bc",
    ),
    ('{{ substring("abc", 1, 0) }}|{{ substring("abc", 1, -1) }}|{{ substring("abc", 0, 2) }}', "bc|bc|ab"),
    ('{{ replace_with_string("a.b.a", "a", "%1") }} {{ replace_with_string("ab", "", "-") }}', "%1.b.%1 -a-b-"),
    ('{{ raw_string("a\\"b\\\\c\\n\\u0001é") }}', 'a\\"b\\\\c\\n\\u0001é'),
    ('{{ env("POD_NAME") }}[{{ env("NOTHING_SUCH") }}]', "gw-1[]"),
    (
        '{{ request_header("X-Two") }}|{{ header("content-TYPE") }}|{{ header(":status") }}|{{ header("x-none") }}',
        "a, b|application/json|200|",
    ),
    (
        '{{ get_cookie("k") }}|{{ get_cookie("K") }}|{{ get_cookie_i("K") }}|{{ get_cookie("z") }}|{{ get_cookie("no") }}',
        "v=1||v=1|last|",
    ),
    ("{{ body()|length }} {{ context().a.b|length }}", f"{len(json.dumps(_JSON, ensure_ascii=False))} 5"),
    # values of JSON come through as they are
    (
        "{{ a.b }} {{ a }} {{ n }} {{ e }} {{ é }}",
        '[1,2.0,null,true,"t"] {"b":[1,2.0,null,true,"t"]} 12345678901234567890 0.0000001 ü',
    ),
    ("{{ q|tojson }} {{ a.b[2] is none }} {{ a.b[3] }} {{ a.b[2] }}", '"a\\"b\\\\c\\n" true true none'),
    ("{{ a.zz }}|{{ zz }}|{{ a.b[9] }}", "||"),
    ("{{ n > 5 }} {{ n == 12345678901234567890 }} {{ n + 0.5 > 1 }}", "true true true"),
    # what cannot be rendered leaves nothing
    ("before {{ zz.y }}", ""),
    ("{{ n + 1 }}", ""),
    ("{{ 1 // 0 }}", ""),
    ('{{ "a" + 1 }}', ""),
    ("{{ header(1) }}", ""),
    # bounds
    ("{% for i in range(90000) %}{% endfor %}done", "done"),
    ("{% for i in range(90000) %}{% for j in range(10) %}{% endfor %}{% endfor %}done", ""),
    ('{% if "x" * 5000000 %}done{% endif %}', ""),
    ('{{ "a"|replace("a", "x" * 4000000) ~ "x" * 400000 }}', ""),
    (
        "{% set ns = namespace(s='xxxxxxxxxxxxxxxx') %}{% for i in range(99) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}done",
        "",
    ),
    ("{% macro m(x) %}{{ m(x) }}{% endmacro %}{{ m(1) }}", ""),
    ("{% set ns = namespace(s=[1]) %}{% for i in range(30) %}{% set ns.s = [ns.s, ns.s] %}{% endfor %}{{ ns.s }}", ""),
    ("{{ -0 }} {{ 0 * -1 }} {{ -7 // 2 }} {{ 7 % -2 }}", "0 0 -4 1"),
    # the form of a template
    ("a {#- gone -#} b {%- raw -%} {{ x }} {%- endraw -%} c  \n\n", "ab{{ x }}c"),
    ("'\"]]--[[ end %>", "'\"]]--[[ end %>"),
    ("{{ ']]' ~ \"\\n\" ~ 'end) os.exit() --' }}", "]]\nend) os.exit() --"),
]
"""Body templates, and what they make of the answer with the JSON."""


async def test_templates_say_what_is_documented() -> None:
    body = json.dumps(_JSON, ensure_ascii=False).encode()
    headers = {"x-two": "a", "X-TWO": "b", "cookie": "k=v=1; z=last; k=2", "content-type": "application/json"}
    async with rendering([_body(template, parseAs="AsJson") for template, _ in SAID]) as site:
        for number, (template, wanted) in enumerate(SAID):
            answer = await site.ask(number, "POST", headers, body)
            assert (template, answer.status, answer.body.decode()) == (template, 200, wanted)
            assert answer.header("content-length") == str(len(answer.body))
            assert (answer.header("content-type") is None) == (wanted == "")


async def test_json_is_read_strictly() -> None:
    """As RFC 8259 has it, and up to a depth."""
    good = [
        "[1e3]",
        '"\\ud83d\\ude00"',
        "-0.5e-3",
        " [ ] ",
        '{"a":{"a":{}}}',
        "[" * 127 + "]" * 127,
        '"\\u0000"',
        '"\x7f"',
    ]
    bad = [
        "[1,]",
        "{'a':1}",
        "01",
        "1.",
        "+1",
        '"\\x"',
        '"\\ud83d"',
        "nul",
        '"a\nb"',
        "[1 2]",
        '{"a" 1}',
        "[" * 128 + "]" * 128,
        "1e999",
        "{",
        '"',
        "tru e",
    ]
    async with rendering([_header("{{ context()|tojson }}", body={"parseAs": "AsJson"})]) as site:
        for one in good:
            made = (await site.ask(0, "POST", body=one.encode())).header("x-made")
            assert made is not None, one
            assert json.loads(made.encode("latin-1")) == json.loads(one), one
        for one in bad:
            assert (await site.ask(0, "POST", body=one.encode())).header("x-made") is None, one


_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def _drawn(strategy: st.SearchStrategy[Any], many: int) -> list[Any]:
    found: list[Any] = []

    @settings(
        max_examples=many,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
        derandomize=True,
        database=None,
    )
    @given(strategy)
    def keep(one: Any) -> None:
        found.append(one)

    keep()
    return found


async def test_json_comes_through_as_itself() -> None:
    async with rendering([_body("{{ context()|tojson }}", parseAs="AsJson")]) as site:
        for one in _drawn(_VALUES, 400):
            answer = await site.ask(0, "POST", body=json.dumps([one]).encode())
            made = json.loads(answer.body)
            assert _same(made, [one]), (made, one)


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, float) and isinstance(b, float):
        return a == b and math.copysign(1, a) == math.copysign(1, b)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_same, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    return type(a) is type(b) and a == b


_TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=60)


async def test_texts_of_users_come_through_as_themselves() -> None:
    """In a template's text, in a constant, in a body: none of it is Lua, a format or a mark."""
    texts = [one for one in _drawn(_TEXTS, 150) if one.strip() == one and one]
    texts += [
        "]]",
        "]==]",
        "\\",
        "\\\\",
        "%s",
        "%REQ(x)%",
        "-- x",
        "\"'",
        "${x}",
        "\r\n",
        "end end",
        "x" * 20_000,
        "\u2028",
        "</script>",
    ]
    raw = [_body("{% raw %}" + one.replace("{%", "{") + "{% endraw %}.") for one in texts]
    constant = [_body('{{ "' + one.replace("\\", "\\\\").replace('"', '\\"') + '" }}.') for one in texts]
    async with rendering([*raw, *constant, _body("{{ body() }}.")]) as site:
        for number, one in enumerate(texts):
            assert (await site.ask(number)).body.decode() == one.replace("{%", "{") + "."
            assert (await site.ask(len(texts) + number)).body.decode() == one + "."
            assert (await site.ask(2 * len(texts), "POST", body=one.encode())).body.decode() == one + "."


async def test_the_longest_template_is_taken() -> None:
    whole = "{{ 1 }}" * (LONGEST // 7)
    async with rendering([_body(whole)]) as site:
        assert (await site.ask(0)).body == b"1" * (LONGEST // 7)
