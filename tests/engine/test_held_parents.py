"""What is told of a route's parentRefs while a Gateway serves an earlier revision, which may name others."""

from __future__ import annotations

from typing import Any

from engine.events import Put
from engine.update import FragmentKind
from tests.support.manifests import API, gateway, put, route
from tests.support.story import Story

HTTP, TLS = {"name": "gw", "sectionName": "http"}, {"name": "gw", "sectionName": "tls"}
OTHER = {"name": "other"}


def _told(story: Story, of: Put) -> dict[str, tuple[str, str]]:
    """By section (or Gateway): status and message of Accepted."""
    parents = story.engine.everything().statuses.set[str(of.ref)]["status"]["parents"]
    found = {}
    for one in parents:
        accepted = next(item for item in one["conditions"] if item["type"] == "Accepted")
        found[one["parentRef"].get("sectionName", one["parentRef"]["name"])] = accepted["status"], accepted["message"]
    return found


def _hosts(story: Story) -> set[str]:
    """The virtual hosts in which the route is served."""
    found = story.engine.everything().fragments.set.values()
    return {one.parent for one in found if one.key.kind is FragmentKind.ROUTE and "/m/" in one.key.name}


def _rejected(first: list[dict[str, Any]], second: list[dict[str, Any]], *puts: Put) -> Story:
    story = Story(*puts)
    story.tell(route("m", path="/a", parentRefs=first))
    story.tell(route("m", path="/b", parentRefs=second, generation=2))
    story.reject(FragmentKind.ROUTE, "/m/")
    return story


def test_a_parent_that_the_served_revision_does_not_name_is_not_told_as_accepted() -> None:
    story = _rejected([HTTP], [TLS, HTTP])
    told = _told(story, route("m"))
    assert told["http"][0] == "True"
    assert told["tls"][0] == "False"
    assert "the last good revision (generation 1), which does not name this parent" in told["tls"][1]
    assert len(_hosts(story)) == 1


def test_parents_in_another_order_are_told_each_as_itself() -> None:
    story = _rejected([HTTP, {**TLS, "sectionName": "none"}], [{**TLS, "sectionName": "none"}, HTTP])
    told = _told(story, route("m"))
    assert {name: status for name, (status, _) in told.items()} == {"http": "True", "none": "False"}
    assert "no such listener" in told["none"][1]


def test_a_parent_that_only_the_served_revision_names_is_served_and_not_told() -> None:
    story = _rejected([HTTP], [TLS])
    assert set(_told(story, route("m"))) == {"tls"}
    assert {one.partition("*")[0] for one in _hosts(story)} == {"listener~8080~"}


def test_a_parent_is_the_same_with_its_defaults_written_out() -> None:
    story = _rejected([HTTP], [{**HTTP, "group": API, "kind": "Gateway", "namespace": "default"}])
    assert _told(story, route("m"))["http"][0] == "True"


def test_a_gateway_that_holds_nothing_tells_of_its_own_parent() -> None:
    other = gateway("other", {"name": "a", "port": 7070, "protocol": "HTTP"})
    story = Story(other)
    story.tell(route("m", path="/a", parentRefs=[HTTP]))
    story.tell(route("m", path="/b", parentRefs=[OTHER, HTTP], generation=2))
    one = next(
        one
        for one in story.engine.everything().fragments.set.values()
        if one.key.kind is FragmentKind.ROUTE and "/m/" in one.key.name and one.key.gateway.name == "gw"
    )
    story.reject(FragmentKind.ROUTE, one.key.name)
    assert {name: status for name, (status, _) in _told(story, route("m")).items()} == {"other": "True", "http": "True"}


def test_streams_tell_the_same() -> None:
    raw = [{"name": name, "port": port, "protocol": "TCP"} for name, port in (("a", 7001), ("b", 7002))]
    story = Story(gateway("raw", *raw))

    def tcp(generation: int, *sections: str) -> Put:
        parents = [{"name": "raw", "sectionName": one} for one in sections]
        rules = [{"backendRefs": [{"name": "s", "port": 80}]}]
        return put(API, "v1", "TCPRoute", "t", {"spec": {"parentRefs": parents, "rules": rules}}, generation)

    story.tell(tcp(1, "a"))
    story.tell(tcp(2, "b", "a"))
    story.reject(FragmentKind.FILTER_CHAIN, "b", objects=((tcp(2).ref, 2),))
    told = _told(story, tcp(2))
    assert {name: status for name, (status, _) in told.items()} == {"a": "True", "b": "False"}


def test_parents_that_mean_the_same_are_each_told() -> None:
    twice = [HTTP, {**HTTP, "namespace": "default"}]
    story = Story()
    story.tell(route("m", parentRefs=twice))
    parents = story.engine.everything().statuses.set[str(route("m").ref)]["status"]["parents"]
    story = _rejected(twice, twice)
    held = story.engine.everything().statuses.set[str(route("m").ref)]["status"]["parents"]
    assert len(parents) == len(held) == len(twice)
