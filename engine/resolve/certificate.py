"""Certificates of HTTPS listeners: read, unsealed and checked in memory; no answer tells more than that they fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from engine.graph.reader import Json, Reader
from engine.ref import Ref
from engine.resolve.grant import reference_problem
from engine.resolve.key_pair import read
from engine.resolve.manifest import held_fact, is_unread, items, mapping, object_of, passed_fact
from engine.resolve.values import PENDING, Problem
from engine.seal import Sealer, UnsealError

SEALER = "sealer"
"""The fact that holds the Sealer."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """A TLS Secret that was read and checked; `sealed` are the texts of tls.crt and tls.key as sealed."""

    name: str
    certificate: str
    key: str


class Served(NamedTuple):
    """Key of `served_certificate`: a Secret as one Gateway is served it."""

    gateway: Ref
    secret: Ref


class Wanted(NamedTuple):
    """Key of `wanted_certificate`: a certificateRef of a Gateway, or of a ListenerSet of it (`source`)."""

    gateway: Ref
    secret: Ref
    source: Ref


@dataclass(frozen=True, slots=True)
class Checked:
    """A certificate that fits its key, until `expires` (RFC 3339), and the DNS names that it is for, lower-cased."""

    certificate: Certificate
    expires: str
    names: tuple[str, ...] = ()


def certificate_refs(source: Ref, tls: Json) -> tuple[Ref | Problem, ...]:
    """The Secrets that a listener names, or why one of them cannot be a certificate."""
    found: list[Ref | Problem] = []
    for item in items(tls.get("certificateRefs")):
        group, kind = str(item.get("group") or ""), str(item.get("kind") or "Secret")
        if (group, kind) != ("", "Secret"):
            text = f"certificateRefs cannot name {kind} of {group or 'v1'}: use a Secret of type kubernetes.io/tls"
            found.append(Problem("InvalidCertificateRef", text))
            continue
        namespace = str(item.get("namespace") or source.namespace)
        found.append(Ref(source.cluster, "", "Secret", namespace, str(item.get("name", ""))))
    return tuple(found)


def wanted_certificate(graph: Reader, key: Wanted) -> Checked | Problem:
    """The certificate of a reference, if it is allowed and can be served now."""
    problem = reference_problem(graph, key.source.kind, key.source, key.secret)
    return problem if problem is not None else graph.get(served_certificate, Served(key.gateway, key.secret))


def served_certificate(graph: Reader, key: Served) -> Checked | Problem:
    """The certificate as a Gateway is served it, if it can be now."""
    checked = graph.get(_at_any_time, key)
    if isinstance(checked, Checked) and graph.fact(passed_fact(checked.expires)):
        return _bad(key.secret, f"expired at {checked.expires}: renew it")
    return checked


def expiry(graph: Reader, key: Served) -> str | None:
    """When a certificate that a Gateway names expires, or expired; it does not depend on what the time is."""
    checked = graph.get(_at_any_time, key)
    return checked.expires if isinstance(checked, Checked) else None


def _at_any_time(graph: Reader, key: Served) -> Checked | Problem:
    held = graph.fact(held_fact(key.gateway, key.secret))
    return graph.get(last_good if held else certificate, key.secret)


def certificate(graph: Reader, secret: Ref) -> Checked | Problem:
    """A TLS Secret, checked: PEM, a key that fits, not empty."""
    object_ = object_of(graph, secret)
    if object_ is not None:
        return _checked(graph, secret, object_)
    return unread(secret) if is_unread(graph, secret) else _bad(secret, "does not exist")


def unread(secret: Ref) -> Problem:
    """Why nothing can be said of a Secret yet."""
    return Problem(PENDING, f"Secret {secret.namespace}/{secret.name} is being read")


def last_good(graph: Reader, secret: Ref) -> Checked | Problem:
    """The revision of a TLS Secret before the one that a proxy rejected; it is checked as of today."""
    resource = graph.read(secret)
    if resource is None or resource.previous is None:
        return _bad(secret, "was rejected by a proxy and has no earlier revision: see penstock status, then replace it")
    return _checked(graph, secret, resource.previous)


def _checked(graph: Reader, secret: Ref, object_: Json) -> Checked | Problem:
    data = mapping(object_.get("data"))
    chain, key = data.get("tls.crt"), data.get("tls.key")
    if not chain or not key:
        return _bad(secret, "lacks tls.crt or tls.key")
    sealer = graph.fact(SEALER)
    if not isinstance(sealer, Sealer):
        return _bad(secret, "cannot be opened here")
    try:
        expires, names = read(sealer.unseal_text(str(chain)), sealer.unseal_text(str(key)))
    except UnsealError:
        return _bad(secret, "is sealed with another key: its source must write it again")
    except ValueError as error:
        return _bad(secret, str(error))
    name = f"kubernetes://{secret.namespace}/{secret.name}"
    return Checked(Certificate(name, str(chain), str(key)), expires, names)


def _bad(secret: Ref, what: str) -> Problem:
    return Problem("InvalidCertificateRef", f"Secret {secret.namespace}/{secret.name} {what}")
