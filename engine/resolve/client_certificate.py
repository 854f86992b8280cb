"""The certificate with which a Gateway's proxies name themselves to backends (Gateway.spec.tls.backend)."""

from __future__ import annotations

from dataclasses import replace

from engine.graph.reader import Reader
from engine.ref import Ref
from engine.resolve.certificate import Wanted, certificate_refs
from engine.resolve.gateway import gateway_spec
from engine.resolve.manifest import mapping
from engine.resolve.termination import certificate_problem
from engine.resolve.values import PENDING, Problem


def client_certificate(graph: Reader, gateway: Ref) -> Ref | Problem | None:
    """Its Secret, or why it cannot be had; None where the Gateway names none."""
    found = graph.get(named_certificate, gateway)
    if found is None:
        return None
    problem = found if isinstance(found, Problem) else graph.get(certificate_problem, Wanted(gateway, found, gateway))
    if problem is None:
        return found
    return (
        problem
        if problem.reason in ("RefNotPermitted", PENDING)
        else replace(problem, reason="InvalidClientCertificateRef")
    )


def named_certificate(graph: Reader, gateway: Ref) -> Ref | Problem | None:
    """The Secret that the Gateway names, to be had or not, or why it is none."""
    spec = graph.get(gateway_spec, gateway) or {}
    wanted = mapping(mapping(mapping(spec.get("tls")).get("backend")).get("clientCertificateRef"))
    return certificate_refs(gateway, {"certificateRefs": [wanted]})[0] if wanted else None
