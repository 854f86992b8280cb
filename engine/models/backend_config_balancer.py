"""The `loadBalancer` of a BackendConfigPolicy."""

from __future__ import annotations

import math
import re
from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field

from engine.models.base import Model
from engine.models.duration import Span
from engine.models.rules import Rule, Ruled, Rules, at_least_one, exactly_one
from engine.models.texts import INT32, has_control_characters, is_token

_Positive = Annotated[int, Field(ge=1, le=INT32, json_schema_extra={"format": "int32"})]
_Int64 = Annotated[int, Field(ge=0, json_schema_extra={"format": "int64"})]
_Percent = Annotated[int, Field(ge=0, le=100, json_schema_extra={"format": "int32"})]
_NUMBER: Final = r"^-?(?:[0-9]+(?:\\.[0-9]*)?|\\.[0-9]+)$"
_IS_NUMBER = re.compile(_NUMBER.replace("\\\\", "\\"))
_ABOVE_ZERO = Rules(
    (
        Rule(
            f"(self.matches('{_NUMBER}') && double(self) > 0.0)",
            "Aggression, if specified, must be a string representing a number greater than 0.0",
            lambda text: bool(_IS_NUMBER.match(text)) and 0.0 < float(text) < math.inf,
        ),
    )
)


class SlowStart(Model):
    """How a host that comes anew is let in on its share."""

    window: Span | None = None
    aggression: Annotated[str, _ABOVE_ZERO] | None = None
    min_weight_percent: _Percent | None = None


class LeastRequest(Model):
    """Of a few hosts the one with the fewest requests."""

    choice_count: Annotated[int, Field(ge=-INT32 - 1, le=INT32, json_schema_extra={"format": "int32"})] = 2
    slow_start: SlowStart | None = None


class RoundRobin(Model):
    """One host after the other."""

    slow_start: SlowStart | None = None


class HashHeader(Ruled):
    """A header whose value is hashed."""

    name: Annotated[str, Field(min_length=1)]

    def beyond(self) -> tuple[tuple[str, str], ...]:
        """Envoy takes names of headers only; one that it does not take would cost the routes."""
        return () if is_token(self.name) else (("name", f"{self.name[:64]!r} is no header's name"),)


class HashCookie(Ruled):
    """A cookie whose value is hashed; with a `ttl` Envoy makes one where there is none."""

    name: Annotated[str, Field(min_length=1)]
    path: str | None = None
    ttl: Annotated[Span, Field(description="0s for a cookie that ends with the session.")] | None = None
    secure: bool | None = None
    http_only: bool | None = None
    same_site: Literal["Strict", "Lax", "None"] | None = None

    def beyond(self) -> tuple[tuple[str, str], ...]:
        """What would break the header that makes the cookie (RFC 6265 §4.1.1)."""
        found = []
        if not is_token(self.name):
            found.append(("name", f"{self.name[:64]!r} is no cookie's name"))
        if self.path and (has_control_characters(self.path) or ";" in self.path or not self.path.isascii()):
            found.append(("path", f"{self.path[:64]!r} is no cookie's path"))
        return tuple(found)


class SourceIp(Model):
    """The client's address."""


class HashPolicy(Ruled):
    """What of a request is hashed."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        exactly_one(("header", "header"), ("cookie", "cookie"), ("sourceIP", "source_ip")),
    )

    header: HashHeader | None = None
    cookie: HashCookie | None = None
    source_ip: Annotated[SourceIp | None, Field(alias="sourceIP")] = None
    terminal: bool | None = None


_HashPolicies = Annotated[tuple[HashPolicy, ...], Field(min_length=1, max_length=16)]


class RingHash(Model):
    """The host of a hash on a ring."""

    minimum_ring_size: _Int64 | None = None
    maximum_ring_size: _Int64 | None = None
    use_hostname_for_hashing: bool | None = None
    hash_policies: _HashPolicies | None = None


class Maglev(Model):
    """The host of a hash in a table."""

    use_hostname_for_hashing: bool | None = None
    hash_policies: _HashPolicies | None = None


class Random(Model):
    """Any host."""


class ZoneAwareForce(Model):
    """The own zone alone, where it has hosts enough."""

    min_endpoints_in_zone_threshold: _Positive = 1


class ZoneAwarePreferLocal(Model):
    """The own zone first."""

    force: ZoneAwareForce | None = None
    min_endpoints_threshold: Annotated[int, Field(ge=1, json_schema_extra={"format": "int64"})] = 6
    routing_enabled: _Percent = 100


class ZoneAware(Ruled):
    """Hosts by their zone."""

    RULES: ClassVar[tuple[Rule, ...]] = (at_least_one(("preferLocal", "prefer_local")),)

    prefer_local: ZoneAwarePreferLocal | None = None


_POLICIES: Final = (
    ("leastRequest", "least_request"),
    ("roundRobin", "round_robin"),
    ("ringHash", "ring_hash"),
    ("maglev", "maglev"),
    ("random", "random"),
)


class LoadBalancer(Ruled):
    """Which host gets a request."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        exactly_one(*_POLICIES),
        Rule(
            "!(has(self.localityType) && has(self.zoneAware))",
            "localityType and zoneAware are mutually exclusive",
            lambda self: None in (self.locality_type, self.zone_aware),
        ),
        Rule(
            "!((has(self.ringHash) || has(self.maglev)) && has(self.zoneAware))",
            "zoneAware is not supported with ringHash or maglev load balancers",
            lambda self: self.zone_aware is None or (self.ring_hash is None and self.maglev is None),
        ),
    )

    healthy_panic_threshold: _Percent | None = None
    update_merge_window: Span | None = None
    least_request: LeastRequest | None = None
    round_robin: RoundRobin | None = None
    ring_hash: RingHash | None = None
    maglev: Maglev | None = None
    random: Random | None = None
    locality_type: Literal["WeightedLb"] | None = None
    zone_aware: ZoneAware | None = None
    close_connections_on_host_set_change: bool | None = None
