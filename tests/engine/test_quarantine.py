"""What a quarantine of each kind of fragment holds back, what is served meanwhile, and what ends it."""

from __future__ import annotations

from typing import Any

import pytest

from engine.events import Lift, Put, Quarantine
from engine.update import FragmentKind
from tests.support.manifests import delete, endpoints, gateway, put, route, service
from tests.support.story import HTTP_AND_TLS, KGATEWAY, Story, backend, certificate


def test_a_rejected_certificate_leaves_the_one_before_in_service() -> None:
    story = Story()
    good = story.one(FragmentKind.SECRET)
    story.tell(certificate(2))
    assert story.one(FragmentKind.SECRET) != good
    story.reject(FragmentKind.SECRET)
    assert story.one(FragmentKind.SECRET).version == good.version  # type: ignore[union-attr]
    assert story.one(FragmentKind.LISTENER, "8443") is not None
    story.tell(certificate(3))
    assert story.one(FragmentKind.SECRET).version != good.version  # type: ignore[union-attr]
    assert not story.quarantines()


def test_a_rejected_certificate_without_an_earlier_one_is_told_of_at_its_listener() -> None:
    story = Story()
    story.reject(FragmentKind.SECRET)
    assert story.one(FragmentKind.SECRET) is None
    assert story.one(FragmentKind.LISTENER, "8080") is not None
    assert "was rejected by a proxy and has no earlier revision" in story.says(gateway())


def test_a_rejected_backend_is_served_as_it_was_before() -> None:
    story = Story()
    good = story.one(FragmentKind.CLUSTER, "_b_")
    story.tell(backend("second.invalid", 2))
    assert story.one(FragmentKind.CLUSTER, "_b_").version != good.version  # type: ignore[union-attr]
    story.reject(FragmentKind.CLUSTER, "_b_")
    assert story.one(FragmentKind.CLUSTER, "_b_").version == good.version  # type: ignore[union-attr]
    told = "Gateway default/gw serves the last good revision (generation 1), because a proxy rejected this one (no such thing): mend it"
    assert f"'message': '{told}', 'observedGeneration': 2, 'reason': 'Invalid', 'status': 'False'" in story.says(
        backend("")
    )
    story.tell(backend("third.invalid", 3))
    assert not story.quarantines()
    assert "'reason': 'Accepted', 'status': 'True'" in story.says(backend(""))


def test_a_rejected_backend_without_an_earlier_revision_costs_its_own_routes_only() -> None:
    story = Story()
    story.reject(FragmentKind.CLUSTER, "_b_")
    assert story.one(FragmentKind.CLUSTER, "_b_") is None
    assert story.one(FragmentKind.CLUSTER, "_s_") is not None
    assert "a proxy rejected it" in story.says(route("to-b"))
    assert "Gateway default/gw serves nothing of it, because a proxy rejected this one" in story.says(backend(""))
    assert "a proxy rejected it" not in story.says(route("r"))


@pytest.mark.parametrize("kind", [FragmentKind.LISTENER, FragmentKind.ROUTE_CONFIG])
def test_what_stems_from_a_gateway_costs_its_revision_and_no_route(kind: FragmentKind) -> None:
    story = Story()
    good = story.versions()
    story.tell(gateway("gw", *HTTP_AND_TLS, {"name": "more", "port": 9090, "protocol": "HTTP"}, generation=2))
    assert story.versions() != good
    story.reject(kind, "9090")
    assert story.versions() == good
    story.tell(gateway("gw", *HTTP_AND_TLS, {"name": "more", "port": 9091, "protocol": "HTTP"}, generation=3))
    assert story.one(kind, "9091") is not None
    assert not story.quarantines()


@pytest.mark.parametrize("kind", [FragmentKind.LISTENER, FragmentKind.ROUTE_CONFIG])
def test_what_stems_from_a_gateway_without_an_earlier_revision_stays_published(kind: FragmentKind) -> None:
    story = Story()
    good = story.versions()
    story.reject(kind, "8080")
    assert story.versions() == good
    assert list(story.quarantines().values()) == ["1.40.0"]


def test_rejected_endpoints_keep_only_those_that_are_good_and_still_there() -> None:
    """Never a pod that is gone, though the last good revision had it."""
    story = Story(endpoints("s", "127.0.0.1", "127.0.0.2"))
    story.tell(endpoints("s", "127.0.0.2", "127.0.0.3", generation=2))
    story.reject(FragmentKind.ENDPOINTS)
    served = story.one(FragmentKind.ENDPOINTS)
    assert served is not None
    assert [one for one in (b"127.0.0.1", b"127.0.0.2", b"127.0.0.3") if one in served.payload] == [b"127.0.0.2"]
    story.tell(endpoints("s", "127.0.0.3", generation=3))
    assert b"127.0.0.3" in story.one(FragmentKind.ENDPOINTS).payload  # type: ignore[union-attr]
    assert not story.quarantines()


