"""What a rule takes over from the rules that delegate to it: the Gateway API's filters, timeouts and the like.

Values only: it reads nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final

from engine.resolve.values import Destination, Match, PathChange, PathType, Redirect, Rewrite, Rule

_FIELDS: Final = (
    "rewrite",
    "request_headers",
    "response_headers",
    "mirrors",
    "cors",
    "timeouts",
    "retry",
    "session",
)
_UNSET: Final = Rule()


def inherited(above: Iterable[tuple[Rule, bool]], rule: Rule) -> Rule:
    """The rule with what it does not say itself, from the nearest of those `above` (the first of all first).

    With True a rule above wins where both say something (kgateway.dev/inherited-policy-priority).
    """
    if rule.replaced is not None:
        return rule
    first: dict[str, Any] = {}
    prefers = False
    for one, its in above:
        own = {name: getattr(one, name) for name in _FIELDS if getattr(one, name) != getattr(_UNSET, name)}
        first = own | first if prefers else first | own
        prefers = its
    own = {name: getattr(rule, name) for name in _FIELDS if getattr(rule, name) != getattr(_UNSET, name)}
    return replace(rule, **(own | first if prefers else first | own))


def placed(rule: Rule, match: Match) -> Rule:
    """The rule with its path modifiers told which prefix it is that they replace: the match's, as it stands."""
    return replace(
        rule,
        rewrite=_rewrite(rule.rewrite, match),
        redirect=_redirect(rule.redirect, match),
        destinations=tuple(_destination(one, match) for one in rule.destinations),
    )


def _destination(one: Destination, match: Match) -> Destination:
    if one.rewrite is None and one.redirect is None:
        return one
    return replace(one, rewrite=_rewrite(one.rewrite, match), redirect=_redirect(one.redirect, match))


def _rewrite(value: Rewrite | None, match: Match) -> Rewrite | None:
    return None if value is None else replace(value, path=_path(value.path, match))


def _redirect(value: Redirect | None, match: Match) -> Redirect | None:
    return None if value is None else replace(value, path=_path(value.path, match))


def _path(value: PathChange | None, match: Match) -> PathChange | None:
    if value is None or value.full is not None:
        return value
    if match.path_type is PathType.REGEX:
        return PathChange(full=value.prefix or "/")  # what a regular expression matches is the whole path
    return replace(value, matched=match.path)
