"""BackendTLSPolicies: whether and how a backend is spoken to over TLS, and what stands against a policy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from engine.graph.reader import Json, Reader
from engine.ref import Ref
from engine.resolve.authority import authority
from engine.resolve.backend import port_name
from engine.resolve.backend_type import At
from engine.resolve.gateway import age
from engine.resolve.indexes import POLICIES
from engine.resolve.manifest import items, mapping, object_of, served_object, spec_of
from engine.resolve.values import BackendKey, BackendTls, Over, Problem


class Aim(NamedTuple):
    """Key of `winner`: what a targetRef names, the whole of it with the section ""."""

    target: Ref
    section: str


class Policy(NamedTuple):
    """Key of `authorities`: a policy as one Gateway is served it."""

    gateway: Ref
    policy: Ref


@dataclass(frozen=True, slots=True)
class Authorities:
    """Whom a policy trusts: certificates as PEM (`sealed` when one is of a Secret) or those of the system."""

    bundle: str
    problems: tuple[Problem, ...] = ()
    system: bool = False
    sealed: bool = False


def aims(policy: Ref, object_: Json | None) -> tuple[Aim, ...]:
    """What a policy's targetRefs name, in its own namespace."""
    found = []
    for one in items(spec_of(object_).get("targetRefs")):
        group, kind, name = (str(one.get(word, "")) for word in ("group", "kind", "name"))
        target = Ref(policy.cluster, group, kind, policy.namespace, name)
        found.append(Aim(target, str(one.get("sectionName") or "")))
    return tuple(found)


def winner(graph: Reader, key: Aim) -> Ref | None:
    """Of the policies that name the same the oldest, then the first by namespace/name; None where there is none."""
    found = [one for one in graph.find(POLICIES, key.target) if key in aims(one, object_of(graph, one))]
    return min(found, key=lambda one: graph.get(age, one), default=None)


def policies(graph: Reader, key: BackendKey) -> tuple[Ref, ...]:
    """All that name a backend, in force or not: those of its port, and those of the whole."""
    if key.over in (Over.RAW, Over.UDP):
        return ()
    places = {Aim(key.ref, ""), Aim(key.ref, graph.get(port_name, key))}
    found = graph.find(POLICIES, key.ref)
    return tuple(one for one in found if places & set(aims(one, object_of(graph, one))))


def backend_tls(graph: Reader, key: At) -> BackendTls | Problem | None:
    """How a backend is spoken to over TLS; None for not at all, a problem when it must not be spoken to."""
    if not graph.get(policies, key.backend):
        return None
    section = graph.get(port_name, key.backend)
    of_port = graph.get(winner, Aim(key.backend.ref, section)) if section else None
    policy = of_port or graph.get(winner, Aim(key.backend.ref, ""))
    if policy is None:
        return None
    trusted = graph.get(authorities, Policy(key.gateway, policy))
    if not trusted.bundle and not trusted.system:
        return trusted.problems[0]
    validation = mapping(spec_of(served_object(graph, key.gateway, policy)).get("validation"))
    names = tuple(
        (str(one.get("type")), str(one.get("hostname") or one.get("uri") or ""))
        for one in items(validation.get("subjectAltNames"))
    )
    hostname = str(validation.get("hostname", ""))
    return BackendTls(policy, hostname, names or (("Hostname", hostname),), trusted.bundle, trusted.sealed)


def authorities(graph: Reader, key: Policy) -> Authorities:
    """Whom the policy trusts."""
    validation = mapping(spec_of(served_object(graph, key.gateway, key.policy)).get("validation"))
    known = validation.get("wellKnownCACertificates")
    if known == "System":
        return Authorities("", system=True)
    if known:
        return Authorities("", (Problem("Invalid", f"wellKnownCACertificates {known} is not known: use System"),))
    found: list[str] = []
    problems: list[Problem] = []
    refs = items(validation.get("caCertificateRefs"))
    for one in refs:
        group, kind, name = (str(one.get(word, "")) for word in ("group", "kind", "name"))
        read = authority(
            graph, Ref(key.policy.cluster, group, kind, key.policy.namespace, name), ("ConfigMap", "Secret")
        )
        (problems if isinstance(read, Problem) else found).append(read)  # type: ignore[arg-type]
    sealed = any(one.get("kind") == "Secret" for one in refs)
    return Authorities("\n".join(found), tuple(problems), sealed=sealed)