def test_a_lifted_quarantine_stays_when_the_next_envoy_rejects_it_too() -> None:
    story = Story()
    good = story.one(FragmentKind.SECRET)
    story.tell(certificate(2))
    new = story.one(FragmentKind.SECRET)
    first = story.reject(FragmentKind.SECRET, envoy="1.39.0")
    story.tell(Lift(first.gateway, first.fragment))
    assert story.one(FragmentKind.SECRET) == new
    story.reject(FragmentKind.SECRET, envoy="1.40.0")
    assert story.one(FragmentKind.SECRET).version == good.version  # type: ignore[union-attr]
    assert story.quarantines() == {"cert": "1.40.0"}


def version(story: Story, within: str = "_b_") -> str:
    found = story.one(FragmentKind.CLUSTER, within)
    return found.version if found is not None else ""


def second_slice(*addresses: str, at: int = 1) -> Put:
    """Another EndpointSlice of the same Service."""
    one = endpoints("s", *addresses, generation=at)
    return Put(one.ref._replace(name="s-2"), {**one.object, "metadata": {**one.object["metadata"], "name": "s-2"}})


def relabelled(of: Put, label: str) -> Put:
    """The same generation, of which only a label changed."""
    return Put(of.ref, {**of.object, "metadata": {**of.object["metadata"], "labels": {"a": label}}})


def test_a_verdict_on_what_is_not_wanted_any_more_holds_nothing() -> None:
    """It came late: the object was edited, or what it was about is gone."""
    story = Story()
    old = story.one(FragmentKind.CLUSTER, "_b_")
    assert old is not None
    late = Quarantine(old.key.gateway, str(old.key), old.version, old.provenance, "no such thing", "1.40.0")
    story.tell(backend("second.invalid", 2))
    served = version(story)
    story.tell(late)
    assert (story.quarantines(), version(story)) == ({}, served)
    story.tell(delete(backend("")))
    story.tell(late)
    assert not story.quarantines()


def test_an_object_in_two_quarantines_is_free_when_both_are_lifted() -> None:
    story = Story()
    matches = [{"path": {"type": "Exact", "value": path}} for path in ("/one", "/two")]
    rule = {"matches": matches, "backendRefs": [{"name": "s", "port": 80}]}
    story.tell(route("r", generation=2, rules=[rule]))
    present = story.versions()
    both = [
        Quarantine(one.key.gateway, str(one.key), one.version, one.provenance, "no such thing", "1.40.0")
        for one in story.engine.everything().fragments.set.values()
        if one.key.kind is FragmentKind.ROUTE and "/default/r/" in one.key.name
    ][:2]
    story.tell(*both)
    held = story.versions()
    story.tell(Lift(both[0].gateway, both[0].fragment))
    assert story.versions() == held != present
    story.tell(Lift(both[1].gateway, both[1].fragment))
    assert story.versions() == present


def test_nothing_but_a_revision_of_its_object_ends_a_quarantine() -> None:
    """Not the object again, as a source may tell it, nor another one's edit."""
    story = Story()
    good = version(story)
    story.tell(backend("second.invalid", 2))
    story.reject(FragmentKind.CLUSTER, "_b_")
    story.tell(relabelled(backend("second.invalid", 2), "again"))
    story.tell(service(generation=2), route("r", path="/other", generation=2), delete(route("r")))
    story.tell(gateway("gw", *HTTP_AND_TLS, {"name": "more", "port": 9090, "protocol": "HTTP"}, generation=2))
    assert (len(story.quarantines()), version(story)) == (1, good)


def test_a_revision_is_not_fallen_back_to_itself() -> None:
    story = Story()
    good = version(story)
    story.tell(backend("second.invalid", 2))
    story.tell(relabelled(backend("second.invalid", 2), "again"))
    story.reject(FragmentKind.CLUSTER, "_b_")
    assert version(story) == good


def test_a_rejected_revision_is_not_fallen_back_to_later() -> None:
    """Not even where a revision that its model refused stands between."""
    story = Story()
    story.tell(put(KGATEWAY, "v1alpha1", "Backend", "b", {"spec": {"type": "Nonsense"}}, 2))
    story.reject(FragmentKind.CLUSTER, "_b_")
    story.tell(backend("third.invalid", 3))
    assert version(story)
    story.reject(FragmentKind.CLUSTER, "_b_")
    assert not version(story)


