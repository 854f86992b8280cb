"""Listing and watching as a state machine: pages, bookmarks, expiry, and an API server that went back in time."""

from __future__ import annotations

from functools import partial
from typing import Any

from engine.ref import Ref
from engine.seal import KEY_BYTES, Sealer
from streams.kubernetes.cluster import Event, Page, Target, Verb
from streams.kubernetes.reflector import ListRequest, Reflector, WatchRequest
from streams.sources.kubernetes.observed import Observed, observe
from tests.kubernetes.objects import service


def reflector() -> Reflector[Observed]:
    target = Target("", "Service", "services", "v1")
    return Reflector(partial(observe, target, "c", sealer=Sealer(bytes(KEY_BYTES))), 2)


def at(version: str, name: str = "a") -> dict[str, Any]:
    found = service("ns", name)
    return {**found, "metadata": {**found["metadata"], "resourceVersion": version}}


def ref(name: str) -> Ref:
    return Ref("c", "", "Service", "ns", name)


def test_pages_are_one_listing_and_the_watch_begins_where_it_stands() -> None:
    one = reflector()
    assert one.request == ListRequest("", 2)
    assert one.page(Page((at("1"), at("2", "b")), "7", "next")) is None
    assert one.request == ListRequest("next", 2)
    found = one.page(Page((at("3", "c"),), "7"))
    assert found is not None
    assert list(found) == [ref("a"), ref("b"), ref("c")]
    assert one.request == WatchRequest("7")


def test_events_and_bookmarks_move_the_version() -> None:
    one = reflector()
    one.page(Page((), "7"))
    said = one.event(Event(Verb.ADDED, at("9")))
    assert said is not None
    assert said[0] == ref("a")
    assert one.event(Event(Verb.BOOKMARK, {"metadata": {"resourceVersion": "12"}})) is None
    assert one.request == WatchRequest("12")
    gone = one.event(Event(Verb.DELETED, at("13")))
    assert gone is not None
    assert gone[1] is None


def test_a_listing_that_expires_between_its_pages_is_begun_anew_in_one_page() -> None:
    one = reflector()
    one.page(Page((at("1"), at("2", "old")), "7", "next"))
    one.gone()
    assert one.request == ListRequest("", 0)
    found = one.page(Page((at("1"),), "9"))
    assert found is not None
    assert list(found) == [ref("a")], "nothing of the listing that expired"
    one.gone()
    assert one.request == ListRequest("", 2)


def test_an_api_server_that_goes_back_is_listed_again() -> None:
    one = reflector()
    one.page(Page((), "700"))
    assert one.event(Event(Verb.BOOKMARK, {"metadata": {"resourceVersion": "90"}})) is None
    assert one.request == ListRequest("", 2)
