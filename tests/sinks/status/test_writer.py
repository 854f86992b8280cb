"""What is written, what is not, and what becomes of other controllers' entries."""

from __future__ import annotations

from typing import Any

import pytest

from engine.ref import Ref
from streams.sinks.status.writer import MANAGER, Current, StatusWriter, current

OURS = "penstock.dev/gateway-controller"
NOW = "2026-01-02T00:00:00Z"
GATEWAY = Ref("east", "gateway.networking.k8s.io", "Gateway", "default", "gw")
ROUTE = Ref("east", "gateway.networking.k8s.io", "HTTPRoute", "default", "r")
NOTHING = Current("1", {}, {})


def condition(type_: str = "Accepted", status: str = "True") -> dict[str, Any]:
    return {"type": type_, "status": status, "reason": type_, "message": "", "observedGeneration": 1}


def wanted(**status: Any) -> dict[str, Any]:
    return {"generation": 1, "status": status, "programmed": {}}


def entry(controller: str = OURS) -> dict[str, Any]:
    return {"parentRef": {"name": "gw"}, "controllerName": controller, "conditions": [condition()]}


@pytest.fixture
def writer() -> StatusWriter:
    return StatusWriter("east", {OURS}, lambda: NOW)


def apply(writer: StatusWriter, at: float = 0.0) -> list[Any]:
    """Apply what is due as an API server would; the statuses."""
    found = []
    while (write := writer.take(at)) is not None:
        owned = {f"f:{name}": {} for name in write.status}
        fields = {"manager": MANAGER, "operation": "Apply", "subresource": "status", "fieldsV1": {"f:status": owned}}
        metadata = {"resourceVersion": "7", "managedFields": [fields]}
        writer.wrote(write, {"metadata": metadata, "status": write.status}, at)
        found.append((write.ref, write.status, write.version))
    return found


def test_what_is_wanted_is_written_once(writer: StatusWriter) -> None:
    writer.want(GATEWAY, wanted(conditions=[condition()]), 0.0)
    assert apply(writer) == []  # It is not there yet.
    writer.seen(GATEWAY, NOTHING, 0.0)
    assert apply(writer) == [(GATEWAY, {"conditions": [condition() | {"lastTransitionTime": NOW}]}, "")]
    writer.want(GATEWAY, wanted(conditions=[condition()]), 9.0)
    assert apply(writer, 9.0) == []


def test_lists_of_several_controllers_are_written_on_the_version_that_was_read(writer: StatusWriter) -> None:
    theirs = entry("example.com/other")
    writer.seen(ROUTE, Current("5", {"parents": [theirs]}, {}), 0.0)
    writer.want(ROUTE, wanted(parents=[entry()]), 0.0)
    ((_, status, version),) = apply(writer)
    assert version == "5"
    assert [one["controllerName"] for one in status["parents"]] == ["example.com/other", OURS]


def test_after_a_conflict_the_others_new_entry_is_kept(writer: StatusWriter) -> None:
    writer.seen(ROUTE, NOTHING, 0.0)
    writer.want(ROUTE, wanted(parents=[entry()]), 0.0)
    write = writer.take(0.0)
    assert write is not None
    writer.seen(ROUTE, Current("2", {"parents": [entry("example.com/other")]}, {}), 0.0)
    writer.failed(write, 0.0)
    assert writer.take(0.0) is None
    ((_, status, version),) = apply(writer, 0.2)
    assert (len(status["parents"]), version) == (2, "2")


def test_somebody_who_overwrites_ours_is_answered(writer: StatusWriter) -> None:
    writer.seen(ROUTE, NOTHING, 0.0)
    writer.want(ROUTE, wanted(parents=[entry()]), 0.0)
    apply(writer)
    writer.seen(ROUTE, Current("9", {"parents": [entry("example.com/other")]}, {}), 9.0)
    ((_, status, _),) = apply(writer, 9.0)
    assert len(status["parents"]) == 2


def test_a_watch_that_is_behind_our_own_write_changes_nothing(writer: StatusWriter) -> None:
    writer.seen(ROUTE, NOTHING, 0.0)
    writer.want(ROUTE, wanted(parents=[entry()]), 0.0)
    apply(writer)
    writer.seen(ROUTE, Current("6", {}, {}), 9.0)
    assert apply(writer, 9.0) == []


def test_nothing_is_taken_away_before_all_that_is_wanted_is_known(writer: StatusWriter) -> None:
    writer.seen(ROUTE, Current("5", {"parents": [entry(), entry("example.com/other")]}, {}), 0.0)
    assert apply(writer) == []
    writer.known(0.0)
    ((_, status, version),) = apply(writer)
    assert ([one["controllerName"] for one in status["parents"]], version) == (["example.com/other"], "5")


def test_who_never_was_ours_is_left_alone(writer: StatusWriter) -> None:
    writer.known(0.0)
    writer.seen(GATEWAY, Current("5", {"conditions": [condition()]}, {}), 0.0)
    writer.seen(ROUTE, Current("5", {"parents": [entry("example.com/other")]}, {}), 0.0)
    assert apply(writer) == []


def test_a_gateway_that_is_no_longer_ours_loses_what_we_said(writer: StatusWriter) -> None:
    writer.known(0.0)
    writer.seen(GATEWAY, NOTHING, 0.0)
    writer.want(GATEWAY, wanted(conditions=[condition()]), 0.0)
    apply(writer)
    writer.want(GATEWAY, None, 9.0)
    assert apply(writer, 9.0) == [(GATEWAY, {}, "")]


def test_what_is_gone_from_a_listing_is_gone(writer: StatusWriter) -> None:
    writer.listed(GATEWAY.group, "Gateway", {GATEWAY: NOTHING}, 0.0)
    writer.want(GATEWAY, wanted(conditions=[condition()]), 0.0)
    writer.listed(GATEWAY.group, "Gateway", {}, 0.0)
    assert apply(writer) == []


def test_an_api_server_brought_back_from_a_copy_gets_its_statuses_anew(writer: StatusWriter) -> None:
    """Its listing has older versions than were known, and is all that there is."""
    writer.want(GATEWAY, wanted(conditions=[condition()]), 0.0)
    writer.seen(GATEWAY, Current("5", {}, {}), 0.0)
    assert apply(writer)
    writer.listed(GATEWAY.group, GATEWAY.kind, {GATEWAY: Current("3", {}, {})}, 9.0)
    assert apply(writer, 9.0) == [(GATEWAY, {"conditions": [condition() | {"lastTransitionTime": NOW}]}, "")]


def test_a_thousand_routes_attached_are_few_writes(writer: StatusWriter) -> None:
    writer.seen(GATEWAY, NOTHING, 0.0)
    for attached in range(1_000):
        at = attached / 100
        listener = {"name": "http", "attachedRoutes": attached + 1, "conditions": []}
        writer.want(GATEWAY, wanted(listeners=[listener]), at)
        apply(writer, at)
    apply(writer, 60.0)
    assert writer.writes <= 15
    assert current_routes(writer) == 1_000


def current_routes(writer: StatusWriter) -> int:
    return int(writer._there[GATEWAY].status["listeners"][0]["attachedRoutes"])  # noqa: SLF001


def test_what_is_kept_of_an_object() -> None:
    fields = {"manager": MANAGER, "operation": "Apply", "subresource": "status", "fieldsV1": {"f:status": {"f:a": {}}}}
    object_ = {"metadata": {"resourceVersion": "3", "managedFields": [fields]}, "status": {"a": 1}}
    assert current(object_) == Current("3", {"a": 1}, {"f:a": {}})