def test_an_object_that_comes_back_is_not_the_one_that_was_rejected() -> None:
    story = Story()
    fresh = version(story)
    story.reject(FragmentKind.CLUSTER, "_b_")
    assert not version(story)
    story.tell(delete(backend("")))
    assert not story.quarantines()
    story.tell(backend("first.invalid"))
    assert version(story) == fresh


def test_one_gateway_pays_for_what_its_proxies_reject() -> None:
    """Another one's may be of another Envoy."""
    story = Story(gateway("other", {"name": "http", "port": 9090, "protocol": "HTTP"}))
    rule = {"backendRefs": [{"group": KGATEWAY, "kind": "Backend", "name": "b"}]}
    story.tell(route("to-b", generation=2, parentRefs=[{"name": "gw"}, {"name": "other"}], rules=[rule]))
    before = story.versions()
    mine = str(story.reject(FragmentKind.CLUSTER, "_b_").gateway)
    lost = before.keys() - story.versions().keys()
    assert [one.startswith(f"{mine}/cluster/") for one in lost] == [True]
    assert "a proxy rejected it" in story.says(route("to-b"))


def test_a_gateway_takes_its_quarantines_along() -> None:
    """One of the same name that comes later has proxies of its own."""
    story = Story(gateway("other", {"name": "http", "port": 9090, "protocol": "HTTP"}))
    story.reject(FragmentKind.CLUSTER, "_b_")
    story.tell(delete(gateway("other")))
    assert story.quarantines()
    story.tell(delete(gateway()))
    assert not story.quarantines()
    story.tell(gateway("gw", *HTTP_AND_TLS))
    assert version(story)


def test_every_slice_behind_a_fragment_is_held_in_the_end() -> None:
    story = Story(second_slice("127.0.1.1"))
    story.tell(endpoints("s", "127.0.0.1", "127.0.0.2", generation=2), second_slice("127.0.1.1", "127.0.1.2", at=2))
    assert b"127.0.0.2" in story.one(FragmentKind.ENDPOINTS).payload  # type: ignore[union-attr]
    for _ in range(2):
        story.reject(FragmentKind.ENDPOINTS)
    served = story.one(FragmentKind.ENDPOINTS)
    assert served is not None
    every = (b"127.0.0.1", b"127.0.0.2", b"127.0.1.1", b"127.0.1.2")
    assert [one for one in every if one in served.payload] == [b"127.0.0.1", b"127.0.1.1"]


def test_a_proxy_that_gives_no_reason_is_heard_all_the_same() -> None:
    story = Story()
    story.reject(FragmentKind.CLUSTER, "_b_", words="")
    assert not version(story)
    assert "a proxy rejected it" in story.says(route("to-b"))


_SHARED = (gateway().ref, 1), (route("r").ref, 2), (route("to-b").ref, 2)


def hosts(story: Story) -> set[str]:
    """The hostnames that routes stand in."""
    found = story.engine.everything().fragments.set.values()
    return {one.parent.rpartition("~")[2] for one in found if one.key.kind is FragmentKind.ROUTE}


def sharing() -> Story:
    """Two routes of one hostname, each with another one besides."""
    story = Story(gateway("gw", {"name": "http", "port": 8080, "protocol": "HTTP"}))
    for name in ("r", "to-b"):
        story.tell(route(name, path=f"/{name}", generation=2, hostnames=["odd.example.com", f"{name}.example.com"]))
    return story


@pytest.mark.parametrize(
    "mended",
    [
        route("r", path="/r", generation=3, hostnames=["r.example.com"]),
        gateway("gw", {"name": "http", "port": 8080, "protocol": "HTTP"}, generation=2),
        delete(route("to-b")),
    ],
)
def test_a_rejected_virtual_host_costs_its_routes_that_hostname_only(mended: Any) -> None:
    """They go on elsewhere as they are now, not as they were."""
    story = sharing()
    everywhere, before = hosts(story), story.versions()
    story.reject(FragmentKind.VIRTUAL_HOST, "odd", objects=_SHARED)
    lost = {one for one in before if "odd" in one}
    assert story.versions() == {key: one for key, one in before.items() if key not in lost}
    assert len(everywhere - hosts(story)) == 1
    assert "odd" not in str(hosts(story))
    story.tell(mended)
    assert not story.quarantines()
    assert any("odd" in one for one in story.versions())


