"""What a kind of route is to the rest of the engine: one value a kind; the kinds are the files in `kinds`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from engine.graph.reader import Json
from engine.resolve.values import Match, Over


@dataclass(frozen=True, slots=True)
class Requests:
    """How a kind whose routes take requests one by one matches them.

    `matches` reads those of a rule. `failure` is the HTTP status of what no backend can be asked for. With `http2` a
    backend that does not say otherwise is spoken to by HTTP/2. `delegates`: its rules may delegate to others.
    """

    matches: Callable[[Json], tuple[Match, ...]]
    failure: int
    http2: bool = False
    delegates: bool = False


@dataclass(frozen=True, slots=True)
class RouteKind:
    """One kind. `protocols` are those of the listeners that its routes attach to.

    Without `requests` its routes take connections or datagrams whole. `over` is how all its backends are spoken to.
    """

    name: str
    protocols: tuple[str, ...]
    requests: Requests | None = None
    over: Over = Over.ANY
