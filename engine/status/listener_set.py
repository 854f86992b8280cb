"""The status of a ListenerSet (ListenerSetStatus)."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from engine.graph.reader import Reader
from engine.ref import Ref
from engine.resolve.gateway import Attached, gateway_of_set, is_allowed, named_gateway
from engine.resolve.listener import listeners
from engine.resolve.manifest import mapping, refused_from_the_start, spec_of
from engine.resolve.placement import placements
from engine.resolve.termination import terminations
from engine.status.condition import condition, not_taken, present
from engine.status.listener import entry, is_good, is_served, told


class Reason(StrEnum):
    """Reasons of a ListenerSet's own conditions."""

    ACCEPTED = "Accepted"
    INVALID = "Invalid"
    LISTENERS_NOT_VALID = "ListenersNotValid"
    NOT_ALLOWED = "NotAllowed"
    PROGRAMMED = "Programmed"


def listener_set_status(
    graph: Reader, set_: Ref, attached: Mapping[str, int], broken: Mapping[str, str]
) -> dict[str, Any] | None:
    """The wanted status; None when it names no Gateway of ours. `attached` and `broken` as of a Gateway's."""
    gateway = graph.get(gateway_of_set, set_)
    every = graph.get(listeners, gateway) if gateway is not None else None
    if gateway is None or every is None:
        return _refused(graph, set_)
    generation, refusal = present(graph, set_)
    if not graph.get(is_allowed, Attached(gateway, set_)):
        text = (
            f"Gateway {gateway.namespace}/{gateway.name} does not let ListenerSets of namespace {set_.namespace} in: "
            "see its allowedListeners"
        )
        found = [condition(kind, False, Reason.NOT_ALLOWED, text, generation) for kind in ("Accepted", "Programmed")]
        return {"generation": generation, "status": {"conditions": found}, "programmed": {}}
    mine = [told(one, broken) for one in every if one.source == set_]
    ends = {one.listener: one for one in graph.get(terminations, gateway)}
    good = sum(is_good(one, ends.get(one.name)) for one in mine)
    places = graph.get(placements, gateway)
    served = bool(places) and any(is_served(one, ends.get(one.name)) for one in mine)
    status = {
        "conditions": [_accepted(len(mine), good, refusal, generation), _programmed(served=served, at=generation)],
        "listeners": [entry(one, ends.get(one.name), attached[one.name], generation) for one in mine],
    }
    return {"generation": generation, "status": status, "programmed": [str(one) for one in places]}


def _accepted(listeners_: int, good: int, refusal: str, generation: int) -> dict[str, Any]:
    if refusal:
        text = f"{refusal}; until it is mended, the last good revision is served"
        return condition("Accepted", False, Reason.INVALID, text, generation)
    if good == listeners_:
        return condition("Accepted", True, Reason.ACCEPTED, "the ListenerSet is accepted", generation)
    text = f"{listeners_ - good} of {listeners_} listeners are not valid: see status.listeners"
    return condition("Accepted", good > 0, Reason.LISTENERS_NOT_VALID, text, generation)


def _programmed(*, served: bool, at: int) -> dict[str, Any]:
    reason = Reason.PROGRAMMED if served else Reason.LISTENERS_NOT_VALID
    text = "proxies run this configuration" if served else "no listener can be served"
    return condition("Programmed", served, reason, text, at)


def _refused(graph: Reader, set_: Ref) -> dict[str, Any] | None:
    """Of a ListenerSet that its model never took; None when it is not ours, or was taken."""
    never = refused_from_the_start(graph, set_)
    gateway = named_gateway(set_, mapping(spec_of(never.written).get("parentRef"))) if never is not None else None
    if never is None or gateway is None or graph.get(listeners, gateway) is None:
        return None
    return not_taken(never, ("Accepted", "Programmed"), Reason.INVALID)
