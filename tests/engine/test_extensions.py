"""GatewayExtensions in the engine: what an edit costs, what one that cannot be served closes, who pays for a rejection."""

from __future__ import annotations

from typing import Any

from engine.engine import Engine
from engine.events import Put
from engine.seal import KEY_BYTES, Sealer
from engine.update import FragmentKind
from tests.support.manifests import API, change_set, delete, endpoints, gateway, put, route, service
from tests.support.story import KGATEWAY, Story

_SEALER = Sealer(bytes(KEY_BYTES))
_SIZES = (50, 1_000)


def _extension(name: str = "x", generation: int = 1, **auth: Any) -> Put:
    spec = {"extAuth": {"grpcService": {"backendRef": {"name": "s", "port": 80}}, **auth}}
    return put(KGATEWAY, "v1alpha1", "GatewayExtension", name, {"spec": spec}, generation)


def _policy(kind: str, name: str, extension: str = "x") -> Put:
    target = {"group": API, "kind": kind, "name": name}
    spec = {"targetRefs": [target], "extAuth": {"extensionRef": {"name": extension}}}
    return put(KGATEWAY, "v1alpha1", "TrafficPolicy", f"{kind}-{name}".lower(), {"spec": spec})


def _is_closed(story: Story) -> bool:
    fragment = story.one(FragmentKind.ROUTE_CONFIG)
    return fragment is not None and b"penstock.dev/closed" in fragment.payload


def _cost(routes: int) -> list[tuple[int, int]]:
    """Reruns and fragments of an edit: of an extension that a route names, of one that nobody does, and of a service."""
    engine = Engine(_SEALER)
    objects = [gateway(), service(), endpoints(), _extension(), _extension("unused")]
    objects += [route(f"r{at}", path=f"/{at}") for at in range(routes)]
    engine.apply(change_set(*objects, *(_policy("HTTPRoute", f"r{at}") for at in (1, 2))), 0)
    found = []
    for at, edit in enumerate((_extension(generation=2, failOpen=True), _extension("unused", 2, failOpen=True), endpoints("s", "127.0.0.2")), 1):
        before = engine.graph.work.reruns
        update = engine.apply(change_set(edit, number=at), at)
        assert update.warnings == ()
        found.append((engine.graph.work.reruns - before, len(update.fragments.set)))
    return found


def test_an_edit_reruns_those_that_name_it_at_any_size() -> None:
    few, many = (_cost(size) for size in _SIZES)
    assert few == many
    # One of the endpoints reaches both clusters of the service: its own protocol's, and the extension's.
    assert [fragments for _, fragments in few] == [2, 0, 2]


def test_a_listener_does_not_change_with_an_extension() -> None:
    story = Story()
    before = story.one(FragmentKind.LISTENER, "8080")
    story.tell(_extension(), _policy("Gateway", "gw"))
    assert story.one(FragmentKind.LISTENER, "8080") == before


def test_one_that_was_never_taken_closes_and_the_last_good_one_of_a_refused_guards_on() -> None:
    """From an API server whose CRD lets more in than we take."""
    story = Story()
    story.tell(_extension(statusOnError=5), _policy("Gateway", "gw"))
    assert _is_closed(story)
    assert "was never taken" in story.says(_policy("Gateway", "gw"))
    story.tell(_extension(generation=2))
    assert not _is_closed(story)
    good = story.versions()
    story.tell(_extension(generation=3, statusOnError=5))
    assert story.versions() == good
    assert "the last good revision is served" in story.says(_extension())


def test_one_that_goes_closes_and_one_that_comes_opens() -> None:
    story = Story(_extension(), _policy("Gateway", "gw"))
    assert not _is_closed(story)
    good = story.versions()
    story.tell(delete(_extension()))
    assert _is_closed(story)
    story.tell(_extension())
    assert story.versions() == good


def test_a_rejected_extension_is_served_as_it_was_before() -> None:
    """It changed last: its policy and the Gateway are served as they are."""
    story = Story(_extension(), _policy("Gateway", "gw"))
    good = story.versions()
    story.tell(_extension(generation=2, failOpen=True))
    story.reject(FragmentKind.ROUTE_CONFIG)
    held = [row["held"] for key, row in story.engine.state().items() if key.startswith("quarantine/")]
    assert held == [[str(_extension().ref)]]
    assert story.versions() == good
    told = "Gateway default/gw serves the last good revision (generation 1), because a proxy rejected this one (no such thing): mend it"
    assert f"'message': '{told}', 'observedGeneration': 2, 'reason': 'Invalid', 'status': 'False'" in story.says(_extension())
    story.tell(_extension(generation=3, statPrefix="mended"))
    assert not story.quarantines()
    assert "'reason': 'Accepted', 'status': 'True'" in story.says(_extension())


def test_a_rejected_extension_without_an_earlier_revision_closes() -> None:
    story = Story()
    story.tell(_policy("Gateway", "gw"))
    story.tell(_extension())
    story.reject(FragmentKind.ROUTE_CONFIG)
    assert _is_closed(story)
    assert "a proxy rejected GatewayExtension default/x" in story.says(_policy("Gateway", "gw"))
    assert "Gateway default/gw serves nothing of it, because a proxy rejected this one" in story.says(_extension())


def test_each_gateway_that_goes_on_with_an_earlier_revision_is_named() -> None:
    more = gateway("more", {"name": "http", "port": 9090, "protocol": "HTTP"})
    story = Story(_extension(), more, _policy("Gateway", "gw"), _policy("Gateway", "more"))
    story.tell(_extension(generation=2, failOpen=True))
    story.reject(FragmentKind.ROUTE_CONFIG, "8080", words="one")
    story.reject(FragmentKind.ROUTE_CONFIG, "9090", words="two")
    said = story.says(_extension())
    assert "Gateway default/gw serves the last good revision (generation 1), because a proxy rejected this one (one)" in said
    assert "Gateway default/more serves the last good revision (generation 1), because a proxy rejected this one (two)" in said
