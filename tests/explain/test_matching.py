"""What explain takes of Envoy's own rules: domains, paths, conditions, shares."""

from __future__ import annotations

import pytest
from envoy_data_plane.envoy.config.route.v3 import HeaderMatcher, QueryParameterMatcher, RouteMatch
from envoy_data_plane.envoy.type.matcher.v3 import RegexMatchAndSubstitute, RegexMatcher, StringMatcher
from envoy_data_plane.envoy.type.v3 import Int64Range

from engine.history.explain.action import replaced
from engine.history.explain.matcher import of_header, of_query
from engine.history.explain.path import merged, normalized
from engine.history.explain.request import Seen, request_of
from engine.history.explain.route import takes
from engine.history.explain.virtual_host import domain_of


@pytest.mark.parametrize(
    ("host", "wants"),
    [
        ("a.example.com", "a.example.com"),
        ("A.Example.COM:8080", "a.example.com"),
        ("x.a.example.com", "*.a.example.com"),
        ("b.example.com", "*.example.com"),
        ("y.b.example.com", "*.example.com"),
        ("example.com", "*"),
        (".example.com", "*"),
        ("[::1]:80", "[::1]"),
    ],
)
def test_a_domain_is_chosen_by_its_length(host: str, wants: str) -> None:
    known = ["*", "*.example.com", "*.a.example.com", "a.example.com", "[::1]"]
    assert domain_of(known, host, ignore_port=True) == wants


def test_a_port_counts_where_it_is_not_ignored() -> None:
    assert domain_of(["a.example.com"], "a.example.com:80", ignore_port=False) is None


@pytest.mark.parametrize(
    ("path", "wants"),
    [
        ("/a/./b/../c?x=/../y", "/a/c?x=/../y"),
        ("/a/%2e%2E/b", "/b"),
        ("/%41%2F%7e", "/A%2F~"),
        ("/..", "/"),
        ("/a/..", "/"),
        ("/a/.", "/a/"),
        ("/a\\b", "/a/b"),
        ("/a%zz", "/a%zz"),
        ("/a%00", None),
    ],
)
def test_a_path_is_made_plain(path: str, wants: str | None) -> None:
    assert normalized(path) == wants


def test_slashes_are_merged_before_the_query() -> None:
    assert merged("//a///b/?c=//d") == "/a/b/?c=//d"


def seen(path: str = "/", **headers: str) -> Seen:
    return Seen({":path": path, ":method": "GET", **{name.replace("_", "-"): value for name, value in headers.items()}})


_ONE = StringMatcher(exact="1")


@pytest.mark.parametrize(
    ("matcher", "there", "missing"),
    [
        (HeaderMatcher(name="x", string_match=_ONE), True, False),
        (HeaderMatcher(name="x", string_match=StringMatcher(exact="1a", ignore_case=True)), False, False),
        (HeaderMatcher(name="x", string_match=_ONE, invert_match=True), False, False),
        (HeaderMatcher(name="x", string_match=StringMatcher(exact="2"), invert_match=True), True, False),
        (HeaderMatcher(name="x", string_match=_ONE, invert_match=True, treat_missing_header_as_empty=True), False, True),
        (HeaderMatcher(name="x", present_match=True), True, False),
        (HeaderMatcher(name="x", present_match=False), False, True),
        (HeaderMatcher(name="x", present_match=True, invert_match=True), False, True),
        (HeaderMatcher(name="x"), True, False),
        (HeaderMatcher(name="x", range_match=Int64Range(start=1, end=2)), True, False),
        (HeaderMatcher(name="x", range_match=Int64Range(start=0, end=1)), False, False),
        (HeaderMatcher(name="x", string_match=StringMatcher(safe_regex=RegexMatcher(regex="1?"))), True, False),
        (HeaderMatcher(name="x", string_match=StringMatcher(safe_regex=RegexMatcher(regex="1."))), False, False),
    ],
)
def test_a_header_that_is_there_and_one_that_is_not(matcher: HeaderMatcher, *, there: bool, missing: bool) -> None:
    assert of_header(matcher, seen(x="1")).holds is there
    assert of_header(matcher, seen()).holds is missing


def test_the_first_of_a_query_parameter_counts_as_it_is_written() -> None:
    matcher = QueryParameterMatcher(name="p", string_match=_ONE)
    assert of_query(matcher, seen("/?p=1&p=2")).holds
    assert not of_query(matcher, seen("/?p=2&p=1")).holds
    assert not of_query(matcher, seen("/?p=%31")).holds
    assert not of_query(matcher, seen("/")).holds


@pytest.mark.parametrize(
    ("match", "path", "wants"),
    [
        (RouteMatch(path_separated_prefix="/a"), "/a/b?c", True),
        (RouteMatch(path_separated_prefix="/a"), "/ab", False),
        (RouteMatch(path="/A", case_sensitive=False), "/a?b", True),
        (RouteMatch(safe_regex=RegexMatcher(regex="/a.*")), "/b/a", False),
        (RouteMatch(prefix="/"), "/", True),
    ],
)
def test_a_path(match: RouteMatch, path: str, *, wants: bool) -> None:
    assert takes(match, seen(path)) is wants


@pytest.mark.parametrize(
    ("pattern", "substitution", "text", "wants"),
    [
        ("^/a/(.*)$", r"/b/\1", "/a/c", "/b/c"),
        ("a*", "x", "baac", "xbxcx"),
        ("/", r"\\", "/a/", "\\a\\"),
        ("z", "y", "/a", "/a"),
    ],
)
def test_all_that_matches_is_replaced(pattern: str, substitution: str, text: str, wants: str) -> None:
    rewrite = RegexMatchAndSubstitute(pattern=RegexMatcher(regex=pattern), substitution=substitution)
    assert replaced(rewrite, text) == wants


def test_a_url_is_a_request() -> None:
    found = request_of("GET", "https://shop.example.com:8443/pay?a=b", [("Host", "other"), ("x", "1")])
    assert (found.host, found.sni, found.port, found.path) == ("other", "shop.example.com", 8443, "/pay?a=b")
    assert found.headers == (("x", "1"),)
    assert request_of("GET", "http://[::1]").port == 80
    with pytest.raises(ValueError, match="is no URL"):
        request_of("GET", "shop.example.com")


def test_each_of_several_headers_is_held_by_itself() -> None:
    """Envoy 1.39 and newer; found by the random tables."""
    several = seen()
    for value in ("1", "2"):
        several.put("x", value, beside=True)
    exact, joined = (HeaderMatcher(name="x", string_match=StringMatcher(exact=one)) for one in ("2", "1,2"))
    assert of_header(exact, several).holds
    assert not of_header(joined, several).holds
    assert several.header("x") == "1,2"
