"""kgateway's annotations of a route that count for the route itself; what of them cannot be read is told."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final, NamedTuple

from engine.graph.reader import Json, Reader
from engine.resolve.manifest import mapping, metadata_of
from engine.resolve.settings import settings
from engine.resolve.values import Destination, Problem, Redirect, Rule

WEIGHT: Final = "kgateway.dev/route-weight"
REDIRECT: Final = "kgateway.dev/http-redirect-status-code"

_NUMBER: Final = re.compile("[+-]?[0-9]{1,10}")
_INT32: Final = 2**31
_CODES: Final = ("301", "302", "303", "307", "308")


class Annotated(NamedTuple):
    """`weight` goes before all other precedence, the higher first, None where it does not count.

    `code` is that of all redirects, None for what their filters say.
    """

    weight: int | None = None
    code: int | None = None
    problems: tuple[Problem, ...] = ()


def annotated(graph: Reader, object_: Json) -> Annotated:
    """The annotations of a route."""
    found = mapping(metadata_of(object_).get("annotations"))
    problems = []
    weight = 0 if settings(graph).weighted_route_precedence else None
    if weight is not None and WEIGHT in found:
        text = str(found[WEIGHT]).strip()
        if _NUMBER.fullmatch(text) and -_INT32 <= int(text) < _INT32:
            weight = int(text)
        else:
            problems.append(_unread(WEIGHT, text, f"a whole number from {-_INT32} to {_INT32 - 1}", "it counts as 0"))
    code = None
    if REDIRECT in found:
        text = str(found[REDIRECT]).strip()
        if text in _CODES:
            code = int(text)
        else:
            problems.append(_unread(REDIRECT, text, f"one of {', '.join(_CODES)}", "the filters' codes count"))
    return Annotated(weight, code, tuple(problems))


def _unread(name: str, text: str, allowed: str, so: str) -> Problem:
    return Problem("UnsupportedValue", f"metadata.annotations.{name}: {text[:32]!r} is not {allowed}: {so} until it is")


def redirected(rule: Rule, code: int | None) -> Rule:
    """The rule with a code for all its redirects."""
    if code is None:
        return rule
    destinations = tuple(_destination(one, code) for one in rule.destinations)
    return replace(rule, redirect=_redirect(rule.redirect, code), destinations=destinations)


def _destination(one: Destination, code: int) -> Destination:
    return replace(one, redirect=_redirect(one.redirect, code)) if one.redirect is not None else one


def _redirect(value: Redirect | None, code: int) -> Redirect | None:
    return None if value is None else replace(value, status=code)
