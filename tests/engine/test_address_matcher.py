"""Of all ranges that an address is within the narrowest counts, in whatever order they are written."""

from __future__ import annotations

import ipaddress

import pytest
from envoy_data_plane.envoy.config.core.v3 import CidrRange
from envoy_data_plane.envoy.extensions.matching.input_matchers.ip.v3 import Ip
from hypothesis import given
from hypothesis import strategies as st

from engine.envoy.address_matcher import Network, Verdict, by_narrowest, network_of
from engine.envoy.matcher import extension
from engine.envoy.typed import unpacked

_NAMES = ("a", "b", "c", "default")
_ACTIONS = {(name, allow): extension(f"{name}-{allow}", "", Ip()) for name in _NAMES for allow in (True, False)}
_V4 = st.integers(0, 2**12 - 1).map(lambda one: ipaddress.IPv4Address(one << 20 | one))
_V6 = st.integers(0, 2**12 - 1).map(lambda one: ipaddress.IPv6Address(one << 116 | one))
_ADDRESSES = st.one_of(_V4, _V6)


@st.composite
def _networks(draw: st.DrawFn) -> Network:
    address = draw(_ADDRESSES)
    length = draw(st.integers(0, address.max_prefixlen))
    return ipaddress.ip_network((int(address), length) if address.version == 4 else f"{address}/{length}", strict=False)


_VERDICTS = st.tuples(st.sampled_from(_NAMES[:3]), st.booleans())


def _decided(verdicts: dict[Network, Verdict], otherwise: Verdict, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    """As Envoy walks the tree."""
    tree = by_narrowest(verdicts, otherwise, _ACTIONS)
    for one in tree.matcher_list.matchers if tree.matcher_list is not None else ():
        assert one.predicate is not None
        assert one.on_match is not None
        assert one.on_match.action is not None
        single = one.predicate.single_predicate
        assert single is not None
        assert single.custom_match is not None
        assert single.custom_match.typed_config is not None
        match = unpacked(single.custom_match.typed_config)
        assert isinstance(match, Ip)
        if any(address in _network(each) for each in match.cidr_ranges):
            return one.on_match.action.name
    assert tree.on_no_match is not None
    assert tree.on_no_match.action is not None
    return tree.on_no_match.action.name


def _network(one: CidrRange) -> Network:
    return ipaddress.ip_network(f"{one.address_prefix}/{one.prefix_len}")


@given(st.dictionaries(_networks(), _VERDICTS, max_size=12), _VERDICTS, _ADDRESSES)
def test_the_narrowest_counts(
    verdicts: dict[Network, Verdict], otherwise: Verdict, address: ipaddress.IPv4Address | ipaddress.IPv6Address
) -> None:
    within = [one for one in verdicts if address in one]
    name, allow = verdicts[max(within, key=lambda one: one.prefixlen)] if within else otherwise
    assert _decided(verdicts, otherwise, address) == f"{name}-{allow}"
    if isinstance(address, ipaddress.IPv4Address):
        mapped = ipaddress.IPv6Address(f"::ffff:{address}")
        assert _decided(verdicts, otherwise, mapped) == f"{name}-{allow}"


@given(st.dictionaries(_networks(), _VERDICTS, max_size=12))
def test_the_order_in_which_they_are_written_says_nothing(verdicts: dict[Network, Verdict]) -> None:
    turned = dict(reversed(verdicts.items()))
    assert by_narrowest(verdicts, ("a", True), _ACTIONS) == by_narrowest(turned, ("a", True), _ACTIONS)


@pytest.mark.parametrize(
    ("text", "found"),
    {"10.0.0.0/8": "10.0.0.0/8", "10.1.2.3": "10.1.2.3/32", "::1": "::1/128", "::ffff:10.0.0.0/104": "10.0.0.0/8"}.items(),
)
def test_a_range_or_an_address(text: str, found: str) -> None:
    assert str(network_of(text)) == found


@pytest.mark.parametrize("text", ["", "all", "10.0.0.1/8", "10.0.0.0/33", "fe80::1%1", "10.0.0.0/255.0.0.0", "10.0.0/8", "/8"])
def test_what_is_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no address and no range|has bits behind its prefix"):
        network_of(text)
