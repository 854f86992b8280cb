"""Whose certificates clients must show on a port of a Gateway (Gateway.spec.tls.frontend)."""

from __future__ import annotations

from dataclasses import replace
from typing import Final, NamedTuple

from engine.graph.reader import Json, Reader
from engine.ref import Ref
from engine.resolve.authority import authority
from engine.resolve.gateway import gateway_spec
from engine.resolve.grant import reference_problem
from engine.resolve.manifest import items, mapping, spec_of
from engine.resolve.values import PENDING, Problem

_KINDS: Final = ("ConfigMap", "Secret")
_REASONS: Final = {"InvalidKind": "InvalidCACertificateKind"}


class Port(NamedTuple):
    """Key of `frontend`."""

    gateway: Ref
    port: int


class Frontend(NamedTuple):
    """What is asked of clients, but for who must have signed it: their authorities change without a listener's doing.

    `is_met`: there are some. `insecure`: all are let in, too.
    """

    is_met: bool
    problems: tuple[Problem, ...] = ()
    insecure: bool = False


class Authorities(NamedTuple):
    """Who may have signed the certificates of clients: PEM, and the objects that it comes from."""

    bundle: str
    sources: tuple[Ref, ...]
    problems: tuple[Problem, ...]


def validation(spec: Json, port: int) -> Json:
    """The validation of a port, else the default's; empty for none."""
    tls = mapping(mapping(spec.get("tls")).get("frontend"))
    own = next((one for one in items(tls.get("perPort")) if one.get("port") == port), None)
    return mapping(mapping(own.get("tls") if own is not None else tls.get("default")).get("validation"))


def frontend(graph: Reader, key: Port) -> Frontend | None:
    """None where clients need no certificate."""
    wanted = _wanted(graph, key)
    if not wanted:
        return None
    found = graph.get(client_authorities, key)
    return Frontend(bool(found.bundle), found.problems, wanted.get("mode") == "AllowInsecureFallback")


def client_authorities(graph: Reader, key: Port) -> Authorities:
    """All that can be read of what the Gateway names for the port.

    While all of it is still being read, those of the Gateway's last revision: they were served until now.
    """
    found, problems = _gathered(graph, key.gateway, _wanted(graph, key))
    if not found and any(one.reason == PENDING for one in problems):
        resource = graph.read(key.gateway)
        before = spec_of(resource.previous if resource is not None else None)
        found, _ = _gathered(graph, key.gateway, validation(before, key.port))
    return Authorities("\n".join(found.values()), tuple(sorted(found)), tuple(problems))


def _gathered(graph: Reader, gateway: Ref, wanted: Json) -> tuple[dict[Ref, str], list[Problem]]:
    found: dict[Ref, str] = {}
    problems: list[Problem] = []
    for one in items(wanted.get("caCertificateRefs")):
        namespace = str(one.get("namespace") or gateway.namespace)
        ref = Ref(gateway.cluster, str(one.get("group", "")), str(one.get("kind")), namespace, str(one.get("name")))
        read = _read(graph, gateway, ref)
        if isinstance(read, Problem):
            problems.append(read)
        else:
            found[ref] = read
    return found, problems


def _wanted(graph: Reader, key: Port) -> Json:
    spec = graph.get(gateway_spec, key.gateway)
    return validation(spec, key.port) if spec is not None else {}


def _read(graph: Reader, gateway: Ref, ref: Ref) -> str | Problem:
    denied = reference_problem(graph, "Gateway", gateway, ref)
    if denied is not None and ref.kind in _KINDS:
        # Nor is a Secret asked for that may not be named.
        return denied
    read = authority(graph, ref, _KINDS, gateway)
    if isinstance(read, Problem) and read.reason in _REASONS:
        return replace(read, reason=_REASONS[read.reason])
    return read
