"""Defects that a review of the engine found, each under its own name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from engine import derived
from engine.deadlines import Deadlines
from engine.engine import Engine
from engine.events import Quarantine, SyncBegin, SyncEnd, Tick
from engine.graph.reader import Outputs, Reader
from engine.outputs.route import route_outputs
from engine.ref import Ref
from engine.resolve.manifest import object_of
from engine.update import FragmentKind
from tests.support.manifests import API, change_set, delete, endpoints, gateway, put, route, service
from tests.support.story import SEALER, Story

_LATE = "2126-01-01T00:00:00.000Z"


def _listeners(story: Story) -> list[str]:
    found = story.engine.everything().fragments.set.values()
    return sorted(str(one.key) for one in found if one.key.kind is FragmentKind.LISTENER)


def _status(story: Story, of: Any) -> dict[str, Any]:
    return dict(story.engine.everything().statuses.set[str(of.ref)]["status"])


def test_one_address_of_several_hostnames_is_one_endpoint() -> None:
    slice_ = endpoints()
    ends = [{"addresses": ["127.0.0.1"], "hostname": name} for name in ("c", "a", "b")]
    story = Story(replace(slice_, object={**slice_.object, "endpoints": ends}))
    one = story.one(FragmentKind.ENDPOINTS, "_s_")
    assert one is not None
    assert one.payload.count(b"127.0.0.1") == 1


def test_a_source_whose_clock_is_wrong_lets_no_deadline_pass() -> None:
    story = Story()
    before = _listeners(story)
    expires = story.engine.everything().wake_at
    assert expires is not None
    story.number += 1
    story.engine.apply(replace(change_set(service("other")), time=_LATE), story.number)
    assert _listeners(story) == before
    assert story.engine.everything().wake_at == expires
    story.number += 1
    story.engine.apply(replace(change_set(Tick()), time=_LATE), story.number)
    assert _listeners(story) != before
    assert story.engine.everything().wake_at is None


def test_a_state_without_a_tick_takes_its_time_as_one() -> None:
    story = Story()
    state = story.engine.state()
    state["clock"] = {"time": _LATE, "offset": story.number}
    loaded = type(story.engine)(story.engine.graph.fact("sealer"))  # type: ignore[attr-defined]
    loaded.load(state.items())
    assert loaded.everything().wake_at is None


def test_deadlines_are_told_once_and_forgotten() -> None:
    some = Deadlines()
    for old, new in ((None, "3"), (None, "1"), (None, "1"), ("1", None)):
        some.move(old, new)
    assert some.passed("1") == [("1", True)]
    assert some.passed("1") == []
    assert some.next("1") == "3"
    some.move("1", "2")
    assert some.passed("1") == [("1", False)]
    assert some.next("1") == "2"


def test_of_two_quarantines_of_one_object_the_first_is_told() -> None:
    story = Story()
    matches = [{"path": {"type": "PathPrefix", "value": one}} for one in ("/a", "/b")]
    rules = [{"matches": matches, "backendRefs": [{"name": "s", "port": 80}]}]
    story.tell(route("r", generation=2, rules=rules))
    found = [
        one
        for one in story.engine.everything().fragments.set.values()
        if one.key.kind is FragmentKind.ROUTE and "/r/" in str(one.key)
    ]
    told = [
        Quarantine(gateway().ref, str(one.key), one.version, ((route("r").ref, 2),), f"error {at}", "1")
        for at, one in enumerate(sorted(found, key=lambda one: str(one.key)))
    ]
    story.tell(*told)  # A story compares with a boot from its state.
    assert "error 0" in story.says(route("r"))


def test_what_an_unfinished_listing_said_is_void() -> None:
    story = Story()
    story.tell(SyncBegin(), service("ghost"))
    story.tell(SyncBegin(), service("other"), SyncEnd())
    assert "resource/local//Service/default/ghost" not in story.engine.state()
    assert "resource/local//Service/default/other" in story.engine.state()


def test_a_hostname_like_the_name_of_the_misdirected_host_is_served() -> None:
    tls = {"certificateRefs": [{"name": "cert"}]}
    pair = [
        {"name": "a", "port": 8443, "protocol": "HTTPS", "tls": tls},
        {"name": "b", "port": 8443, "protocol": "HTTPS", "hostname": "foo.example.com", "tls": tls},
    ]
    story = Story()
    story.tell(gateway("gw", *pair, generation=2))
    before = story.versions()
    story.tell(route("m", hostnames=["misdirected-request"]))
    assert before.items() <= story.versions().items()
    story.tell(delete(route("m")))
    assert story.versions() == before


def test_a_route_that_is_not_accepted_is_not_counted() -> None:
    story = Story()
    before = _status(story, gateway())["listeners"][0]["attachedRoutes"]
    odd = {"type": "ExtensionRef", "extensionRef": {"group": "a.b", "kind": "X", "name": "x"}}
    story.tell(route("odd", rules=[{"filters": [odd], "backendRefs": [{"name": "s", "port": 80}]}]))
    assert _status(story, route("odd"))["parents"][0]["conditions"][0]["status"] == "False"
    assert _status(story, gateway())["listeners"][0]["attachedRoutes"] == before


def test_the_port_of_a_held_gateway_is_not_given_away() -> None:
    story = Story()
    story.tell(gateway("held", {"name": "a", "port": 7070, "protocol": "HTTP"}))
    story.tell(gateway("held", {"name": "a", "port": 7071, "protocol": "HTTP"}, generation=2))
    one = story.one(FragmentKind.LISTENER, "7071")
    assert one is not None
    held = gateway("held").ref
    story.tell(Quarantine(held, str(one.key), one.version, ((held, 2),), "no", "1"))
    story.tell(gateway("zz", {"name": "a", "port": 7070, "protocol": "HTTP"}))
    assert [key for key in _listeners(story) if key.endswith("7070")] == [f"{held}/listener/listener~7070"]
    assert "PortUnavailable" in str(_status(story, gateway("zz")))


def _asking(*addresses: dict[str, str]) -> dict[str, tuple[str, str]]:
    listener = {"name": "a", "port": 7070, "protocol": "HTTP"}
    spec = {"gatewayClassName": "penstock", "listeners": [listener], "addresses": list(addresses)}
    one = put(API, "v1", "Gateway", "g", {"spec": spec})
    status = _status(Story(one), one)
    assert status["addresses"] == [{"type": "IPAddress", "value": "127.0.0.1"}]
    return {item["type"]: (item["status"], item["reason"]) for item in status["conditions"]}


def test_an_address_that_envoy_does_not_listen_on_is_not_told_as_assigned() -> None:
    assert _asking({"type": "IPAddress", "value": "127.0.0.1"})["Programmed"] == ("True", "Programmed")
    assert _asking({"type": "IPAddress", "value": "203.0.113.9"})["Programmed"] == ("False", "AddressNotUsable")
    assert _asking({"type": "a.b/odd", "value": "x"})["Accepted"] == ("False", "UnsupportedAddress")


def test_a_backend_timeout_shorter_than_the_request_timeout_counts_without_retries() -> None:
    backends = [{"name": "s", "port": 80}]
    bounded = {"backendRefs": backends, "timeouts": {"request": "10s", "backendRequest": "1s"}}
    story = Story(route("x", rules=[bounded]), route("y", rules=[{**bounded, "timeouts": {"request": "1s"}}]))
    found = [story.one(FragmentKind.ROUTE, f"/{name}/") for name in "xy"]
    payloads = [one.payload.replace(b"y", b"x") for one in found if one is not None]
    assert payloads[0] == payloads[1]


def _defective(graph: Reader, ref: Ref) -> Outputs:
    if "/defect" in str(object_of(graph, ref)):
        msg = "a fault of ours"
        raise RuntimeError(msg)
    return route_outputs(graph, ref)


def test_a_defect_costs_no_good_revision_and_is_said_at_each_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(derived.ROOTS, (API, "HTTPRoute"), (_defective,))
    engine = Engine(SEALER)
    engine.apply(change_set(gateway(), service(), endpoints(), route("r", path="/a")), 0)
    good = engine.everything().fragments
    update = engine.apply(change_set(route("r", path="/defect", generation=2)), 1)
    assert engine.everything().fragments == good
    assert "cannot compute _defective of local/gateway.networking.k8s.io/HTTPRoute/default/r" in str(update.warnings)
    assert Engine(SEALER).load(engine.state().items()) == list(update.warnings)
    mended = engine.apply(change_set(route("r", path="/b", generation=3)), 2)
    assert mended.warnings == ()
    assert engine.everything().fragments != good
