"""useRemoteAddress, xffNumTrustedHops, xffTrustedCIDRs and skipXFFAppend: whom to believe who the client is."""

from __future__ import annotations

import ipaddress
from typing import Any, Final

from envoy_data_plane.envoy.config.core.v3 import CidrRange
from envoy_data_plane.envoy.extensions.http.original_ip_detection.xff.v3 import XffConfig, XffTrustedCidrs

from engine.envoy.typed import extension
from engine.envoy.wire import construct
from engine.graph.reader import Reader
from engine.policies.listener.feature import Effect, Feature, Given, both, managed
from engine.resolve.manifest import texts
from engine.resolve.values import Problem

_REMOTE: Final = "httpSettings.useRemoteAddress"
_HOPS: Final = "httpSettings.xffNumTrustedHops"
_RANGES: Final = "httpSettings.xffTrustedCIDRs"
_SKIP: Final = "httpSettings.skipXFFAppend"


def effect(graph: Reader, given: Given) -> Effect:  # noqa: ARG001  as every feature
    """Ranges or hops. Where policies say both, or also that nobody is to be believed, the ranges are left out."""
    values: dict[str, Any] = {}
    if given.has(_REMOTE):
        values["use_remote_address"] = bool(given.value(_REMOTE))
    if given.has(_HOPS):
        values["xff_num_trusted_hops"] = int(given.value(_HOPS))
    if given.has(_SKIP):
        values["skip_xff_append"] = bool(given.value(_SKIP))
    if not given.has(_RANGES):
        return managed(**values)
    others = [name for name in (_HOPS, _REMOTE) if given.value(name)]
    if others:
        policy, other = given.policy(_RANGES), given.policy(others[0])
        text = f"xffTrustedCIDRs is left out, for {other.kind} {other.namespace}/{other.name} sets {_short(others[0])}"
        return both([managed(**values), Effect(problems=((policy, Problem("Invalid", text)),))])
    return managed(original_ip_detection_extensions=[_ranges(given)], use_remote_address=False)


def _short(field: str) -> str:
    return field.rpartition(".")[2]


def _ranges(given: Given) -> Any:
    networks = [ipaddress.ip_network(one, strict=False) for one in texts(given.value(_RANGES))]
    cidrs = [
        construct(CidrRange, address_prefix=str(one.network_address), prefix_len=one.prefixlen) for one in networks
    ]
    config = construct(
        XffConfig, xff_trusted_cidrs=construct(XffTrustedCidrs, cidrs=cidrs), skip_xff_append=given.value(_SKIP)
    )
    name = "envoy.extensions.http.original_ip_detection.xff.v3.XffConfig"
    return extension("envoy.http.original_ip_detection.xff", name, config)


FEATURE: Final = Feature((_REMOTE, _HOPS, _RANGES, _SKIP), effect)
