"""Which requests would be answered otherwise: each asked of what is served before, and after."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from engine.history.explain import Answer, Config, Request, answer
from engine.history.explain.backend import endpoints
from engine.history.explain.config import port_of
from engine.history.explain.virtual_host import without_port
from engine.history.routing import backend
from engine.ref import Ref
from engine.update import parse_fragment_key

Configs = Mapping[Ref, Config]
_NAMED = 3
"""Parts of a route's name that name its object: kind, namespace, name."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request of a sample, as a person wrote it, and how often. `anywhere`: it does not say at which listener."""

    text: str
    request: Request
    many: int = 1
    anywhere: bool = False


class Outcome(NamedTuple):
    """One way in which a request may end: `share` of 1, `kind` and `status` as explain has them, and who says so.

    `backend` in words, with its `endpoints`; `to` is the location, or host and path that the backend is asked for.
    """

    kind: str
    status: int | None
    share: float
    route: str
    backend: str
    to: str
    by: str
    endpoints: tuple[str, ...]


class Said(NamedTuple):
    """How a Gateway's proxies answer; `undecided` are filters that decide by more than the request."""

    outcomes: tuple[Outcome, ...]
    undecided: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AnswerChange:
    """A request that a Gateway, `str(Ref)`, answers otherwise at a port; None where it does not listen there."""

    text: str
    many: int
    gateway: str
    port: int
    before: Said | None
    after: Said | None


@dataclass(frozen=True, slots=True)
class Answers:
    """Of `of` requests the `changed` that are answered otherwise, and how: perhaps by several Gateways."""

    of: int
    changed: int
    changes: tuple[AnswerChange, ...]


def answers(before: Configs, after: Configs, sample: Iterable[Asked]) -> Answers:
    """Ask all of a sample, in its order."""
    of = changed = 0
    found: list[AnswerChange] = []
    every = [*before.values(), *after.values()]
    ports = sorted({port_of(one) for config in every for one in config.listeners})
    for asked in sample:
        of += asked.many
        differing = [one for request in _requests(asked, ports) for one in _changes(before, after, asked, request)]
        changed += asked.many if differing else 0
        found += differing
    return Answers(of, changed, tuple(found))


def _requests(asked: Asked, ports: list[int]) -> Iterator[Request]:
    """The request, at each port and both in clear and over TLS where it does not say at which listener."""
    if not asked.anywhere:
        yield asked.request
        return
    for port in ports:
        yield replace(asked.request, port=port, sni=None)
        yield replace(asked.request, port=port, sni=without_port(asked.request.host))


def _changes(before: Configs, after: Configs, asked: Asked, request: Request) -> Iterator[AnswerChange]:
    for gateway in sorted(before.keys() | after.keys()):
        old, new = _said(before.get(gateway), request), _said(after.get(gateway), request)
        if old != new:
            yield AnswerChange(asked.text, asked.many, str(gateway), request.port, old, new)


def _said(config: Config | None, request: Request) -> Said | None:
    if config is None or not any(port_of(one) == request.port for one in config.listeners):
        return None
    found = answer(config, request)
    return Said(tuple(_outcomes(config, found)), found.undecided)


def _outcomes(config: Config, found: Answer) -> Iterator[Outcome]:
    for one in found.outcomes:
        there = endpoints(config, one.cluster) if one.cluster else None
        yield Outcome(
            one.kind.value,
            one.status,
            float(one.share),
            _route(one.route),
            backend(one.cluster) if one.cluster else "",
            one.location or f"{one.host or ''}{one.path or ''}",
            one.by,
            tuple(f"{each.address}:{each.port}" for each in there or ()),
        )


def _route(key: str) -> str:
    """The object of a route, `HTTPRoute default/pay`; "" where none takes the request, or no object's."""
    parts = parse_fragment_key(key).name.split("/")[1:] if key else []
    return f"{parts[0]} {parts[1]}/{parts[2]}" if len(parts) >= _NAMED else ""
