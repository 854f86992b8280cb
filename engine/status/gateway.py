"""The status of a Gateway and of its listeners (GatewayStatus, ListenerStatus)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from typing import Any

from engine.graph.reader import Reader
from engine.ref import Ref
from engine.resolve.gateway_class import ClassKey, is_our_class
from engine.resolve.listener import Listener, listeners
from engine.resolve.manifest import items, object_of, refused_from_the_start, spec_of
from engine.resolve.settings import settings
from engine.resolve.termination import Termination, terminations
from engine.resolve.values import Problem
from engine.status.condition import condition, not_taken, present

CERTIFICATE = "penstock.dev/CertificateMatches"
"""Our own condition of a listener, there only when it is False: the API has no word for it."""


class Reason(StrEnum):
    """Reasons that are not a problem's own."""

    ACCEPTED = "Accepted"
    LISTENERS_NOT_VALID = "ListenersNotValid"
    PROGRAMMED = "Programmed"
    INVALID = "Invalid"
    NO_CONFLICTS = "NoConflicts"
    RESOLVED_REFS = "ResolvedRefs"
    UNSUPPORTED_ADDRESS = "UnsupportedAddress"


def gateway_status(
    graph: Reader, gateway: Ref, attached: Mapping[str, int], broken: Mapping[str, str]
) -> dict[str, Any]:
    """The wanted status. Programmed stands as it will be once proxies have acknowledged.

    `broken` says of listeners which of Envoy's field rules they break: they are not served.
    """
    object_ = object_of(graph, gateway)
    generation, refusal = present(graph, gateway)
    found = tuple(_told(one, broken) for one in graph.get(listeners, gateway) or ())
    ends = {one.listener: one for one in graph.get(terminations, gateway)}
    entries = [_listener(one, ends.get(one.name), attached[one.name], generation) for one in found]
    good = [one for one in found if one.serves and _problem(one, ends.get(one.name)) is None]
    served = [one for one in found if one.serves and (not one.tls or ends[one.name].secrets)]
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
    addresses = _addresses(graph, object_)
    if addresses and served:
        status["addresses"] = addresses
    return {"generation": generation, "status": status, "programmed": [str(gateway)]}


def _told(one: Listener, broken: Mapping[str, str]) -> Listener:
    if one.refused is not None or one.name not in broken:
        return one
    text = f"Envoy would not take this listener: {broken[one.name]}"
    return replace(one, refused=Problem("UnsupportedValue", text))


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


def _problem(one: Listener, end: Termination | None) -> str | None:
    if one.bad_kinds is not None and not one.kinds:
        return one.bad_kinds.message
    if end is not None and not end.secrets:
        return end.problems[0].message if end.problems else "no certificate"
    return None


def _listener(one: Listener, end: Termination | None, attached: int, generation: int) -> dict[str, Any]:
    unresolved = one.bad_kinds or (end.problems[0] if end is not None and end.problems else None)
    against = one.refused or one.conflict
    broken = against.message if against is not None else _problem(one, end)
    conditions = [
        condition(
            "Accepted",
            against is None,
            against.reason if against is not None else Reason.ACCEPTED,
            against.message if against is not None else "the listener is accepted",
            generation,
        ),
        condition(
            "Conflicted",
            one.conflict is not None,
            one.conflict.reason if one.conflict is not None else Reason.NO_CONFLICTS,
            one.conflict.message if one.conflict is not None else "no other listener stands in its way",
            generation,
        ),
        condition(
            "ResolvedRefs",
            unresolved is None,
            unresolved.reason if unresolved is not None else Reason.RESOLVED_REFS,
            unresolved.message if unresolved is not None else "all references are resolved",
            generation,
        ),
        condition(
            "Programmed",
            broken is None,
            Reason.PROGRAMMED if broken is None else (one.conflict.reason if one.conflict else Reason.INVALID),
            "proxies run this configuration" if broken is None else broken,
            generation,
        ),
    ]
    if one.serves and end is not None and end.foreign is not None:
        conditions.append(condition(CERTIFICATE, False, end.foreign.reason, end.foreign.message, generation))
    kinds = [{"group": group, "kind": kind} for group, kind in one.kinds] if one.refused is None else []
    return {"name": one.name, "attachedRoutes": attached, "supportedKinds": kinds, "conditions": conditions}