def test_a_route_of_a_rejected_virtual_host_alone_says_so() -> None:
    story = Story()
    story.tell(route("r", generation=2, hostnames=["odd.example.com"]))
    story.reject(FragmentKind.VIRTUAL_HOST, "odd", objects=((gateway().ref, 1), (route("r").ref, 2)))
    told = "hostname odd.example.com is not served in listener~8080: a proxy rejected it (no such thing)"
    assert told in story.says(route("r"))
    assert "PartiallyInvalid" in story.says(route("r"))
    story.reject(FragmentKind.VIRTUAL_HOST, "odd", objects=((gateway().ref, 1), (route("r").ref, 2)))
    assert story.one(FragmentKind.CLUSTER, "_s_") is None
    assert "'reason': 'Accepted'" not in story.says(route("r"))
    story.tell(route("late", hostnames=["odd.example.com"]))
    assert told in story.says(route("late"))


def test_a_rejected_virtual_host_that_stems_from_its_gateway_alone_costs_its_revision() -> None:
    story = Story()
    good = story.versions()
    odd = {"name": "odd", "port": 9090, "protocol": "HTTP", "hostname": "odd.example.com"}
    story.tell(gateway("gw", HTTP_AND_TLS[0], odd, generation=2))
    for name in ("r", "to-b"):
        story.tell(route(name, generation=2, parentRefs=[{"name": "gw", "sectionName": "http"}]))
    assert story.one(FragmentKind.LISTENER, "9090") is not None
    story.reject(FragmentKind.VIRTUAL_HOST, "odd", objects=((gateway().ref, 2),))
    assert {one for one in story.versions() if "listener/" in one} == {one for one in good if "listener/" in one}
    story.tell(gateway("gw", *HTTP_AND_TLS, odd, generation=3))
    assert any("virtual_host" in one and "odd" in one for one in story.versions())


def test_a_verdict_that_comes_twice_changes_nothing_more() -> None:
    """Each publisher judges what its own proxies reject: two of them come to the same verdict."""
    story = Story()
    story.tell(backend("second.invalid", 2))
    verdict = story.reject(FragmentKind.CLUSTER, "_b_")
    served, held = story.versions(), story.quarantines()
    story.tell(verdict)
    assert (story.versions(), story.quarantines()) == (served, held)
    story.tell(backend("third.invalid", 3))
    served = story.versions()
    story.tell(verdict)
    assert (story.versions(), story.quarantines()) == (served, {}), "what was mended meanwhile stays so"


def _answer(body: str, generation: int = 1) -> Put:
    return put(KGATEWAY, "v1alpha1", "DirectResponse", "d", {"spec": {"status": 200, "body": body}}, generation)


def _answering(generation: int = 1) -> Put:
    named = {"group": KGATEWAY, "kind": "DirectResponse", "name": "d"}
    rules = [{"filters": [{"type": "ExtensionRef", "extensionRef": named}]}]
    return route("answering", generation=generation, rules=rules, hostnames=["d.example.com"])


def test_a_rejected_direct_response_answers_as_it_did_before() -> None:
    """It changed after the route did: so it pays first."""
    story = Story(_answer("first"), _answering())
    good = story.one(FragmentKind.ROUTE, "answering")
    story.tell(_answering(2))
    story.tell(_answer("second", 2))
    assert story.one(FragmentKind.ROUTE, "answering").version != good.version  # type: ignore[union-attr]
    rejected = story.reject(FragmentKind.ROUTE, "answering")
    assert {ref.kind for ref, _ in rejected.objects} == {"DirectResponse", "HTTPRoute"}
    assert story.one(FragmentKind.ROUTE, "answering").version == good.version  # type: ignore[union-attr]
    assert "a proxy rejected it (no such thing)" in story.says(_answer(""))
    story.tell(_answer("third", 3))
    assert not story.quarantines()
    assert "a proxy rejected it" not in story.says(_answer(""))


def test_a_rejected_direct_response_without_an_earlier_one_costs_the_rules_that_name_it() -> None:
    story = Story(_answer("first"), _answering(), _answering(2))
    ref = _answer("").ref
    story.reject(FragmentKind.ROUTE, "answering", objects=((ref, 1),))
    route_ = story.one(FragmentKind.ROUTE, "answering")
    assert b"first" not in route_.payload  # type: ignore[union-attr]
    assert "and there is no earlier revision" in story.says(_answering())
    assert "a proxy rejected" not in story.says(route("r"))


def test_what_is_fallen_back_to_and_rejected_as_well_is_served_no_more() -> None:
    """Two bad edits came before the verdict on the first: without an end to it proxies would take nothing at all."""
    story = Story()
    story.tell(backend("second.invalid", 2))
    second = version(story)
    story.tell(backend("third.invalid", 3))
    story.reject(FragmentKind.CLUSTER, "_b_")
    assert version(story) == second
    story.reject(FragmentKind.CLUSTER, "_b_")
    assert not version(story)
    story.tell(backend("fourth.invalid", 4))
    assert version(story)
    story.reject(FragmentKind.CLUSTER, "_b_")
    assert not version(story)
