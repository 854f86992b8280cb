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
BACKEND = Ref("east", "gateway.kgateway.dev", "Backend", "default", "b")
NOTHING = Current("1", {}, {})
_KEY = 'k:{"type":"Accepted"}'


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



def applied_by(manager: str, *parts: str, operation: str = "Update", subresource: str = "status") -> dict[str, Any]:
    """An entry of managedFields: somebody has these parts of the condition Accepted."""
    condition_ = {f"f:{part}": {} for part in parts}
    fields = {"f:status": {"f:conditions": {_KEY: {".": {}, **condition_}}}}
    return {"manager": manager, "operation": operation, "subresource": subresource, "fieldsV1": fields}


def standing(message: str, *managed: dict[str, Any], version: str = "5") -> Current:
    told = {**condition(), "message": message, "lastTransitionTime": NOW}
    return current({"metadata": {"resourceVersion": version, "managedFields": list(managed)}, "status": {"conditions": [told]}})


def test_a_condition_that_names_no_controller_is_its_writers() -> None:
    """Beside us kgateway tells of the same Backend: who answered each other would never end."""
    writer = StatusWriter("east", {OURS}, lambda: NOW)
    writer.known(0.0)
    writer.want(BACKEND, wanted(conditions=[condition()]), 0.0)
    writer.seen(BACKEND, standing("theirs", applied_by("kgateway", "message", "status")), 0.0)
    assert apply(writer) == []
    writer.want(BACKEND, None, 9.0)
    assert apply(writer, 9.0) == []


def test_who_writes_over_a_condition_without_a_name_has_it() -> None:
    """What stands of ours in it stays: without it the rest would be no condition."""
    writer = StatusWriter("east", {OURS}, lambda: NOW)
    writer.known(0.0)
    writer.want(BACKEND, wanted(conditions=[condition()]), 0.0)
    ours = applied_by(MANAGER, "status", operation="Apply")
    writer.seen(BACKEND, standing("theirs", ours, applied_by("kgateway", "message")), 0.0)
    assert apply(writer) == []
    writer.want(BACKEND, wanted(conditions=[condition(status="False")]), 9.0)
    assert apply(writer, 9.0) == []
    writer.want(BACKEND, None, 18.0)
    assert apply(writer, 18.0) == []


def test_a_condition_without_a_name_that_is_nobodys_is_written_on_the_version_that_was_read() -> None:
    writer = StatusWriter("east", {OURS}, lambda: NOW)
    other = {**condition("Healthy"), "lastTransitionTime": NOW}
    managed = {
        "manager": "example", "operation": "Update", "subresource": "status",
        "fieldsV1": {"f:status": {"f:conditions": {'k:{"type":"Healthy"}': {"f:status": {}}}}},
    }  # fmt: skip
    spec = {"manager": "kubectl", "operation": "Update", "fieldsV1": {"f:spec": {}}}
    object_ = {"metadata": {"resourceVersion": "5", "managedFields": [spec, managed]}, "status": {"conditions": [other]}}
    writer.seen(BACKEND, current(object_), 0.0)
    writer.want(BACKEND, wanted(conditions=[condition()]), 0.0)
    assert apply(writer) == [(BACKEND, {"conditions": [condition() | {"lastTransitionTime": NOW}]}, "5")]


def test_a_list_of_conditions_that_is_one_value_has_one_writer() -> None:
    """A CRD may say nothing of keys."""
    writer = StatusWriter("east", {OURS}, lambda: NOW)
    whole = {"manager": "kgateway", "operation": "Update", "subresource": "status", "fieldsV1": {"f:status": {"f:conditions": {}}}}
    writer.seen(BACKEND, standing("theirs", whole), 0.0)
    writer.want(BACKEND, wanted(conditions=[condition()]), 0.0)
    assert apply(writer) == []


def test_under_kgateways_own_name_its_conditions_are_ours() -> None:
    writer = StatusWriter("east", {"kgateway.dev/kgateway"}, lambda: NOW)
    writer.seen(BACKEND, standing("theirs", applied_by("kgateway", "message", "status")), 0.0)
    writer.want(BACKEND, wanted(conditions=[condition()]), 0.0)
    ((_, status, version),) = apply(writer)
    assert (status["conditions"][0]["message"], version) == ("", "5")


def test_a_gateway_is_its_classs_controllers_alone(writer: StatusWriter) -> None:
    writer.seen(GATEWAY, standing("theirs", applied_by("somebody", "message", "status")), 0.0)
    writer.want(GATEWAY, wanted(conditions=[condition()]), 0.0)
    assert apply(writer)
