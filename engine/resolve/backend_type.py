"""What a type of kgateway's Backend is to the rest of the engine: one value a type, the types in `backends`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from engine.graph.reader import Reader
from engine.ref import Ref
from engine.resolve.endpoint import Endpoint
from engine.resolve.values import BackendKey, Nature, Problem, Protocol


class At(NamedTuple):
    """A backend as one Gateway is served it."""

    gateway: Ref
    backend: BackendKey


def _no_endpoints(graph: Reader, block: Any, key: BackendKey) -> tuple[Endpoint, ...]:  # noqa: ARG001
    return ()


def _no_nature(graph: Reader, block: Any, key: At) -> Nature | Problem | None:  # noqa: ARG001
    return None


def _no_parts(block: Any, ref: Ref) -> tuple[Ref, ...]:  # noqa: ARG001
    return ()


def _nothing(graph: Reader, block: Any, ref: Ref) -> str:  # noqa: ARG001
    return ""


def _any_name(block: Any) -> str:  # noqa: ARG001
    return ""


@dataclass(frozen=True, slots=True)
class BackendType:
    """One type: `field` of the spec has its block, which all of these take.

    `protocol` is how it is spoken to, or why it cannot be reached at all. `endpoints` are its addresses; with `inside`
    they stand in its cluster, and `nature` says where. A problem of `nature` means that nothing may be sent to it.
    `parts` are other objects that it is made of, `problem` what its status tells against it though it may be served,
    `hostname` the one by which it wants to be asked. With `filtered` requests to it have to pass a filter of its type;
    only with `streams` can connections go to it whole.
    """

    field: str
    protocol: Callable[[Reader, Any, BackendKey], Protocol | Problem]
    endpoints: Callable[[Reader, Any, BackendKey], tuple[Endpoint, ...]] = _no_endpoints
    nature: Callable[[Reader, Any, At], Nature | Problem | None] = _no_nature
    parts: Callable[[Any, Ref], tuple[Ref, ...]] = _no_parts
    problem: Callable[[Reader, Any, Ref], str] = _nothing
    hostname: Callable[[Any], str] = _any_name
    inside: bool = False
    filtered: bool = False
    streams: bool = False
