"""Values of Secrets that policies name: read on request, given in clear, for fragments that leave sealed."""

from __future__ import annotations

from engine.graph.reader import Json, Reader, Resource
from engine.ref import Ref
from engine.resolve.certificate import SEALER, unread
from engine.resolve.grant import extension_problem
from engine.resolve.manifest import held_fact, is_unread, mapping, served_revision
from engine.resolve.values import Problem
from engine.seal import Sealer, UnsealError


def named_secret(owner: Ref, reference: Json) -> Ref:
    """The Secret that a reference names, by default of the owner's namespace."""
    namespace = str(reference.get("namespace") or owner.namespace)
    return Ref(owner.cluster, "", "Secret", namespace, str(reference.get("name", "")))


def secret_values(graph: Reader, gateway: Ref, owner: Ref, secret: Ref) -> dict[str, bytes] | Problem:
    """All values of a Secret that `owner` names, as `gateway` is served it; or why there are none."""
    problem = extension_problem(graph, owner, secret)
    return problem if problem is not None else _values(graph, gateway, secret, graph.read(secret))


def selected_values(graph: Reader, gateway: Ref, secret: Ref) -> dict[str, bytes] | Problem:
    """As `secret_values`, of a Secret that its labels chose: by its name nobody asks for it."""
    return _values(graph, gateway, secret, graph.look(secret))


def _values(graph: Reader, gateway: Ref, secret: Ref, resource: Resource | None) -> dict[str, bytes] | Problem:
    told = f"Secret {secret.namespace}/{secret.name}"
    object_ = served_revision(graph, gateway, secret, resource)
    if object_ is None:
        return unread(secret) if is_unread(graph, secret) else Problem("Invalid", f"{told} does not exist: create it")
    if graph.fact(held_fact(gateway, secret)) and resource is not None and object_ == resource.object:
        return Problem("Quarantined", f"{told} was rejected by a proxy and has no earlier revision: replace it")
    sealer = graph.fact(SEALER)
    if not isinstance(sealer, Sealer):
        return Problem("Invalid", f"{told} cannot be read without the sealing key")
    try:
        data = mapping(object_.get("data"))
        return {str(name): sealer.unseal_text(str(value)) for name, value in data.items()}
    except UnsealError:
        return Problem("Invalid", f"{told} is sealed with another key: its source must write it again")


def secret_value(graph: Reader, gateway: Ref, owner: Ref, reference: Json, key: str) -> bytes | Problem:
    """One value of the Secret that a reference names; `key` where the reference itself names none."""
    secret = named_secret(owner, reference)
    found = secret_values(graph, gateway, owner, secret)
    if isinstance(found, Problem):
        return found
    name = str(reference.get("key") or key)
    if name in found:
        return found[name]
    return Problem("Invalid", f"Secret {secret.namespace}/{secret.name} has no key {name}: add it")
