"""The status of a Gateway (GatewayStatus)."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from engine.graph.reader import Json, Reader
from engine.ref import Ref
from engine.resolve.client_certificate import client_certificate
from engine.resolve.gateway_class import ClassKey, is_our_class
from engine.resolve.listener import listeners
from engine.resolve.manifest import items, object_of, refused_from_the_start, spec_of
from engine.resolve.parameters import parameters
from engine.resolve.placement import Selection, placements, selection
from engine.resolve.proxy import Address, service_addresses
from engine.resolve.settings import settings
from engine.resolve.termination import terminations
from engine.resolve.values import PENDING, Problem
from engine.status.condition import condition, not_taken, present, resolved
from engine.status.listener import entry, is_good, is_served, is_waiting, told

PLACED = "penstock.dev/Placed"
"""Our own condition, of Gateways that select clusters: the API has no word for it."""
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
    ADDRESS_NOT_ASSIGNED = "AddressNotAssigned"
    NO_RESOURCES = "NoResources"
    PLACED = "Placed"


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
    against = _odd_address(object_, generation) or _bad_parameters(graph, gateway, generation)
    accepted = _refused(refusal, generation) if refusal else against or _accepted(len(found), len(good), generation)
    places = _places(graph, gateway, object_)
    waiting = any(is_waiting(one, ends.get(one.name)) for one in every)
    status: dict[str, Any] = {
        "conditions": [
            accepted,
            _programmed(object_, places, generation) if served else _unserved(waiting, generation),
        ],
        "listeners": entries,
    }
    chosen = graph.get(selection, gateway)
    if chosen.is_made:
        status["conditions"].append(_placed(chosen, generation))
    client = graph.get(client_certificate, gateway)
    if client is not None:
        status["conditions"].append(_resolved(client, generation))
    if any(end.client is not None and end.client.insecure for end in ends.values()):
        text = "clients without a valid certificate are let in (AllowInsecureFallback): use it for tests only"
        insecure = condition("InsecureFrontendValidationMode", True, Reason.CONFIGURATION_CHANGED, text, generation)
        status["conditions"].append(insecure)
    if sets or spec_of(object_).get("allowedListeners"):
        status["attachedListenerSets"] = sets
    if served and places.told:
        status["addresses"] = [one._asdict() for one in places.told]
    return {
        "generation": generation,
        "status": status,
        "programmed": [str(one) for one in graph.get(placements, gateway)],
    }


def _placed(chosen: Selection, generation: int) -> dict[str, Any]:
    where = f"it has proxies in {', '.join(chosen.clusters)}" if chosen.clusters else "it has proxies nowhere"
    if not chosen.problems:
        return condition(
            PLACED, bool(chosen.clusters), Reason.PLACED if chosen.clusters else Reason.NO_RESOURCES, where, generation
        )
    text = "; ".join(one.message for one in chosen.problems)
    return condition(PLACED, False, chosen.problems[0].reason, f"{text}; {where}", generation)


def _resolved(client: Ref | Problem, generation: int) -> dict[str, Any]:
    problems = [client] if isinstance(client, Problem) else []
    return resolved(problems, (Reason.RESOLVED_REFS, "all references are resolved"), generation)


def _asked(object_: Json | None) -> list[tuple[str, str]]:
    """Type and value of the addresses that a Gateway asks for; without a value it takes what it is given."""
    found = items(spec_of(object_).get("addresses"))
    return [(str(one.get("type", "IPAddress")), str(one.get("value") or "")) for one in found]


class _Places(NamedTuple):
    """The addresses that a Gateway has, where it is in words; `any_`: whatever IP address it asks for is its own.

    `without` are the clusters in which it has none yet; "" for its own. None at all: it has proxies nowhere.
    """

    told: tuple[Address, ...]
    words: str
    any_: bool = False
    without: tuple[str, ...] | None = ()


def _places(graph: Reader, gateway: Ref, object_: Json | None) -> _Places:
    """Its Service's addresses, or where Envoy listens: on every address, then those that were asked for are its own."""
    where = graph.get(placements, gateway)
    if not where:
        return _Places((), "it has proxies nowhere", without=None)
    if settings(graph).service_addresses:
        found = {one: graph.get(service_addresses, one) for one in where}
        every = tuple(dict.fromkeys(address for some in found.values() for address in some))
        words = f"its Service has {', '.join(one.value for one in every) or 'none yet'}"
        return _Places(every, words, without=tuple(one.elsewhere for one, some in found.items() if not some))
    bind = settings(graph).bind_address
    asked = [Address(*one) for one in _asked(object_) if one[1] and one[0] == "IPAddress"] if bind in _EVERY else []
    return _Places(tuple(asked) or (Address("IPAddress", bind),), f"it listens on {bind}", bind in _EVERY)


def _odd_address(object_: Json | None, generation: int) -> dict[str, Any] | None:
    odd = sorted({type_ for type_, _ in _asked(object_) if type_ not in ("IPAddress", "Hostname")})
    if not odd:
        return None
    text = f"spec.addresses has {', '.join(odd)}, which is not served: use IPAddress"
    return condition("Accepted", False, Reason.UNSUPPORTED_ADDRESS, text, generation)


def _bad_parameters(graph: Reader, gateway: Ref, generation: int) -> dict[str, Any] | None:
    _, problem = graph.get(parameters, gateway)
    return condition("Accepted", False, problem.reason, problem.message, generation) if problem is not None else None


def _unserved(waiting: bool, generation: int) -> dict[str, Any]:  # noqa: FBT001  as it was found
    text = "no listener can be served yet: what it needs is being read" if waiting else "no listener can be served"
    return condition("Programmed", False, PENDING if waiting else Reason.INVALID, text, generation)


def _programmed(object_: Json | None, places: _Places, generation: int) -> dict[str, Any]:
    """False too while it has no address, or asks for one that it does not get: it serves on its own all the same."""
    has = set(places.told)
    wrong = [
        value
        for type_, value in _asked(object_)
        if value and Address(type_, value) not in has and not (places.any_ and type_ == "IPAddress")
    ]
    if places.without is None:
        text = f"{places.words}: see its condition {PLACED}"
        return condition("Programmed", False, Reason.NO_RESOURCES, text, generation)
    # Before there is an address at all, one that was asked of the Service may still come; a name is never asked of it.
    if places.without and not any(type_ != "IPAddress" for type_, value in _asked(object_) if value):
        where = ", ".join(f" in cluster {one}" for one in places.without if one)
        text = f"the Service before its proxies{where} has no address yet"
        return condition("Programmed", False, Reason.ADDRESS_NOT_ASSIGNED, text, generation)
    if wrong:
        text = f"spec.addresses has {', '.join(wrong)}, which the Gateway cannot have: {places.words}"
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
