"""Every regular expression is judged as the real Envoy judges it, wherever a route may have one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from envoy_data_plane.envoy.config.route.v3 import (
    DirectResponseAction,
    HeaderMatcher,
    QueryParameterMatcher,
    Route,
    RouteMatch,
    VirtualHost,
)
from envoy_data_plane.envoy.type.matcher.v3 import RegexMatcher, StringMatcher
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.envoy.wire import construct
from engine.models.texts import REGEX_PROGRAM_SIZE, regex_problem
from streams.sinks.bootstrap import bootstrap
from tests.envoy.judge import verdict

GOOD = (
    "/a", "/v[0-9]+/.*", "(?i)/a", r"/\pL+", r"\PN", r"\p{Greek}", r"\p{^Greek}", "/.{150}", "/.{497}", "/[^/]{200}",
    r"/\xff", r"/\x{ff}", "[^a]{400}", "[[:word:]]", r"\C", r"\Qé\E", "/é+", "/[é]", "/[é-à]", "(?i)é", "/[Ā-€]",
    "/\U0001f600+", "a\0b", "a{996}", "(a{900})(b{90})", "(?P<a>b)", "a*?", "(?s).", r"\bа\b", "|",
)  # fmt: skip

BAD = (
    r"/\x{100}", r"/[^\x00-\x{10FFFF}]", r"/\p{Letter}+", "(?P<é>a)", "/[", "/(", "/a)", "*", "a**", r"\1", "(?=a)",
    "(?<!a)", "a(?!b)", r"\Z", "/.{498}", "/.{1001}", "a{997}", r"\pN{1000}", "[z-a]", "((a{100}){100}){100}", "\\",
)  # fmt: skip


def _in_path(pattern: str) -> RouteMatch:
    return construct(RouteMatch, safe_regex=construct(RegexMatcher, regex=pattern))


def _in_header(pattern: str) -> RouteMatch:
    value = construct(StringMatcher, safe_regex=construct(RegexMatcher, regex=pattern))
    return construct(RouteMatch, prefix="/", headers=[construct(HeaderMatcher, name="x", string_match=value)])


def _in_query(pattern: str) -> RouteMatch:
    value = construct(StringMatcher, safe_regex=construct(RegexMatcher, regex=pattern))
    query = construct(QueryParameterMatcher, name="x", string_match=value)
    return construct(RouteMatch, prefix="/", query_parameters=[query])


PLACES: dict[str, Callable[[str], RouteMatch]] = {"path": _in_path, "header": _in_header, "query": _in_query}


async def is_taken(place: str, *patterns: str) -> bool:
    """Whether Envoy takes routes that have the patterns there."""
    nothing = construct(DirectResponseAction, status=500)
    routes = [
        construct(Route, name=f"r{number}", match=PLACES[place](pattern), direct_response=nothing)
        for number, pattern in enumerate(patterns)
    ]
    taken, _ = await verdict(construct(VirtualHost, name="judged", domains=["*"], routes=routes))
    return taken


@pytest.mark.parametrize("pattern", GOOD)
def test_taken(pattern: str) -> None:
    assert regex_problem(pattern) is None


@pytest.mark.parametrize("place", PLACES)
async def test_envoy_takes_what_is_taken(place: str) -> None:
    assert await is_taken(place, *GOOD)


@pytest.mark.parametrize("pattern", BAD)
async def test_refused(pattern: str) -> None:
    assert regex_problem(pattern) is not None
    assert not await is_taken("path", pattern)


@pytest.mark.parametrize("place", ["header", "query"])
async def test_envoy_rejects_it_elsewhere(place: str) -> None:
    for pattern in (r"\x{100}", ".{499}", r"\p{Letter}"):
        assert regex_problem(pattern) is not None
        assert not await is_taken(place, pattern)


PARTS = (
    "a", "é", "/", ".", "*", "+", "?", "|", "(", ")", "(?:", "(?i)", "[", "]", "[^", "-", "^", "$", r"\pL", r"\PN",
    r"\p{Greek}", r"\x{ff}", r"\x{100}", r"\x41", r"\d", r"\W", r"\C", r"\Q", r"\E", "{3}", "{90}", "{1000}", "{2,}",
    "[[:alpha:]]", "(?P<n>", "(?P<é>", "\U0001f600",
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(PARTS), min_size=1, max_size=8).map("".join))
def test_envoy_agrees_on_anything(pattern: str) -> None:
    problem = regex_problem(pattern)
    assert asyncio.run(is_taken("path", pattern)) == (problem is None), problem


def test_proxies_are_started_with_the_size_that_is_judged_by() -> None:
    layer = bootstrap("a/b", "p", "/s", "t")["layered_runtime"]["layers"][0]["static_layer"]
    assert layer["re2.max_program_size.error_level"] == REGEX_PROGRAM_SIZE


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        (r"\x{100}", r"Envoy matches bytes: write a character as its bytes in UTF-8, as \xc4\x80 for \x{100}"),
        ("(?=a)", "RE2 has no look-around and no back-references"),
        ("/.{498}", f"(program size 1001, at most {REGEX_PROGRAM_SIZE})"),
    ],
)
def test_what_is_said(pattern: str, said: str) -> None:
    assert said in (regex_problem(pattern) or "")
