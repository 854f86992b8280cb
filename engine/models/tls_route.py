"""TLSRoute (gateway.networking.k8s.io/v1, experimental channel of v1.6)."""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import Field

from engine.models.base import Model, Object
from engine.models.kind import Kind
from engine.models.route import ParentRefs, StreamRules, UseDefaultGateways
from engine.models.rules import Rule, Rules
from engine.models.texts import SUBDOMAIN, Hostname, is_address

_NAME: Final = r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*)$"
_SUBDOMAIN = re.compile(SUBDOMAIN.removesuffix("$"))


def _is_name(text: str) -> bool:
    return _SUBDOMAIN.fullmatch(text) is not None


_HOSTNAMES = Rules(
    (
        Rule(
            "self.all(h, !isIP(h))",
            "Hostnames cannot contain an IP",
            lambda self: not any(is_address(one) for one in self),
        ),
        Rule(
            f"self.all(h, !h.contains('*') ? h.matches('{_NAME}') : true)",
            "Hostnames must be valid based on RFC-1123",
            lambda self: all("*" in one or _is_name(one) for one in self),
        ),
        Rule(
            f"self.all(h, h.contains('*') ? (h.startsWith('*.') && h.substring(2).matches('{_NAME}')) : true)",
            "Wildcards on hostnames must be the first label, and the rest of hostname must be valid based on RFC-1123",
            lambda self: all("*" not in one or (one.startswith("*.") and _is_name(one[2:])) for one in self),
        ),
    )
)


class TLSRouteSpec(Model):
    """TLSRouteSpec."""

    parent_refs: ParentRefs = ()
    hostnames: Annotated[tuple[Hostname, ...], Field(min_length=1, max_length=1024), _HOSTNAMES]
    rules: StreamRules
    use_default_gateways: UseDefaultGateways = None


class TLSRoute(Object):
    """A TLSRoute."""

    spec: TLSRouteSpec


KINDS = (Kind("gateway.networking.k8s.io", "TLSRoute", "tlsroutes", ("v1", "v1alpha3", "v1alpha2"), TLSRoute),)
