"""PriorityGroups: the hosts of static Backends, those of later groups only while earlier ones are not well enough."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from engine.graph.reader import Json, Reader
from engine.ref import Ref
from engine.resolve.backend_config import TLS, in_force
from engine.resolve.backend_config import At as ConfigAt
from engine.resolve.backend_type import At, BackendType
from engine.resolve.endpoint import Endpoint
from engine.resolve.indexes import POLICIES
from engine.resolve.manifest import items, mapping, object_of, spec_of
from engine.resolve.static_hosts import listed, protocol
from engine.resolve.values import BackendKey, Nature, Over, Problem, Protocol


@dataclass(frozen=True, slots=True)
class Failover(Nature):
    """Hosts that cannot be reached must be found out, or no later group would ever be asked."""


class _Member(NamedTuple):
    """A Backend of a group: its block, or what stands against it."""

    ref: Ref
    group: int
    block: Json
    problem: str = ""


def _members(graph: Reader, groups: list[Json], key: BackendKey) -> Iterator[_Member]:
    for number, group in enumerate(groups):
        for one in items(group.get("backendRefs")):
            ref = key.ref._replace(name=str(one.get("name", "")))
            yield _member(graph, ref, number, key)


def _member(graph: Reader, ref: Ref, group: int, key: BackendKey) -> _Member:
    object_, name = object_of(graph, ref), f"Backend {ref.namespace}/{ref.name}"
    block = mapping(spec_of(object_).get("static"))
    if object_ is None:
        return _Member(ref, group, {}, f"{name} does not exist")
    if not block:
        return _Member(ref, group, {}, f"{name} is not static")
    if graph.find(POLICIES, ref):
        # Its hosts are in a cluster of the group's, which would speak to them in clear.
        text = f"{name} has a BackendTLSPolicy: let that name Backend {key.ref.namespace}/{key.ref.name}"
        return _Member(ref, group, {}, text)
    said = protocol(block, BackendKey(ref, 0, key.over))
    return _Member(ref, group, block, said.message if isinstance(said, Problem) else "")


def _usable(graph: Reader, groups: list[Json], key: BackendKey) -> list[_Member]:
    return [one for one in _members(graph, groups, key) if not one.problem]


def _protocol(graph: Reader, groups: list[Json], key: BackendKey) -> Protocol | Problem:
    name = f"Backend {key.ref.namespace}/{key.ref.name}"
    if key.over is Over.UDP:
        return Problem(
            "UnsupportedProtocol", f"{name} has priorityGroups, which no UDPRoute can use: name its Backends"
        )
    usable = _usable(graph, groups, key)
    if not usable:
        told = "; ".join(one.problem for one in _members(graph, groups, key))
        return Problem("BackendNotFound", f"{name} has no Backend in its groups that can be used: {told}")
    spoken = {protocol(one.block, BackendKey(one.ref, 0, key.over)) for one in usable}
    if len(spoken) > 1:
        return Problem("UnsupportedProtocol", f"the Backends of {name} have different appProtocols: let all have one")
    return spoken.pop()


def _endpoints(graph: Reader, groups: list[Json], key: BackendKey) -> tuple[Endpoint, ...]:
    """With priorities that leave none out, as Envoy wants them; of a host in several groups the first counts."""
    usable = _usable(graph, groups, key)
    ranks = {group: rank for rank, group in enumerate(sorted({one.group for one in usable}))}
    found: dict[tuple[str, int], Endpoint] = {}
    for one in usable:
        for end in listed(one.block):
            found.setdefault((end.address, end.port), replace(end, priority=ranks[one.group]))
    return tuple(found.values())


def _nature(graph: Reader, groups: list[Json], key: At) -> Failover | Problem:
    """None to speak to in clear whom somebody wants to be spoken to over TLS only."""
    if graph.find(POLICIES, key.backend.ref) or _wants_tls(graph, key.gateway, key.backend.ref):
        return Failover()
    for ref in _parts(groups, key.backend.ref):
        if _wants_tls(graph, key.gateway, ref):
            own = f"Backend {key.backend.ref.namespace}/{key.backend.ref.name}"
            text = f"Backend {ref.namespace}/{ref.name} has a BackendConfigPolicy with tls: let that name {own}, too"
            return Problem("Invalid", text)
    return Failover()


def _wants_tls(graph: Reader, gateway: Ref, ref: Ref) -> bool:
    return any(one.field == TLS for one in graph.get(in_force, ConfigAt(gateway, ref)))


def _parts(groups: list[Json], ref: Ref) -> tuple[Ref, ...]:
    names = (str(one.get("name", "")) for group in groups for one in items(group.get("backendRefs")))
    return tuple(dict.fromkeys(ref._replace(name=name) for name in names))


def _problem(graph: Reader, groups: list[Json], ref: Ref) -> str:
    told = [
        f"priorityGroups[{one.group}]: {one.problem}"
        for one in _members(graph, groups, BackendKey(ref, 0))
        if one.problem
    ]
    return f"{'; '.join(told)}; until it is mended, it is left out" if told else ""


BACKEND_TYPE = BackendType(
    "priorityGroups", _protocol, _endpoints, nature=_nature, parts=_parts, problem=_problem, streams=True
)
