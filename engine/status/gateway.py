"""The status of a Gateway (GatewayStatus)."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from engine.graph.reader import Reader
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


class Reason(StrEnum):
    """Reasons that are not a problem's own."""

    ACCEPTED = "Accepted"
    LISTENERS_NOT_VALID = "ListenersNotValid"
    PROGRAMMED = "Programmed"
    RESOLVED_REFS = "ResolvedRefs"
    CONFIGURATION_CHANGED = "ConfigurationChanged"
    INVALID = "Invalid"
    UNSUPPORTED_ADDRESS = "UnsupportedAddress"


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
            _refused(refusal, generation) if refusal else _accepted(len(found), len(good), generation),
            condition(
                "Programmed",
                bool(served),
                Reason.PROGRAMMED if served else Reason.INVALID,
                "proxies run this configuration" if served else "no listener can be served",
                generation,
            ),
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
    addresses = _addresses(graph, object_)
    if addresses and served:
        status["addresses"] = addresses
    return {"generation": generation, "status": status, "programmed": [str(gateway)]}


def _resolved(client: Ref | Problem, generation: int) -> dict[str, Any]:
    if isinstance(client, Problem):
        return condition("ResolvedRefs", False, client.reason, client.message, generation)
    return condition("ResolvedRefs", True, Reason.RESOLVED_REFS, "all references are resolved", generation)


def _addresses(graph: Reader, object_: Any) -> list[dict[str, str]]:
    bind = settings(graph).bind_address
    wanted = [one for one in items(spec_of(object_).get("addresses")) if one.get("value")]
    if wanted:
        return [{"type": str(one.get("type", "IPAddress")), "value": str(one.get("value"))} for one in wanted]
    return [{"type": "IPAddress", "value": bind}]


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
