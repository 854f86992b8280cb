"""What kgateway's listener policies say of a port of a Gateway, or of one of its listeners: each field by whom.

A ListenerPolicy goes before an HTTPListenerPolicy, which is its older spelling; among policies of a kind the oldest has
each field. What is said of a listener goes before what is said of its Gateway.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from engine.graph.reader import Json, Reader
from engine.ref import Ref
from engine.resolve.manifest import held_fact, items, mapping, spec_of
from engine.resolve.policy import Aim, aimed, served
from engine.resolve.targets import ATTACHING

KIND: Final = "ListenerPolicy"
OLDER_KIND: Final = "HTTPListenerPolicy"
HTTP: Final = "httpSettings."
"""Before the names of fields of httpSettings, which merge one by one."""
GUARDING: Final = "clientCertificateValidation"
"""The field that must not be lost: of a policy that cannot be served it lets nobody in."""


class Place(NamedTuple):
    """Key: a port of a Gateway, or a listener of its own (`section`) there."""

    gateway: Ref
    port: int
    section: str = ""


@dataclass(frozen=True, slots=True)
class Setting:
    """A field that is in force: `field` as in "httpSettings.accessLog", `label` as it is told of.

    `refused`: no revision of its policy can be served, so `value` is not to be trusted.
    """

    field: str
    policy: Ref
    label: str
    value: Any
    refused: bool = False


Fields = dict[str, Setting]
"""By label."""


class Said(NamedTuple):
    """What policies at one aim say: of all ports, and of those that have an entry of their own, instead."""

    default: Fields
    ports: dict[int, Fields]


def said_by(graph: Reader, gateway: Ref, policy: Ref) -> Fields:
    """All fields of a policy, by label; of one that cannot be served only that one that must not be lost."""
    whole = _said(graph, gateway, policy)
    return whole.default | {label: one for fields in whole.ports.values() for label, one in fields.items()}


def is_refused(graph: Reader, gateway: Ref, policy: Ref) -> bool:
    """Whether no revision of it can be served: none was ever taken, or a proxy rejected the first one."""
    resource = graph.read(policy)
    if resource is None or resource.object is None:
        return resource is not None
    return resource.previous is None and bool(graph.fact(held_fact(gateway, policy)))


def _said(graph: Reader, gateway: Ref, policy: Ref) -> Said:
    spec, refused = spec_of(served(graph, gateway, policy)), is_refused(graph, gateway, policy)
    if policy.kind == OLDER_KIND:
        http = {name: value for name, value in spec.items() if name not in ATTACHING}
        return Said(_fields({"httpSettings": http}, policy, "", refused=refused), {})
    ports = {
        int(one.get("port", 0)): _fields(mapping(one.get("listener")), policy, _label(one.get("port")), refused=refused)
        for one in (() if refused else items(spec.get("perPort")))
    }
    return Said(_fields(mapping(spec.get("default")), policy, "", refused=refused), ports)


def _label(port: object) -> str:
    return f"perPortPolicy[{port}]."


def _fields(block: Json, policy: Ref, label: str, *, refused: bool) -> Fields:
    flat = {name: value for name, value in block.items() if name != "httpSettings"}
    flat |= {f"{HTTP}{name}": value for name, value in mapping(block.get("httpSettings")).items()}
    return {
        f"{label}{name}": Setting(name, policy, f"{label}{name}", value, refused)
        for name, value in sorted(flat.items())
        if not refused or name == GUARDING
    }


def merged(graph: Reader, aim: Aim) -> Said:
    """What the policies of a kind at a Gateway, or at a listener of it, say together: the oldest of each field.

    Of a port that any of them has an entry for, those entries alone.
    """
    default: Fields = {}
    ports: dict[int, Fields] = {}
    for policy in graph.get(aimed, aim):
        found = _said(graph, aim.gateway, policy)
        default = found.default | default
        for port, fields in found.ports.items():
            ports[port] = fields | ports.get(port, {})
    return Said(default, ports)


def settings_of(graph: Reader, key: Place) -> tuple[Setting, ...]:
    """The fields in force at a place, by name."""
    gateway = key.gateway
    levels = [Aim(gateway, OLDER_KIND, gateway), Aim(gateway, KIND, gateway)]
    levels += [Aim(gateway, KIND, gateway, key.section)] if key.section else []
    found: dict[str, Setting] = {}
    for aim in levels:
        found = _over(found, graph.get(merged, aim), key.port)
    return tuple(found[name] for name in sorted(found))


def _over(lower: dict[str, Setting], level: Said, port: int) -> dict[str, Setting]:
    own = level.ports.get(port)
    if own is None:
        return lower | _by_field(level.default.values())
    # An entry of a port stands instead of all that is said of every port; but none can say what guards.
    kept = [one for one in (*lower.values(), *level.default.values()) if one.field == GUARDING]
    return _by_field(kept) | _by_field(own.values())


def _by_field(settings: Iterable[Setting]) -> dict[str, Setting]:
    return {one.field: one for one in settings}
