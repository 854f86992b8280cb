"""Ours replaced, everybody else's kept, and a time that only a change of status moves."""

from __future__ import annotations

from typing import Any

import pytest

from streams.sinks.status.merged import merged

OURS = {"penstock.dev/gateway-controller"}
THEN, NOW = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"


def condition(type_: str, status: str = "True", **more: Any) -> dict[str, Any]:
    return {"type": type_, "status": status, "reason": type_, "message": "", "observedGeneration": 1, **more}


def entry(controller: str, parent: str = "gw", *conditions: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"parentRef": {"name": parent, **more}, "controllerName": controller, "conditions": list(conditions)}


def test_a_condition_begins_now() -> None:
    found = merged({}, {"conditions": [condition("Accepted")]}, OURS, NOW)
    assert found == {"conditions": [condition("Accepted", lastTransitionTime=NOW)]}


@pytest.mark.parametrize(("status", "since"), [("True", THEN), ("False", NOW)])
def test_only_another_status_moves_the_time(status: str, since: str) -> None:
    current = {"conditions": [condition("Accepted", "True", lastTransitionTime=THEN)]}
    wanted = condition("Accepted", status) | {"reason": "Other", "message": "other", "observedGeneration": 2}
    found = merged(current, {"conditions": [wanted]}, OURS, NOW)
    assert found["conditions"] == [wanted | {"lastTransitionTime": since}]


def test_entries_of_other_controllers_stand_as_they_are() -> None:
    theirs = entry("example.com/other", "gw", condition("Accepted", lastTransitionTime=THEN, extra="kept"))
    current = {"parents": [entry(next(iter(OURS)), "old"), theirs]}
    wanted = {"parents": [entry(next(iter(OURS)), "gw", condition("Accepted"))]}
    found = merged(current, wanted, OURS, NOW)
    assert found["parents"] == [theirs, entry(next(iter(OURS)), "gw", condition("Accepted", lastTransitionTime=NOW))]


def test_an_entry_is_known_by_its_whole_parent_ref() -> None:
    ours = next(iter(OURS))
    old = condition("Accepted", lastTransitionTime=THEN)
    current = {"parents": [entry(ours, "gw", old, sectionName="a"), entry(ours, "gw", old, sectionName="b")]}
    wanted = {"parents": [entry(ours, "gw", condition("Accepted"), sectionName="b"), entry(ours, "gw", condition("Accepted"))]}
    found = merged(current, wanted, OURS, NOW)
    assert [one["conditions"][0]["lastTransitionTime"] for one in found["parents"]] == [THEN, NOW]


def test_of_many_addresses_the_first_are_told() -> None:
    many = [{"type": "IPAddress", "value": f"192.0.2.{one}"} for one in range(30)]
    assert merged({}, {"addresses": many}, OURS, NOW) == {"addresses": many[:16]}


@pytest.mark.parametrize(("field", "ref", "most"), [("parents", "parentRef", 32), ("ancestors", "ancestorRef", 16)])
def test_a_full_list_has_no_room_for_ours(field: str, ref: str, most: int) -> None:
    theirs = [{ref: {"name": f"gw-{at}"}, "controllerName": "example.com/other", "conditions": []} for at in range(most)]
    ours = {ref: {"name": "gw"}, "controllerName": next(iter(OURS)), "conditions": [condition("Accepted")]}
    assert merged({field: theirs}, {field: [ours]}, OURS, NOW)[field] == theirs
    assert len(merged({field: theirs[1:]}, {field: [ours, ours]}, OURS, NOW)[field]) == most


def test_where_nothing_is_wanted_ours_go_and_theirs_stay() -> None:
    theirs = entry("example.com/other")
    assert merged({"parents": [entry(next(iter(OURS))), theirs]}, {}, OURS, NOW) == {"parents": [theirs]}
    assert merged({"parents": [entry(next(iter(OURS)))]}, {}, OURS, NOW) == {"parents": []}
    assert merged({"parents": []}, {}, OURS, NOW) == {"parents": []}


def test_listeners_keep_their_times_by_name() -> None:
    current = {"listeners": [{"name": "a", "conditions": [condition("Accepted", lastTransitionTime=THEN)]}]}
    wanted = {
        "listeners": [
            {"name": one, "attachedRoutes": 1, "conditions": [condition("Accepted")]} for one in ("b", "a")
        ]
    }
    found = merged(current, wanted, OURS, NOW)
    assert [one["conditions"][0]["lastTransitionTime"] for one in found["listeners"]] == [NOW, THEN]


def test_a_message_is_no_longer_than_kubernetes_takes() -> None:
    found = merged({}, {"conditions": [condition("Accepted", message="x" * 40_000)]}, OURS, NOW)
    assert len(found["conditions"][0]["message"]) == 32_768
