"""Whose certificates clients must show on a port of a Gateway (Gateway.spec.tls.frontend)."""

from __future__ import annotations

from dataclasses import replace
from typing import Final, NamedTuple

from engine.graph.reader import Json, Reader
from engine.ref import Ref
from engine.resolve.authority import authority
from engine.resolve.gateway import gateway_spec
from engine.resolve.grant import reference_problem
from engine.resolve.manifest import items, mapping
from engine.resolve.values import Problem

_REASONS: Final = {"InvalidKind": "InvalidCACertificateKind"}


class Port(NamedTuple):
    """Key of `frontend`."""

    gateway: Ref
    port: int


class Frontend(NamedTuple):
    """What is asked of clients: a certificate that `bundle` (PEM) has signed; `insecure`: all are let in, too."""

    bundle: str
    problems: tuple[Problem, ...] = ()
    insecure: bool = False


def validation(spec: Json, port: int) -> Json:
    """The validation of a port, else the default's; empty for none."""
    tls = mapping(mapping(spec.get("tls")).get("frontend"))
    own = next((one for one in items(tls.get("perPort")) if one.get("port") == port), None)
    return mapping(mapping(own.get("tls") if own is not None else tls.get("default")).get("validation"))


def frontend(graph: Reader, key: Port) -> Frontend | None:
    """None where clients need no certificate."""
    spec = graph.get(gateway_spec, key.gateway)
    wanted = validation(spec, key.port) if spec is not None else {}
    if not wanted:
        return None
    found: list[str] = []
    problems: list[Problem] = []
    for one in items(wanted.get("caCertificateRefs")):
        read = _read(graph, key.gateway, one)
        if isinstance(read, Problem):
            problems.append(read)
        else:
            found.append(read)
    return Frontend("\n".join(found), tuple(problems), wanted.get("mode") == "AllowInsecureFallback")


def _read(graph: Reader, gateway: Ref, item: Json) -> str | Problem:
    namespace = str(item.get("namespace") or gateway.namespace)
    ref = Ref(gateway.cluster, str(item.get("group", "")), str(item.get("kind")), namespace, str(item.get("name")))
    # Of Secrets none: what a listener trusts stands in it in clear.
    read = authority(graph, ref, ("ConfigMap",))
    if isinstance(read, Problem) and read.reason in _REASONS:
        return replace(read, reason=_REASONS[read.reason])
    return reference_problem(graph, "Gateway", gateway, ref) or read
