"""What a feature of TrafficPolicy is to the rest of the engine: one value a field of its spec, or a unit of one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final, NamedTuple

from betterproto2 import Message
from envoy_data_plane.google.protobuf import Any as ProtoAny

from engine.envoy.effect import Effect
from engine.graph.reader import Json, Reader
from engine.ref import Ref
from engine.resolve.values import Problem

_SHOWN: Final = 3


class Stage(IntEnum):
    """Where a filter stands among those that a request passes: kgateway's stages, in their order."""

    FAULT = 0
    CORS = 1
    WAF = 2
    AUTHN = 3
    AUTHZ = 4
    RATE_LIMIT = 5
    ACCEPTED = 6
    OUT_AUTH = 7
    ROUTE = 8


class When(IntEnum):
    """Where in its stage."""

    BEFORE = 0
    DURING = 1
    AFTER = 2


@dataclass(frozen=True, slots=True)
class Filter:
    """An HTTP filter that stands in every connection manager, switched off until a policy's config switches it on.

    It stands there from the start, whether a policy wants it or not: a listener that changed would drain its
    connections, and those that last would go on without the policy (docs/decisions/0029-standing-filters.md). Of equal
    stage and place the higher `weight` comes first, then the name.
    """

    name: str
    type_name: str
    config: Message
    stage: Stage
    when: When = When.DURING
    weight: int = 0
    is_on: bool = False
    """From the start: by itself it does nothing."""


class Use(NamedTuple):
    """Where a block is used: by a Gateway's proxies; `policy` is the object that it stands in."""

    gateway: Ref
    policy: Ref


class Link(NamedTuple):
    """What a block adds where those of several policies are done in a row.

    Of several with one `service` the first counts; those of a higher weight are done before those of a lower.
    """

    service: Ref
    weight: int = 0


@dataclass(frozen=True, slots=True)
class Feature:
    """One top-level field of TrafficPolicy's spec, or a unit of one by its path, such as "rateLimit.local".

    `effect` says what a value that the model took does to Envoy's config, or what
    stands against it. A feature that `guards` closes its routes when it cannot be met; anything else is left out.
    One that `shuts` closes them, too, when nobody can know what it was to do, but may be switched off farther in.
    `inherited`: its effect is in fields of routes only, so what stands at a Gateway or listener goes to each of them.
    `alone`: of its filters one is on at a place; where a nearer block has another or none, the farther one's is off.
    `merge` makes one value of two where several are to count, of which the first goes before; None where they
    contradict each other, so that the first counts alone. It is associative where nothing contradicts.
    `link` does so where blocks name what is relative to their policies: each is met by itself, and all are done, one
    after the other. None is one that switches off: the first counts alone, behind others it does not.
    """

    field: str
    effect: Callable[[Reader, Use, Any], Effect | Problem]
    filters: tuple[Filter, ...] = ()
    guards: bool = False
    shuts: bool = False
    inherited: bool = False
    around: tuple[tuple[str, ProtoAny], ...] = ()
    """Configs, by filter, for the route configuration around an effect that names the filter as `around` it: what is
    too large for every route, and for listeners that may never need it."""
    alone: bool = False
    merge: Callable[[Any, Any], Any | None] | None = None
    link: Callable[[Reader, Use, Any], Link | None] | None = None


def refused(wrong: Sequence[str]) -> Problem:
    """Why a block cannot be met: the first few of all that stands against it."""
    more = f"; and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
    return Problem("Invalid", "; ".join(wrong[:_SHOWN]) + more)


def is_off(value: Json) -> bool:
    """Whether a block says `disable`."""
    return isinstance(value.get("disable"), Mapping)
