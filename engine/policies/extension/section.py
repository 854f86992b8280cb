"""What a section of GatewayExtension is to the rest of the engine: how Envoy is told of it, once for all its users."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from engine.graph.reader import Json, Reader
from engine.policies.feature import Use
from engine.ref import Ref
from engine.resolve.credential import Credential
from engine.resolve.values import BackendKey, Problem

ROUTE_KEPT: Final = "has the route chosen anew, which is not done: the guards of that route would not stand in its way"
"""Which filters a request passes is settled when its route is first chosen, since they stand there switched off
(docs/decisions/0029-standing-filters.md): seen with Envoy 1.40, a request that changed to another rule reached its
backend without that rule's basicAuth, rbac or acl."""


@dataclass(frozen=True, slots=True)
class Built:
    """Fields of the filter's message, as far as the extension says what they are.

    `sources` are objects that it was made from beside the extension, `backends` the clusters that it needs. `sealed`:
    it must not leave in clear. `place` is for what is of no filter's message, `credentials` are texts that it names.
    """

    fields: tuple[tuple[str, Any], ...]
    backends: tuple[BackendKey, ...] = ()
    sources: tuple[Ref, ...] = ()
    sealed: bool = False
    place: Any = None
    credentials: tuple[Credential, ...] = ()
    left_out: tuple[str, ...] = ()
    """What is asked and not done, in words, though the rest is."""


@dataclass(frozen=True, slots=True)
class Section:
    """A field of GatewayExtension's spec; `built` says what it does, or what stands against it.

    Its Use is of the extension: `policy` is the extension itself.
    """

    field: str
    built: Callable[[Reader, Use, Json], Built | Problem]
