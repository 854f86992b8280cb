"""Whose certificates clients must show on a port of a Gateway, or to one listener there.

The Gateway itself says so (spec.tls.frontend); where it is silent, a ListenerPolicy may (clientCertificateValidation).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final, NamedTuple

from engine.graph.reader import Json, Reader
from engine.ref import Ref
from engine.resolve.authority import authority
from engine.resolve.gateway import gateway_spec
from engine.resolve.grant import reference_problem
from engine.resolve.listener_policy import GUARDING, Place, Setting, settings_of
from engine.resolve.manifest import items, mapping, spec_of
from engine.resolve.values import PENDING, Problem

_KINDS: Final = ("ConfigMap", "Secret")
_REASONS: Final = {"InvalidKind": "InvalidCACertificateKind"}


class Port(NamedTuple):
    """Key of `frontend`; with a `section` what is asked of the clients of one listener alone."""

    gateway: Ref
    port: int
    section: str = ""


class Frontend(NamedTuple):
    """What is asked of clients, but for who must have signed it: their authorities change without a listener's doing.

    `is_met`: there are some. `insecure`: all are let in, too; `optional`: those who show none. `policy` says so, where
    it is not the Gateway.
    """

    is_met: bool
    problems: tuple[Problem, ...] = ()
    insecure: bool = False
    optional: bool = False
    policy: Ref | None = None


class _Wanted(NamedTuple):
    """Where validation is asked for, by whom; `refused`: what is written there cannot be served."""

    source: Ref
    value: Json
    refused: bool = False


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


def asking(graph: Reader, key: Place) -> Port:
    """Where what is asked of a listener's clients stands: with itself, or with all listeners of its port."""
    alone = Port(*key)
    own = _wanted(graph, alone) if key.section else None
    return (
        alone if own is not None and own != _wanted(graph, alone._replace(section="")) else alone._replace(section="")
    )


def frontend(graph: Reader, key: Port) -> Frontend | None:
    """None where clients need no certificate."""
    wanted = _wanted(graph, key)
    if wanted is None:
        return None
    policy = wanted.source if wanted.source != key.gateway else None
    if policy is not None and wanted.refused:
        # Nobody is let in by what cannot be trusted.
        text = f"{policy.kind} {policy.namespace}/{policy.name} cannot be served, and it asks for client certificates"
        return Frontend(False, (Problem("InvalidCACertificateRef", text),), policy=policy)
    found = graph.get(client_authorities, key)
    mode = wanted.value.get("mode")
    return Frontend(bool(found.bundle), found.problems, mode == "AllowInsecureFallback", mode == "Optional", policy)


def client_authorities(graph: Reader, key: Port) -> Authorities:
    """All that can be read of what is named for the port.

    While all of it is still being read, those of the last revision of what names them: they were served until now.
    """
    wanted = _wanted(graph, key)
    if wanted is None or wanted.refused:
        return Authorities("", (), ())
    found, problems = _gathered(graph, key.gateway, wanted)
    if not found and any(one.reason == PENDING for one in problems):
        resource = graph.read(wanted.source)
        before = spec_of(resource.previous if resource is not None else None)
        value = (
            validation(before, key.port)
            if wanted.source == key.gateway
            else mapping(mapping(before.get("default")).get(GUARDING))
        )
        found, _ = _gathered(graph, key.gateway, wanted._replace(value=value))
    sources = {*found, *(() if wanted.source == key.gateway else (wanted.source,))}
    return Authorities("\n".join(found.values()), tuple(sorted(sources)), tuple(problems))


def _gathered(graph: Reader, gateway: Ref, wanted: _Wanted) -> tuple[dict[Ref, str], list[Problem]]:
    source = wanted.source
    found: dict[Ref, str] = {}
    problems: list[Problem] = []
    for one in items(wanted.value.get("caCertificateRefs")):
        namespace = str(one.get("namespace") or source.namespace)
        ref = Ref(gateway.cluster, str(one.get("group", "")), str(one.get("kind")), namespace, str(one.get("name")))
        read = _read(graph, gateway, source, ref)
        if isinstance(read, Problem):
            problems.append(read)
        else:
            found[ref] = read
    return found, problems


def _wanted(graph: Reader, key: Port) -> _Wanted | None:
    spec = graph.get(gateway_spec, key.gateway)
    if spec is None:
        return None
    if own := validation(spec, key.port):
        return _Wanted(key.gateway, own)
    setting = graph.get(guarding, Place(*key))
    return _Wanted(setting.policy, mapping(setting.value), setting.refused) if setting is not None else None


def guarding(graph: Reader, key: Place) -> Setting | None:
    """The field of listener policies that asks for client certificates; whatever else they say stops here."""
    return next((one for one in graph.get(settings_of, key) if one.field == GUARDING), None)


def _read(graph: Reader, gateway: Ref, source: Ref, ref: Ref) -> str | Problem:
    denied = reference_problem(graph, source.kind, source, ref)
    if denied is not None and ref.kind in _KINDS:
        # Nor is a Secret asked for that may not be named.
        return denied
    read = authority(graph, ref, _KINDS, gateway)
    if isinstance(read, Problem) and read.reason in _REASONS:
        return replace(read, reason=_REASONS[read.reason])
    return read
