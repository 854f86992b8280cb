"""What a BackendConfigPolicy costs, what its rejection costs, and that TLS which cannot be met is never clear text."""

from __future__ import annotations

from typing import Any

import pytest
from envoy_data_plane.envoy.config.cluster.v3 import Cluster, ClusterDiscoveryType
from envoy_data_plane.envoy.config.route.v3 import Route

from engine.engine import Engine
from engine.events import Put
from engine.update import Fragment, FragmentKind
from tests.engine.test_work import _SEALER, _SET, _work
from tests.support.manifests import change_set, delete, endpoints, gateway, put, route, service
from tests.support.story import KGATEWAY, SEALER, Story, certificate

_SIZES = (100, 2_000)
_TLS = {"tls": {"sni": "a.example.com"}}


def _policy(spec: dict[str, Any], generation: int = 1, name: str = "p", target: str = "s") -> Put:
    named = {"targetRefs": [{"group": "", "kind": "Service", "name": target}]}
    return put(KGATEWAY, "v1alpha1", "BackendConfigPolicy", name, {"spec": {**named, **spec}}, generation)


def _hashed(header: str, seconds: int = 5) -> dict[str, Any]:
    hashes = [{"header": {"name": header}}]
    return {"connectTimeout": f"{seconds}s", "loadBalancer": {"maglev": {"hashPolicies": hashes}}}


def _cluster(story: Story) -> Cluster:
    found = story.one(FragmentKind.CLUSTER, "_s_")
    assert found is not None
    return Cluster.parse(SEALER.unseal(found.payload, str(found.key).encode()) if found.sealed else found.payload)


def _engine(routes: int) -> Engine:
    engine = Engine(_SEALER)
    engine.apply(change_set(gateway()), 0)
    for first in range(0, routes, _SET):
        numbers = range(first, min(first + _SET, routes))
        changes = [
            one for at in numbers for one in (service(f"s{at}"), endpoints(f"s{at}"), route(f"r{at}", f"s{at}", f"/{at}"))
        ]
        engine.apply(change_set(*changes, number=first + 1), first + 1)
    return engine


@pytest.mark.timeout(600)
def test_a_policy_costs_the_same_at_any_size() -> None:
    """It comes, changes and goes for one Service of many."""
    costs = []
    for size in _SIZES:
        engine = _engine(size)
        last = _policy(_hashed("y", 7), 3, target="s5")
        edits = (_policy(_hashed("x"), target="s5"), _policy(_hashed("x", 7), 2, target="s5"), last, delete(last))
        costs.append([_work(engine, edit, 9_000 + at) for at, edit in enumerate(edits)])
        assert all(emitted for _, _, emitted in costs[-1])
    assert costs[0] == costs[1]


def test_an_edit_sets_the_clusters_it_names_and_a_change_of_hashes_the_routes_too() -> None:
    engine = _engine(10)
    engine.apply(change_set(_policy(_hashed("x"), target="s5"), number=50), 50)

    def sets(edit: Put, number: int) -> list[str]:
        update = engine.apply(change_set(edit, number=number), number)
        return sorted(str(one.key.kind.value) for one in update.fragments.set.values())

    assert sets(_policy(_hashed("x", 9), 2, target="s5"), 51) == ["cluster"]
    assert sets(_policy(_hashed("y", 9), 3, target="s5"), 52) == ["cluster", "route"]


def test_a_rejected_policy_leaves_the_one_before_in_service() -> None:
    story = Story(_policy({"connectTimeout": "1s"}))
    good = story.one(FragmentKind.CLUSTER, "_s_")
    story.tell(_policy({"connectTimeout": "2s"}, 2))
    story.reject(FragmentKind.CLUSTER, "_s_")
    now = story.one(FragmentKind.CLUSTER, "_s_")
    assert (now and now.version) == (good and good.version)
    assert "serves the last good revision" in story.says(_policy({}))
    story.tell(_policy({"connectTimeout": "3s"}, 3))
    assert not story.quarantines()
    assert _cluster(story).connect_timeout.total_seconds() == 3  # type: ignore[union-attr]


