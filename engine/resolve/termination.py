"""Which certificates each listener of a Gateway that ends TLS can serve, and what stands against the others."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from engine.graph.reader import Reader
from engine.ref import Ref
from engine.resolve.certificate import Wanted, certificate_refs, wanted_certificate
from engine.resolve.frontend import Frontend, Port, asking, frontend
from engine.resolve.gateway import Entry, entries
from engine.resolve.hostname import is_certified
from engine.resolve.listener import ends_tls, is_passthrough
from engine.resolve.listener_policy import Place
from engine.resolve.manifest import items, mapping, spec_of
from engine.resolve.values import PENDING, Client, Problem


@dataclass(frozen=True, slots=True)
class Termination:
    """A listener's certificates: those that can be served, and problems of those that cannot.

    `foreign` is set when all of them are for other hostnames: they are served, but clients will not be content.
    `client` is what clients must show, and `refused` is set when none could be let in. `named` are all certificates
    that it names, to be served or not.
    """

    listener: str
    secrets: tuple[Ref, ...]
    problems: tuple[Problem, ...]
    foreign: Problem | None = None
    refused: Problem | None = None
    client: Client | None = None
    named: tuple[Ref, ...] = ()


def certificate_problem(graph: Reader, key: Wanted) -> Problem | None:
    """What stands against a certificate; a renewal that fits changes nothing here."""
    checked = graph.get(wanted_certificate, key)
    return checked if isinstance(checked, Problem) else None


def certificate_names(graph: Reader, key: Wanted) -> tuple[str, ...]:
    """The DNS names that a certificate is for."""
    checked = graph.get(wanted_certificate, key)
    return () if isinstance(checked, Problem) else checked.names


def _foreign(graph: Reader, hostname: str, secrets: list[Wanted]) -> Problem | None:
    names = {one.secret: graph.get(certificate_names, one) for one in secrets}
    if not secrets or any(is_certified(hostname, found) for found in names.values()):
        return None
    told = "; ".join(
        f"Secret {ref.namespace}/{ref.name} is for {', '.join(found) or 'no host'}" for ref, found in names.items()
    )
    text = f"no certificate is for {hostname} ({told}): it is served, but clients will refuse it until one is"
    return Problem("HostnameMismatch", text)


def _asking(whole: Termination, asked: Frontend, at: Port) -> Termination:
    """Clients must show certificates; with nobody who could have signed them, nobody is let in."""
    problems = (*whole.problems, *asked.problems)
    if any(one.reason == PENDING for one in asked.problems) and not asked.is_met:
        # Nobody is let in before it is known who may be; but nothing is wrong yet.
        return replace(whole, problems=problems, secrets=())
    if asked.is_met:
        return replace(whole, problems=problems, client=Client(at.port, asked.insecure, at.section, asked.optional))
    refused = Problem("NoValidCACertificate", asked.problems[0].message)
    return replace(whole, problems=problems, secrets=(), refused=refused)


def terminations(graph: Reader, gateway: Ref) -> tuple[Termination, ...]:
    """One for each listener that ends TLS."""
    found = []
    for entry in graph.get(entries, gateway) or ():
        protocol, port = str(entry.item.get("protocol")), int(entry.item.get("port", 0))
        if not ends_tls(protocol, passthrough=is_passthrough(entry.item)):
            continue
        refs = certificate_refs(entry.source, mapping(entry.item.get("tls")))
        good, problems = _judged(graph, gateway, entry.source, refs)
        if not refs:
            problems.append(
                Problem("InvalidCertificateRef", f"a listener of protocol {protocol} needs tls.certificateRefs")
            )
        if not good and any(one.reason == PENDING for one in problems):
            good = _served_before(graph, gateway, entry)
        wanted = [Wanted(gateway, ref, entry.source) for ref in good]
        foreign = _foreign(graph, str(entry.item.get("hostname") or "").lower(), wanted)
        named = tuple(dict.fromkeys([*(ref for ref in refs if isinstance(ref, Ref)), *good]))
        whole = Termination(entry.name, tuple(good), tuple(problems), foreign, named=named)
        at = asking(graph, Place(gateway, port, str(entry.item.get("name")) if entry.source == gateway else ""))
        asked = graph.get(frontend, at) if protocol == "HTTPS" else None
        found.append(whole if asked is None else _asking(whole, asked, at))
    return tuple(found)


def _judged(graph: Reader, gateway: Ref, source: Ref, refs: Iterable[Ref | Problem]) -> tuple[list[Ref], list[Problem]]:
    """The certificates that can be served, each once, and what stands against the others."""
    good: list[Ref] = []
    problems: list[Problem] = []
    for ref in refs:
        problem = ref if isinstance(ref, Problem) else graph.get(certificate_problem, Wanted(gateway, ref, source))
        if problem is not None:
            problems.append(problem)
        elif isinstance(ref, Ref) and ref not in good:
            good.append(ref)
    return good, problems


def _served_before(graph: Reader, gateway: Ref, entry: Entry) -> list[Ref]:
    """The certificates that the listener had in its object's last revision: they serve until the new ones are read."""
    resource = graph.read(entry.source)
    before = spec_of(resource.previous if resource is not None else None)
    same = ("name", "port", "protocol", "hostname")
    for item in items(before.get("listeners")):
        if all(item.get(word) == entry.item.get(word) for word in same):
            return _judged(graph, gateway, entry.source, certificate_refs(entry.source, mapping(item.get("tls"))))[0]
    return []
