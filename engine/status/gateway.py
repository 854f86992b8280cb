"""The status of a Gateway (GatewayStatus)."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from engine.graph.reader import Json, Reader
from engine.ref import Ref
from engine.resolve.client_certificate import client_certificate
from engine.resolve.gateway_class import ClassKey, is_our_class
from engine.resolve.listener import listeners
from engine.resolve.manifest import items, object_of, refused_from_the_start, spec_of
from engine.resolve.settings import settings
from engine.resolve.termination import terminations
from engine.resolve.values import Problem
from engine.status.condition import condition, not_taken, present
from engine.status.listener import entry, is_good, is_served, told

_EVERY = {"0.0.0.0", "::"}  # noqa: S104  compared with, not bound


class Reason(StrEnum):
    """Reasons that are not a problem's own."""

    ACCEPTED = "Accepted"
    LISTENERS_NOT_VALID = "ListenersNotValid"
    PROGRAMMED = "Programmed"
    RESOLVED_REFS = "ResolvedRefs"
    CONFIGURATION_CHANGED = "ConfigurationChanged"
    INVALID = "Invalid"
    UNSUPPORTED_ADDRESS = "UnsupportedAddress"
    ADDRESS_NOT_USABLE = "AddressNotUsable"


def gateway_status(
    graph: Reader, gateway: Ref, attached: Mapping[str, int], broken: Mapping[str, str], sets: int
) -> dict[str, Any]:
    """The wanted status. Programmed stands as it will be once proxies have acknowledged.

    `broken` says of listeners which of Envoy's field rules they break: they are not served. `attached` counts routes by
    listener, `sets` the accepted ListenerSets.
    """
    object_ = object_of(graph, gateway)
    generation, refusal = present(graph, gateway)
    every = tuple(told(one, broken) for one in graph.get(listeners, gateway) or ())
    found = [one for one in every if one.source == gateway]
    ends = {one.listener: one for one in graph.get(terminations, gateway)}
    entries = [entry(one, ends.get(one.name), attached[one.name], generation) for one in found]
    good = [one for one in found if is_good(one, ends.get(one.name))]
    served = [one for one in every if is_served(one, ends.get(one.name))]
    status: dict[str, Any] = {
        "conditions": [
            _refused(refusal, generation)
            if refusal
            else _odd_address(object_, generation) or _accepted(len(found), len(good), generation),
            _programmed(graph, object_, bool(served), generation),
        ],
        "listeners": entries,
    }
    client = graph.get(client_certificate, gateway)
    if client is not None:
        status["conditions"].append(_resolved(client, generation))
    if any(end.client is not None and end.client.insecure for end in ends.values()):
        text = "clients without a valid certificate are let in (AllowInsecureFallback): use it for tests only"
        insecure = condition("InsecureFrontendValidationMode", True, Reason.CONFIGURATION_CHANGED, text, generation)
        status["conditions"].append(insecure)
    if sets or spec_of(object_).get("allowedListeners"):
        status["attachedListenerSets"] = sets
    if served:
        status["addresses"] = _addresses(graph, object_)
    return {"generation": generation, "status": status, "programmed": [str(gateway)]}


def _resolved(client: Ref | Problem, generation: int) -> dict[str, Any]:
    if isinstance(client, Problem):
        return condition("ResolvedRefs", False, client.reason, client.message, generation)
    return condition("ResolvedRefs", True, Reason.RESOLVED_REFS, "all references are resolved", generation)


def _asked(object_: Json | None) -> list[tuple[str, str]]:
    """Type and value of the addresses that a Gateway asks for; without a value it takes what it is given."""
    found = items(spec_of(object_).get("addresses"))
    return [(str(one.get("type", "IPAddress")), str(one.get("value") or "")) for one in found]


def _addresses(graph: Reader, object_: Json | None) -> list[dict[str, str]]:
    """Those that were asked for, where Envoy listens on every address; else the one that it listens on."""
    bind = settings(graph).bind_address
    asked = [value for type_, value in _asked(object_) if value and type_ == "IPAddress"] if bind in _EVERY else []
    return [{"type": "IPAddress", "value": one} for one in asked or [bind]]


def _odd_address(object_: Json | None, generation: int) -> dict[str, Any] | None:
    odd = sorted({type_ for type_, _ in _asked(object_) if type_ != "IPAddress"})
    if not odd:
        return None
    text = f"spec.addresses has {', '.join(odd)}, which is not served: use IPAddress"
    return condition("Accepted", False, Reason.UNSUPPORTED_ADDRESS, text, generation)


def _programmed(graph: Reader, object_: Json | None, served: bool, generation: int) -> dict[str, Any]:  # noqa: FBT001
    """False too while an address is asked for that Envoy does not listen on: it serves on its own all the same."""
    bind = settings(graph).bind_address
    wrong = [
        value
        for type_, value in _asked(object_)
        if value and (type_ != "IPAddress" or (value != bind and bind not in _EVERY))
    ]
    if not served:
        return condition("Programmed", False, Reason.INVALID, "no listener can be served", generation)
    if wrong:
        text = f"spec.addresses has {', '.join(wrong)}, which the Gateway cannot have: it listens on {bind}"
        return condition("Programmed", False, Reason.ADDRESS_NOT_USABLE, text, generation)
    return condition("Programmed", True, Reason.PROGRAMMED, "proxies run this configuration", generation)


def refused_status(graph: Reader, gateway: Ref) -> dict[str, Any] | None:
    """The wanted status of a Gateway that its model never took; None when it is not ours, or was taken."""
    never = refused_from_the_start(graph, gateway)
    name = spec_of(never.written).get("gatewayClassName") if never is not None else None
    if never is None or not isinstance(name, str) or not graph.get(is_our_class, ClassKey(gateway.cluster, name)):
        return None
    return not_taken(never, ("Accepted", "Programmed"), Reason.INVALID)


def _refused(refusal: str, generation: int) -> dict[str, Any]:
    text = f"{refusal}; until it is mended, the last good revision is served"
    return condition("Accepted", False, Reason.INVALID, text, generation)


def _accepted(listeners_: int, good: int, generation: int) -> dict[str, Any]:
    if good == listeners_:
        return condition("Accepted", True, Reason.ACCEPTED, "the Gateway is accepted", generation)
    # With at least one good listener a Gateway is accepted all the same (conformance suite,
    # GatewayListenerUnsupportedProtocol).
    text = f"{listeners_ - good} of {listeners_} listeners are not valid: see status.listeners"
    return condition("Accepted", good > 0, Reason.LISTENERS_NOT_VALID, text, generation)