def test_a_rejected_policy_that_was_never_another_is_left_out() -> None:
    """The backend, which never was another either, stays."""
    story = Story()
    good = story.one(FragmentKind.CLUSTER, "_s_")
    story.tell(_policy({"connectTimeout": "2s"}))
    story.reject(FragmentKind.CLUSTER, "_s_")
    now = story.one(FragmentKind.CLUSTER, "_s_")
    assert (now and now.version) == (good and good.version)
    assert [ref.kind for ref, _ in _provenance(now)] == ["Service", "BackendConfigPolicy"]
    assert story.one(FragmentKind.ENDPOINTS, "_s_") is not None
    assert "serves nothing of it" in story.says(_policy({}))
    story.tell(delete(_policy({})))
    assert not story.quarantines()


def _provenance(found: Fragment | None) -> Any:
    return found.provenance if found is not None else ()


def test_a_rejected_policy_with_tls_closes_its_backend() -> None:
    story = Story(_policy(_TLS))
    story.reject(FragmentKind.CLUSTER, "_s_")
    assert _cluster(story).type is ClusterDiscoveryType.STATIC
    assert story.one(FragmentKind.ENDPOINTS, "_s_") is None


def test_a_policy_that_was_never_taken_closes_its_backend_where_it_wants_tls_and_changes_nothing_else() -> None:
    story = Story(_policy({"connectTimeout": "2s", "nonsense": 1}))
    assert _cluster(story).connect_timeout.total_seconds() == 5  # type: ignore[union-attr]
    story.tell(_policy({**_TLS, "nonsense": 1}, 2))
    assert _cluster(story).type is ClusterDiscoveryType.STATIC
    story.tell(_policy(_TLS, 3))
    assert _cluster(story).transport_socket is not None


def test_a_younger_policy_has_what_one_that_was_never_taken_wants() -> None:
    story = Story(_policy({"connectTimeout": "2s", "nonsense": 1}), _policy({"connectTimeout": "3s"}, name="q"))
    assert _cluster(story).connect_timeout.total_seconds() == 3  # type: ignore[union-attr]


def test_an_authority_of_a_secret_is_sealed_and_the_certificate_comes_by_sds() -> None:
    story = Story(_policy({"tls": {"secretRef": {"name": "cert"}}}))
    clear = story.one(FragmentKind.CLUSTER, "_s_")
    assert clear is not None
    assert not clear.sealed
    assert b"kubernetes://default/cert" in clear.payload
    assert b"PRIVATE KEY" not in clear.payload
    pair = certificate()
    data = {**pair.object["data"], "ca.crt": pair.object["data"]["tls.crt"]}
    story.tell(Put(pair.ref, {**pair.object, "metadata": {**pair.object["metadata"], "generation": 2}, "data": data}))
    sealed = story.one(FragmentKind.CLUSTER, "_s_")
    assert sealed is not None
    assert sealed.sealed
    assert b"CERTIFICATE" not in sealed.payload


def test_a_certificate_that_only_a_backend_needs_is_served() -> None:
    pair = certificate()
    mine = Put(pair.ref._replace(name="mine"), {**pair.object, "metadata": {**pair.object["metadata"], "name": "mine"}})
    story = Story(mine, _policy({"tls": {"secretRef": {"name": "mine"}}}))
    assert story.one(FragmentKind.SECRET, "default/mine") is not None
    story.tell(delete(mine))
    assert story.one(FragmentKind.SECRET, "default/mine") is None
    assert _cluster(story).type is ClusterDiscoveryType.STATIC


def test_hashes_are_those_of_the_routes_that_use_the_backend() -> None:
    story = Story(_policy(_hashed("x-user")))
    mine, other = (story.one(FragmentKind.ROUTE, name) for name in ("/r/", "/to-b/"))
    assert mine is not None
    assert other is not None
    hashes = Route.parse(mine.payload).route.hash_policy  # type: ignore[union-attr]
    assert [one.header.header_name for one in hashes if one.header] == ["x-user"]
    assert not Route.parse(other.payload).route.hash_policy  # type: ignore[union-attr]


def test_a_certificate_in_files_is_named_by_them() -> None:
    story = Story(_policy({"tls": {"files": {"tlsCertificate": "/own.crt", "tlsKey": "/own.key", "rootCA": "/ca.crt"}}}))
    found = story.one(FragmentKind.CLUSTER, "_s_")
    assert found is not None
    assert not found.sealed
    assert all(path in found.payload for path in (b"/own.crt", b"/own.key", b"/ca.crt"))
