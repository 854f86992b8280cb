"""BackendConfigPolicies: whose fields are in force at a backend, and what of requests to it is hashed."""

from __future__ import annotations

from typing import Final, NamedTuple

from engine.graph.reader import Json, Reader
from engine.models.duration import milliseconds
from engine.ref import Ref
from engine.resolve.manifest import held_fact, items, mapping
from engine.resolve.policy import Aim, Block, aimed, block, blocks_of
from engine.resolve.values import HashPolicy

KIND: Final = "BackendConfigPolicy"
TLS: Final = "tls"


class At(NamedTuple):
    """A Service or Backend, all its ports, as one Gateway is served it."""

    gateway: Ref
    target: Ref


def standing(graph: Reader, key: At) -> tuple[Ref, ...]:
    """The policies that stand there, the oldest first."""
    return graph.get(aimed, Aim(key.gateway, KIND, key.target))


def in_force(graph: Reader, key: At) -> tuple[Block, ...]:
    """Of each field the oldest policy's block, by field.

    One that cannot be served leaves its fields to the others; but its `tls` stays: without it the backend would be
    spoken to in clear, or trusted by somebody else's word.
    """
    found: dict[str, Block] = {}
    for policy in standing(graph, key):
        for one in blocks_of(graph, key.gateway, policy):
            if not one.refused or one.field == TLS:
                found.setdefault(one.field, one)
    return tuple(found[field] for field in sorted(found))


def sources(graph: Reader, key: At) -> tuple[Ref, ...]:
    """The policies that have a say there: of which a field is in force, or would be if no proxy had rejected it."""
    held = (one for one in standing(graph, key) if graph.fact(held_fact(key.gateway, one)))
    return tuple(dict.fromkeys([*(one.policy for one in graph.get(in_force, key)), *held]))


def hash_policies(graph: Reader, key: At) -> tuple[HashPolicy, ...]:
    """What of a request decides its host; whatever else changes in a policy stops here."""
    found = next((one for one in graph.get(in_force, key) if one.field == "loadBalancer"), None)
    if found is None:
        return ()
    balancer = block(graph, key.gateway, found)
    hashed = mapping(balancer.get("ringHash") or balancer.get("maglev"))
    return tuple(_hash_policy(one) for one in items(hashed.get("hashPolicies")))


def _hash_policy(item: Json) -> HashPolicy:
    terminal = bool(item.get("terminal"))
    if "header" in item:
        return HashPolicy("header", str(mapping(item["header"]).get("name")), terminal=terminal)
    if "cookie" not in item:
        return HashPolicy("source", terminal=terminal)
    cookie = mapping(item["cookie"])
    attributes = [(word, "") for word, name in (("Secure", "secure"), ("HttpOnly", "httpOnly")) if cookie.get(name)]
    if cookie.get("sameSite"):
        attributes.append(("SameSite", str(cookie["sameSite"])))
    name, path = str(cookie.get("name")), str(cookie.get("path") or "")
    return HashPolicy("cookie", name, path, milliseconds(cookie.get("ttl")), tuple(attributes), terminal)
