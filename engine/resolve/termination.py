"""Which certificates each listener of a Gateway that ends TLS can serve, and what stands against the others."""

from __future__ import annotations

from dataclasses import dataclass

from engine.graph.reader import Reader
from engine.ref import Ref
from engine.resolve.certificate import Wanted, certificate_refs, wanted_certificate
from engine.resolve.hostname import is_certified
from engine.resolve.listener import ends_tls, gateway_spec, is_passthrough
from engine.resolve.manifest import items, mapping
from engine.resolve.values import Problem


@dataclass(frozen=True, slots=True)
class Termination:
    """A listener's certificates: those that can be served, and problems of those that cannot.

    `foreign` is set when all of them are for other hostnames: they are served, but clients will not be content. `named`
    are all that it names, to be served or not.
    """

    listener: str
    secrets: tuple[Ref, ...]
    problems: tuple[Problem, ...]
    foreign: Problem | None = None
    named: tuple[Ref, ...] = ()


def certificate_problem(graph: Reader, key: Wanted) -> Problem | None:
    """What stands against a certificate; a renewal that fits changes nothing here."""
    checked = graph.get(wanted_certificate, key)
    return checked if isinstance(checked, Problem) else None


def certificate_names(graph: Reader, key: Wanted) -> tuple[str, ...]:
    """The DNS names that a certificate is for."""
    checked = graph.get(wanted_certificate, key)
    return () if isinstance(checked, Problem) else checked.names


def _foreign(graph: Reader, gateway: Ref, hostname: str, secrets: list[Ref]) -> Problem | None:
    names = {ref: graph.get(certificate_names, Wanted(gateway, ref)) for ref in secrets}
    if not secrets or any(is_certified(hostname, found) for found in names.values()):
        return None
    told = "; ".join(
        f"Secret {ref.namespace}/{ref.name} is for {', '.join(found) or 'no host'}" for ref, found in names.items()
    )
    text = f"no certificate is for {hostname} ({told}): it is served, but clients will refuse it until one is"
    return Problem("HostnameMismatch", text)


def terminations(graph: Reader, gateway: Ref) -> tuple[Termination, ...]:
    """One for each listener that ends TLS."""
    spec = graph.get(gateway_spec, gateway)
    found = []
    for item in items(spec.get("listeners")) if spec is not None else ():
        protocol = str(item.get("protocol"))
        if not ends_tls(protocol, passthrough=is_passthrough(item)):
            continue
        good: list[Ref] = []
        problems: list[Problem] = []
        refs = certificate_refs(gateway, mapping(item.get("tls")))
        for ref in refs:
            problem = ref if isinstance(ref, Problem) else graph.get(certificate_problem, Wanted(gateway, ref))
            if problem is not None:
                problems.append(problem)
            elif isinstance(ref, Ref) and ref not in good:
                good.append(ref)
        if not good and not problems:
            problems.append(
                Problem("InvalidCertificateRef", f"a listener of protocol {protocol} needs tls.certificateRefs")
            )
        foreign = _foreign(graph, gateway, str(item.get("hostname") or "").lower(), good)
        named = tuple(ref for ref in refs if isinstance(ref, Ref))
        found.append(Termination(str(item.get("name", "")), tuple(good), tuple(problems), foreign, named))
    return tuple(found)
