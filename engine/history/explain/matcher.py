"""Envoy's conditions on a text, a header or a query parameter, and the same in words."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final, NamedTuple

import re2
from envoy_data_plane.envoy.config.route.v3 import HeaderMatcher, QueryParameterMatcher
from envoy_data_plane.envoy.type.matcher.v3 import RegexMatcher, StringMatcher

from engine.envoy.wire import construct
from engine.history.explain.request import Seen

_NUMBER: Final = re.compile(r"-?[0-9]{1,19}")
_WORDS: Final = {"prefix": "begins with", "suffix": "ends with", "contains": "contains"}


class Wanted(NamedTuple):
    """A condition: `holds` of a value, None for one that is not there; `words` say it."""

    words: str
    holds: bool


@lru_cache(maxsize=4096)
def compiled(pattern: str) -> Any:
    """A regular expression of Envoy's dialect."""
    return re2.compile(pattern)


def matches_whole(pattern: str, text: str) -> bool:
    """Whether it matches all of a text: Envoy never looks for a part."""
    return compiled(pattern).fullmatch(text) is not None


def of_text(matcher: StringMatcher, text: str) -> Wanted:
    """A StringMatcher on a text that is there."""
    if matcher.safe_regex is not None:
        pattern = matcher.safe_regex.regex
        return Wanted(f"matches {pattern}", matches_whole(pattern, text))
    cased = str.lower if matcher.ignore_case else str
    suffix = " in any case" if matcher.ignore_case else ""
    for name, test in (("prefix", str.startswith), ("suffix", str.endswith), ("contains", str.__contains__)):
        value = getattr(matcher, name)
        if value is not None:
            return Wanted(f"{_WORDS[name]} {value}{suffix}", test(cased(text), cased(value)))
    value = matcher.exact or ""
    return Wanted(f"is {value}{suffix}", cased(text) == cased(value))


def of_header(matcher: HeaderMatcher, seen: Seen) -> Wanted:
    """A HeaderMatcher on a request: of several headers of the name one has to match.

    One that is not there matches only where that is asked, or it counts as empty.
    """
    values = seen.values(matcher.name)
    if matcher.present_match is not None or _says_nothing(matcher):
        wants = matcher.present_match is not False
        words = "is there" if wants != matcher.invert_match else "is not there"
        return Wanted(words, (bool(values) == wants) != matcher.invert_match)
    if not values and matcher.treat_missing_header_as_empty:
        values = ("",)
    found = [_of_value(matcher, one) for one in values or ("",)]
    words = f"not: {found[0].words}" if matcher.invert_match else found[0].words
    return Wanted(words, bool(values) and any(one.holds for one in found) != matcher.invert_match)


def _says_nothing(matcher: HeaderMatcher) -> bool:
    return all(
        one is None
        for one in (
            matcher.string_match,
            matcher.exact_match,
            matcher.safe_regex_match,
            matcher.range_match,
            matcher.prefix_match,
            matcher.suffix_match,
            matcher.contains_match,
        )
    )


def _of_value(matcher: HeaderMatcher, value: str) -> Wanted:
    if matcher.range_match is not None:
        start, end = matcher.range_match.start, matcher.range_match.end
        return Wanted(f"is a number from {start} to below {end}", _is_number(value) and start <= int(value) < end)
    return of_text(matcher.string_match or _older(matcher), value)


def _older(matcher: HeaderMatcher) -> StringMatcher:
    """The same condition of the fields that string_match replaces."""
    if matcher.safe_regex_match is not None:
        return construct(StringMatcher, safe_regex=construct(RegexMatcher, regex=matcher.safe_regex_match.regex))
    return construct(
        StringMatcher,
        exact=matcher.exact_match,
        prefix=matcher.prefix_match,
        suffix=matcher.suffix_match,
        contains=matcher.contains_match,
    )


def _is_number(text: str) -> bool:
    """Of Envoy's 64 bits; a client may write any number of digits, and digits of any script."""
    return _NUMBER.fullmatch(text) is not None


def of_query(matcher: QueryParameterMatcher, seen: Seen) -> Wanted:
    """A QueryParameterMatcher: the first parameter of the name counts."""
    value = seen.query.get(matcher.name)
    if matcher.string_match is None:
        wants = matcher.present_match is not False
        return Wanted("is there" if wants else "is not there", (value is not None) == wants)
    found = of_text(matcher.string_match, value or "")
    return Wanted(found.words, value is not None and found.holds)
