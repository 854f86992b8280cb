"""Keys of clients from Secrets with labels: who is let in, what a change costs, and what is asked for."""

from __future__ import annotations

from typing import Any

import pytest
from envoy_data_plane.envoy.config.route.v3 import VirtualHost
from envoy_data_plane.envoy.extensions.filters.http.api_key_auth.v3 import ApiKeyAuthPerRoute

from engine.engine import Engine
from engine.events import Change, Delete, Put
from engine.observed import observation, selected_labels, selection_ref
from engine.update import FragmentKind
from tests.support.manifests import API, CLUSTER, CREATED, change_set, delete, endpoints, gateway, put, route, service
from tests.support.story import KGATEWAY, SEALER

_FILTER = "envoy.filters.http.api_key_auth"
_SHOP = {"app": "shop"}
_OLDER, _NEWER = "2025-01-01T00:00:00.000Z", "2027-01-01T00:00:00.000Z"


def keys(name: str, labels: dict[str, str], created: str = CREATED, generation: int = 1, **clients: str) -> Put:
    """A Secret with the keys of clients."""
    metadata = {"labels": labels, "creationTimestamp": created}
    data = {client: SEALER.seal_text(key.encode("latin-1")) for client, key in clients.items()}
    return put("", "v1", "Secret", name, {"metadata": metadata, "type": "Opaque", "data": data}, generation)


def policy(labels: dict[str, str], name: str = "p", listener: str = "http", generation: int = 1) -> Put:
    """It asks for a key on a listener."""
    target = {"group": API, "kind": "Gateway", "name": "gw", "sectionName": listener}
    spec = {"targetRefs": [target], "apiKeyAuth": {"secretSelector": {"matchLabels": labels}}}
    return put(KGATEWAY, "v1alpha1", "TrafficPolicy", name, {"spec": spec}, generation)


class World:
    """A Gateway whose clients need keys, in a cluster of manifests or of Kubernetes."""

    def __init__(self, *changes: Change, source: str = "files", listeners: int = 1) -> None:
        self.engine, self.source, self.offset = Engine(SEALER), source, -1
        each = [{"name": f"http{at or ''}", "port": 8080 + at, "protocol": "HTTP"} for at in range(listeners)]
        self.tell(gateway("gw", *each), service(), endpoints(), route("r"), *changes)

    def tell(self, *changes: Change) -> tuple[int, int]:
        """The queries that it reran, and the items that they read."""
        self.offset += 1
        work = self.engine.graph.work
        before = work.reruns, work.items
        update = self.engine.apply(change_set(*changes, number=self.offset, source=self.source), self.offset)
        assert update.warnings == ()
        counted = work.reruns - before[0], work.items - before[1]
        loaded = Engine(SEALER)
        loaded.load(self.engine.state().items())
        assert loaded.everything() == self.engine.everything()
        return counted

    def clients(self) -> dict[str, str] | None:
        """Whose each key is, that is let in on the first listener; None where all is answered with 500."""
        found = self.engine.everything().fragments.set.values()
        host = next(one for one in found if one.key.kind is FragmentKind.VIRTUAL_HOST and "8080" in one.key.name)
        payload = SEALER.unseal(host.payload, str(host.key).encode()) if host.sealed else host.payload
        configs = VirtualHost.parse(payload).typed_per_filter_config
        if "penstock.dev/closed" in configs:
            return None
        config = ApiKeyAuthPerRoute.parse(configs[_FILTER].value)
        return {one.key: one.client for one in config.credentials}

    def says(self, of: Put) -> dict[str, Any]:
        """Accepted."""
        (ancestor,) = self.engine.everything().statuses.set[str(of.ref)]["status"]["ancestors"]
        found: dict[str, Any] = ancestor["conditions"][0]
        return found

    def asked(self) -> list[str]:
        """What is asked for."""
        return sorted(key for key in self.engine.everything().infra.set if key.startswith("lookup/"))


def test_a_selection_can_be_read_from_its_name() -> None:
    labels = {"app": "shop", "example.com/team": "stock", "empty": ""}
    assert selected_labels(selection_ref(CLUSTER, "default", labels)) == labels


def test_who_has_the_label_is_let_in_and_who_loses_it_is_not() -> None:
    world = World(policy(_SHOP), keys("a", _SHOP, ann="1"), keys("other", {"app": "x"}, eve="9"))
    assert world.clients() == {"1": "ann"}
    assert world.says(policy(_SHOP))["status"] == "True"
    world.tell(keys("b", {**_SHOP, "more": "yes"}, bob="2"))
    assert world.clients() == {"1": "ann", "2": "bob"}
    world.tell(keys("a", {"app": "x"}, ann="1"))
    assert world.clients() == {"2": "bob"}
    world.tell(keys("b", _SHOP, generation=2, bob="4"))
    assert world.clients() == {"4": "bob"}
    world.tell(delete(keys("b", {})))
    assert world.clients() is None
    assert "no Secret of namespace default has labels app=shop" in world.says(policy(_SHOP))["message"]
    world.tell(keys("a", _SHOP, generation=2, ann="3"))
    assert world.clients() == {"3": "ann"}


def test_all_labels_are_needed() -> None:
    both = {"app": "shop", "team": "a"}
    world = World(policy(both), keys("a", _SHOP, ann="1"), keys("b", {"team": "a"}, bob="2"), keys("c", both, cat="3"))
    assert world.clients() == {"3": "cat"}


