"""The GatewayExtension that a TrafficPolicy's block names: found, granted, and of the section that is needed."""

from __future__ import annotations

from typing import NamedTuple

from engine.graph.reader import Json, Reader
from engine.ref import Ref
from engine.resolve.grant import extension_problem
from engine.resolve.manifest import KGATEWAY, held_fact, mapping, served_object, spec_of
from engine.resolve.values import Problem

KIND = "GatewayExtension"


class Extended(NamedTuple):
    """Key of queries: an extension as a Gateway is served it; with itself for the Gateway, as it is now."""

    gateway: Ref
    extension: Ref


def named_extension(owner: Ref, reference: Json) -> Ref:
    """The extension that a reference names, by default of the owner's namespace."""
    namespace = str(reference.get("namespace") or owner.namespace)
    return Ref(owner.cluster, KGATEWAY, KIND, namespace, str(reference.get("name", "")))


def extension(graph: Reader, gateway: Ref, owner: Ref, block: Json, section: str) -> Extended | Problem:
    """What the extensionRef of a block names, when it may, and when it is a service of that section."""
    ref = named_extension(owner, mapping(block.get("extensionRef")))
    if (problem := extension_problem(graph, owner, ref)) is not None:
        return Problem("Invalid", problem.message)
    key = Extended(gateway, ref)
    found = graph.get(sections, key)
    if isinstance(found, Problem) or section in found:
        return found if isinstance(found, Problem) else key
    return Problem("Invalid", f"{_name(ref)} is of {', '.join(found)}, not of {section}: name another")


def sections(graph: Reader, key: Extended) -> tuple[str, ...] | Problem:
    """What an extension is of; whatever else changes in it stops here."""
    resource, name = graph.read(key.extension), _name(key.extension)
    if resource is None:
        return Problem("Invalid", f"{name} does not exist: create it")
    if resource.object is None:
        return Problem("Invalid", f"{name} was never taken: {resource.refusal}")
    if resource.previous is None and (words := graph.fact(held_fact(*key))):
        return Problem("Quarantined", f"a proxy rejected {name} and there is no earlier revision ({words}): mend it")
    return tuple(sorted(spec_of(served_object(graph, *key)).keys() - {"type"}))


def section_of(graph: Reader, key: Extended, section: str) -> Json:
    """What the extension says in a section of it."""
    return mapping(spec_of(served_object(graph, *key)).get(section))


def _name(ref: Ref) -> str:
    return f"{ref.kind} {ref.namespace}/{ref.name}"
