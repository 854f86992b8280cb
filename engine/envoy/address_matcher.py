"""Decides by a client's address, of all ranges that it is within by the narrowest; it knows no policy.

xDS has a matcher for just that (IPMatcher), which Envoy 1.40 calls unfinished and keeps out of its threat model.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Final

from envoy_data_plane.envoy.config.core.v3 import CidrRange
from envoy_data_plane.envoy.extensions.matching.common_inputs.network.v3 import SourceIpInput
from envoy_data_plane.envoy.extensions.matching.input_matchers.ip.v3 import Ip
from envoy_data_plane.xds.core.v3 import TypedExtensionConfig
from envoy_data_plane.xds.type.matcher.v3 import Matcher, MatcherMatcherListPredicate

from engine.envoy.matcher import extension, first_of, single
from engine.envoy.wire import construct

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Verdict = tuple[str, bool]
"""A name, and whether the client is let through."""
_MAPPED: Final = ipaddress.IPv6Network("::ffff:0:0/96")
"""Where an address of IPv4 lies when it is written as one of IPv6."""


def by_narrowest(
    verdicts: Mapping[Network, Verdict], otherwise: Verdict, actions: Mapping[Verdict, TypedExtensionConfig]
) -> Matcher:
    """The action of the narrowest range that a client's address is within."""
    choices = [(_within(ranges), actions[verdict]) for ranges, verdict in _in_order(verdicts, otherwise)]
    return first_of(choices, actions[otherwise])


def network_of(text: str) -> Network:
    """A range, or an address as one. Raises ValueError in words for what is none, or has bits behind its prefix."""
    try:
        found = ipaddress.ip_network(text, strict=False)
    except ValueError:
        msg = f"{text[:64]!r} is no address and no range: write it as in 10.0.0.0/8"
        raise ValueError(msg) from None
    if "%" in text or ("/" in text and not text.rpartition("/")[2].isdecimal()):
        msg = f"{text[:64]!r} is no address and no range: write it as in 10.0.0.0/8"
        raise ValueError(msg)
    if found.network_address != ipaddress.ip_address(text.partition("/")[0]):
        msg = f"{text!r} has bits behind its prefix: write {found}"
        raise ValueError(msg)
    if isinstance(found, ipaddress.IPv6Network) and found.subnet_of(_MAPPED):
        return ipaddress.IPv4Network((int(found.network_address) & (2**32 - 1), found.prefixlen - 96))
    return found


def _in_order(verdicts: Mapping[Network, Verdict], otherwise: Verdict) -> list[tuple[list[Network], Verdict]]:
    """Ranges of one length and verdict together, the narrowest first; those of IPv4 before those of IPv6."""

    def rank(one: Network) -> tuple[int, int, Verdict]:
        return (one.version, -one.prefixlen, verdicts[one])

    found = [
        (sorted(ranges), verdict)
        for (_, _, verdict), ranges in groupby(sorted(verdicts, key=rank), rank)
    ]  # fmt: skip
    wide = [one for one in verdicts if isinstance(one, ipaddress.IPv6Network) and _MAPPED.subnet_of(one)]
    if wide:
        place = sum(one[0].version == 4 for one, _ in found)
        found.insert(place, ([ipaddress.IPv4Network("0.0.0.0/0")], otherwise))
    return found


def _within(ranges: Sequence[Network]) -> MatcherMatcherListPredicate:
    about = extension(
        "envoy.matching.inputs.source_ip",
        "envoy.extensions.matching.common_inputs.network.v3.SourceIPInput",
        construct(SourceIpInput),
    )
    found = [one for each in ranges for one in (each, *_as_mapped(each))]
    cidrs = [construct(CidrRange, address_prefix=str(one.network_address), prefix_len=one.prefixlen) for one in found]
    match = extension(
        "envoy.matching.matchers.ip",
        "envoy.extensions.matching.input_matchers.ip.v3.Ip",
        construct(Ip, cidr_ranges=cidrs, stat_prefix="acl"),
    )
    return single(about, match)


def _as_mapped(one: Network) -> tuple[Network, ...]:
    """The same addresses as IPv6 has them: a client's may be written so in x-forwarded-for."""
    if isinstance(one, ipaddress.IPv6Network):
        return ()
    return (ipaddress.IPv6Network((int(_MAPPED.network_address) + int(one.network_address), 96 + one.prefixlen)),)