def test_the_order_in_which_they_come_decides_nothing() -> None:
    """Of one key the older Secret's client counts, and the other is told."""
    older, newer = keys("z", _SHOP, _OLDER, ann="1"), keys("a", _SHOP, _NEWER, eve="1", bob="2")
    worlds = [World(policy(_SHOP), *order) for order in ((older, newer), (newer, older))]
    for world in worlds:
        assert world.clients() == {"1": "ann", "2": "bob"}
        said = world.says(policy(_SHOP))
        assert (said["status"], said["reason"]) == ("False", "Invalid")
        words = "Secret default/a gives eve the key of ann of Secret default/z, which goes before: give each its own"
        assert words in said["message"]
    assert worlds[0].engine.everything().fragments == worlds[1].engine.everything().fragments


@pytest.mark.parametrize("bad", [{}, {"eve": ""}, {"eve": "\xff1"}, {"eve": "1\n2"}, {"eve": "\x00"}])
def test_what_is_wrong_with_one_keeps_no_other_out(bad: dict[str, str]) -> None:
    world = World(policy(_SHOP), keys("a", _SHOP, ann="1"), keys("b", _SHOP, **bad))
    assert world.clients() == {"1": "ann"}
    assert world.says(policy(_SHOP))["status"] == "False"
    world.tell(keys("a", {}))
    assert world.clients() is None


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ("\xff\xfe", "Secret default/a has for eve what is no UTF-8 text, or has control characters: no header carries it"),
        ("a\x01", "Secret default/a has for eve what is no UTF-8 text, or has control characters: no header carries it"),
    ],
)
def test_what_is_no_text_is_nobodys_key(bad: str, words: str) -> None:
    """As text with U+FFFD in place of what is none two keys became one, and whoever sent that was let in."""
    world = World(policy(_SHOP), keys("a", _SHOP, ann="1", eve=bad))
    assert world.clients() == {"1": "ann"}
    assert words in world.says(policy(_SHOP))["message"]
    target = {"group": API, "kind": "Gateway", "name": "gw"}
    named = put(KGATEWAY, "v1alpha1", "TrafficPolicy", "p", {"spec": {"targetRefs": [target], "apiKeyAuth": {"secretRef": {"name": "a"}}}})
    world = World(named, keys("a", {}, ann="1", eve=bad))
    assert words in world.says(named)["message"]


def test_one_that_cannot_be_unsealed_keeps_no_other_out() -> None:
    broken = put("", "v1", "Secret", "b", {"metadata": {"labels": _SHOP}, "data": {"eve": "sealed:v1:broken"}})
    world = World(policy(_SHOP), keys("a", _SHOP, ann="1"), broken)
    assert world.clients() == {"1": "ann"}
    assert "sealed with another key" in world.says(policy(_SHOP))["message"]


def test_no_labels_are_no_selection() -> None:
    world = World(policy({}), keys("a", _SHOP, ann="1"))
    assert world.clients() is None
    assert "has no labels" in world.says(policy({}))["message"]


def test_it_is_pending_until_they_were_read() -> None:
    """And nobody asks for one of them by its name."""
    ref = selection_ref(CLUSTER, "default", _SHOP)
    world = World(policy(_SHOP), source="kubernetes")
    assert world.asked() == [f"lookup/{CLUSTER}/penstock.dev/SecretSelection/default/app=shop"]
    assert world.clients() is None
    assert (world.says(policy(_SHOP))["status"], world.says(policy(_SHOP))["reason"]) == ("Unknown", "Pending")
    world.tell(keys("a", _SHOP, ann="1"))
    assert world.says(policy(_SHOP))["reason"] == "Pending"
    world.tell(Put(ref, observation(ref, {})))
    assert world.clients() == {"1": "ann"}
    assert world.asked() == [f"lookup/{CLUSTER}/penstock.dev/SecretSelection/default/app=shop"]
    world.tell(Delete(keys("a", {}).ref))
    assert world.says(policy(_SHOP))["reason"] == "Invalid"
    world.tell(delete(policy({})))
    assert world.asked() == []


def _many(others: int) -> World:
    """One policy among others with labels of their own, and Secrets of these and of none."""
    theirs = [policy({"app": f"x{at}"}, f"p{at}", f"http{at}") for at in range(1, 9)]
    secrets = [keys(f"s{at}", {"app": f"x{at % 8 + 1}", "at": str(at)}, **{f"c{at}": str(at)}) for at in range(others)]
    return World(policy(_SHOP), keys("a", _SHOP, ann="a"), *theirs, *secrets, listeners=9)


@pytest.mark.parametrize(
    ("edit", "reruns"),
    [
        # Its keys and its generation, the policy's block and status, the listener's level, and its virtual host.
        (keys("a", _SHOP, generation=2, ann="b"), 6),
        # The selection, too.
        (keys("new", _SHOP, bob="b"), 7),
        (keys("a", {"app": "none"}, ann="a"), 7),
        # What nobody selects concerns nobody.
        (keys("new", {"app": "none"}, eve="e"), 0),
        (keys("new", {}, eve="e"), 0),
    ],
)
def test_a_change_concerns_whose_selector_it_meets(edit: Put, reruns: int) -> None:
    """Queries rerun and items read are equal with ten other Secrets and with a thousand."""
    costs = [_many(others).tell(edit) for others in (10, 1_000)]
    assert costs[0] == costs[1]
    assert costs[0][0] == reruns


def test_a_selector_that_asks_for_more_stops_at_its_selection() -> None:
    narrow = policy({**_SHOP, "team": "a"}, "narrow", "http1")
    alone, beside = (World(policy(_SHOP), *more, listeners=2) for more in ((), (narrow,)))
    edit = keys("new", _SHOP, bob="b")
    assert beside.tell(edit)[0] == alone.tell(edit)[0] + 1
