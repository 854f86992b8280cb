"""Which action a tree of conditions (xDS's Matcher) chooses for a request: by the client's address, or not known."""

from __future__ import annotations

import ipaddress
from typing import Any

from envoy_data_plane.envoy.extensions.matching.input_matchers.ip.v3 import Ip
from envoy_data_plane.xds.core.v3 import TypedExtensionConfig
from envoy_data_plane.xds.type.matcher.v3 import Matcher, MatcherMatcherListPredicate

from engine.envoy.typed import unpacked
from engine.history.explain.request import Seen


class Undecidable(ValueError):  # noqa: N818
    """A condition is of what is not known here."""


def chosen(matcher: Matcher, seen: Seen) -> TypedExtensionConfig | None:
    """The action of the first whose predicate holds, else the other. Raises Undecidable."""
    for one in matcher.matcher_list.matchers if matcher.matcher_list is not None else []:
        if one.predicate is not None and _holds(one.predicate, seen):
            return _of(one.on_match, seen)
    return _of(matcher.on_no_match, seen)


def _of(match: Any, seen: Seen) -> TypedExtensionConfig | None:
    if match is None:
        return None
    return chosen(match.matcher, seen) if match.matcher is not None else match.action


def _holds(predicate: MatcherMatcherListPredicate, seen: Seen) -> bool:
    if predicate.or_matcher is not None:
        return any(_holds(one, seen) for one in predicate.or_matcher.predicate)
    if predicate.and_matcher is not None:
        return all(_holds(one, seen) for one in predicate.and_matcher.predicate)
    if predicate.not_matcher is not None:
        return not _holds(predicate.not_matcher, seen)
    single = predicate.single_predicate
    config = single.custom_match.typed_config if single is not None and single.custom_match is not None else None
    inside = unpacked(config) if config is not None else None
    if not isinstance(inside, Ip):
        raise Undecidable
    client = ipaddress.ip_address(seen.client)
    ranges = [ipaddress.ip_network(f"{one.address_prefix}/{one.prefix_len or 0}") for one in inside.cidr_ranges]
    return any(client.version == one.version and client in one for one in ranges)
