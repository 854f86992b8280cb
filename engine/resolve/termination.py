"""Which certificates each HTTPS listener of a Gateway can serve, and what stands against the others."""

from __future__ import annotations

from dataclasses import dataclass

from engine.graph.reader import Reader
from engine.ref import Ref
from engine.resolve.certificate import Wanted, certificate_refs, wanted_certificate
from engine.resolve.listener import gateway_spec
from engine.resolve.manifest import items, mapping
from engine.resolve.values import Problem


@dataclass(frozen=True, slots=True)
class Termination:
    """An HTTPS listener's certificates: those that can be served, and problems of those that cannot."""

    listener: str
    secrets: tuple[Ref, ...]
    problems: tuple[Problem, ...]


def certificate_problem(graph: Reader, key: Wanted) -> Problem | None:
    """What stands against a certificate; a renewal that fits changes nothing here."""
    checked = graph.get(wanted_certificate, key)
    return checked if isinstance(checked, Problem) else None


def terminations(graph: Reader, gateway: Ref) -> tuple[Termination, ...]:
    """One for each HTTPS listener."""
    spec = graph.get(gateway_spec, gateway)
    found = []
    for item in items(spec.get("listeners")) if spec is not None else ():
        if item.get("protocol") != "HTTPS":
            continue
        good: list[Ref] = []
        problems: list[Problem] = []
        for ref in certificate_refs(gateway, mapping(item.get("tls"))):
            problem = ref if isinstance(ref, Problem) else graph.get(certificate_problem, Wanted(gateway, ref))
            if problem is not None:
                problems.append(problem)
            elif isinstance(ref, Ref) and ref not in good:
                good.append(ref)
        if not good and not problems:
            problems.append(Problem("InvalidCertificateRef", "an HTTPS listener needs tls.certificateRefs"))
        found.append(Termination(str(item.get("name", "")), tuple(good), tuple(problems)))
    return tuple(found)
