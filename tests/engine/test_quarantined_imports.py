"""What a rejection costs a Service of several clusters, or of several slices: what is guilty, and nobody else's share."""

from __future__ import annotations

import pytest

from engine.engine import Engine, EngineSettings
from engine.events import ChangeSet, Delete, Put, Quarantine
from engine.seal import KEY_BYTES, Sealer
from engine.update import Fragment, FragmentKind
from tests.property.test_imports import export, in_cluster
from tests.support.manifests import TIME, endpoints, gateway, put, route, service

_IMPORT = {"group": "multicluster.x-k8s.io", "kind": "ServiceImport", "name": "s", "port": 80}
_PODS = {"local": "10.0.0.1", "east": "10.0.0.2", "west": "10.0.0.3"}
_BAD = "10.0.0.66"


class _World:
    """An engine to which clusters talk; after each change a boot from its state gives the same."""

    def __init__(self, backend: dict[str, object]) -> None:
        self._settings = EngineSettings(configuration_cluster="local")
        self.engine = Engine(Sealer(bytes(KEY_BYTES)), self._settings)
        self._number = 0
        self.tell(gateway(), route("r", rules=[{"backendRefs": [backend]}]))

    def tell(self, *changes: Put | Delete | Quarantine) -> None:
        for one in changes:
            cluster = one.ref.cluster if not isinstance(one, Quarantine) else "local"
            self._number += 1
            said = ChangeSet("default", cluster, "files", str(self._number), TIME, "test", (one,))
            assert self.engine.apply(said, self._number).warnings == ()
        loaded = Engine(Sealer(bytes(KEY_BYTES)), self._settings)
        loaded.load(self.engine.state().items())
        assert loaded.everything() == self.engine.everything()

    def one(self, kind: FragmentKind) -> Fragment | None:
        found = self.engine.everything().fragments.set.values()
        return next((one for one in found if one.key.kind is kind and "_s_80" in one.key.name), None)

    def reject(self, kind: FragmentKind) -> None:
        one = self.one(kind)
        assert one is not None
        self.tell(Quarantine(one.key.gateway, str(one.key), one.version, one.provenance, "no", "1.40.0"))

    def served(self) -> list[str]:
        """The addresses in the endpoint assignment."""
        one = self.one(FragmentKind.ENDPOINTS)
        return [] if one is None else [each for each in (*_PODS.values(), _BAD) if each.encode() in one.payload]

    def held(self) -> list[str]:
        rows = [row for key, row in self.engine.state().items() if key.startswith("quarantine/")]
        return [each for row in rows for each in row.get("held") or [text for text, _ in row["objects"]]]


def _shared(*clusters: str) -> _World:
    """A Service that these clusters export, in this order."""
    world = _World(_IMPORT)
    for one in clusters:
        world.tell(*(in_cluster(of, one) for of in (service(), export(), _slice(one))))
    return world


def _slice(cluster: str, *more: str, generation: int = 1) -> Put:
    return in_cluster(endpoints("s", _PODS[cluster], *more, generation=generation), cluster)


def _second(*addresses: str, generation: int = 1) -> Put:
    one = endpoints("s", *addresses, generation=generation)
    return Put(one.ref._replace(name="s-2"), {**one.object, "metadata": {**one.object["metadata"], "name": "s-2"}})


def test_a_rejected_slice_of_one_cluster_costs_no_other_its_endpoints() -> None:
    world = _shared(*_PODS)
    world.tell(_slice("west", _BAD, generation=2))
    world.reject(FragmentKind.ENDPOINTS)
    assert world.served() == list(_PODS.values()), "west's good pod is served, too: it stood there before"


def test_a_rejected_slice_that_is_new_costs_its_own_cluster_only() -> None:
    world = _shared("local", "east")
    world.tell(in_cluster(service(), "west"), in_cluster(export(), "west"), _slice("west", _BAD))
    world.reject(FragmentKind.ENDPOINTS)
    assert world.served() == [_PODS["local"], _PODS["east"]]


def test_a_new_bad_slice_of_a_service_costs_no_other_slice_its_endpoints() -> None:
    world = _World({"name": "s", "port": 80})
    world.tell(service(), _slice("local"), _second(_BAD))
    world.reject(FragmentKind.ENDPOINTS)
    assert world.served() == [_PODS["local"]]


def test_where_the_wrong_slice_was_held_the_next_one_is_too() -> None:
    world = _shared(*_PODS)
    world.tell(_slice("east", _BAD, generation=2), _slice("west", "10.0.0.4", generation=2))
    world.reject(FragmentKind.ENDPOINTS)
    assert _BAD in world.served()
    world.reject(FragmentKind.ENDPOINTS)
    assert world.served() == list(_PODS.values())
    assert len(world.held()) == 2


def test_a_slice_beside_the_held_one_goes_on_changing() -> None:
    """Pods come and go all the time: each would bring the bad one back, and be held for it."""
    world = _shared(*_PODS)
    world.tell(_slice("west", _BAD, generation=2))
    world.reject(FragmentKind.ENDPOINTS)
    world.tell(in_cluster(endpoints("s", "10.0.0.4", generation=2), "east"))
    assert world.served() == [_PODS["local"], _PODS["west"]]
    assert b"10.0.0.4" in world.one(FragmentKind.ENDPOINTS).payload  # type: ignore[union-attr]
    world.tell(_slice("west", generation=3))
    assert not world.held()


def test_a_slice_that_makes_no_difference_is_not_held() -> None:
    """A pod that went, say: who judged what is rejected would not judge the same again."""
    world = _shared(*_PODS)
    world.tell(_slice("east", "10.0.0.4", generation=2))
    world.tell(_slice("west", _BAD, generation=2), _slice("east", generation=3))
    world.reject(FragmentKind.ENDPOINTS)
    assert world.served() == list(_PODS.values())
    assert world.held() == [str(_slice("west").ref)]


def test_slices_of_which_each_alone_makes_no_difference_are_held_together() -> None:
    """One address may stand in two of them."""
    world = _shared(*_PODS)
    world.tell(_slice("west", _BAD, generation=2), in_cluster(_second(_BAD), "west"))
    world.reject(FragmentKind.ENDPOINTS)
    assert world.served() == list(_PODS.values())
    assert len(world.held()) == 2


def test_a_slice_that_was_held_wrongly_goes_on_with_its_next_change() -> None:
    world = _shared(*_PODS)
    world.tell(_slice("east", _BAD, generation=2), _slice("west", "10.0.0.4", generation=2))
    for _ in range(2):
        world.reject(FragmentKind.ENDPOINTS)
    assert world.held() == [str(_slice(one).ref) for one in ("west", "east")]
    world.tell(_slice("west", "10.0.0.5", generation=3))
    assert world.held() == [str(_slice("east").ref)]
    assert world.served() == list(_PODS.values())
    assert b"10.0.0.5" in world.one(FragmentKind.ENDPOINTS).payload  # type: ignore[union-attr]


def test_a_second_bad_slice_is_held_beside_the_first() -> None:
    """Of one that comes anew as well: the first stays held."""
    world = _shared(*_PODS)
    world.tell(_slice("west", _BAD, generation=2))
    world.reject(FragmentKind.ENDPOINTS)
    world.tell(_second(_BAD))
    world.reject(FragmentKind.ENDPOINTS)
    assert world.served() == list(_PODS.values())
    assert len(world.held()) == 2


@pytest.mark.parametrize("gone", [True, False])
def test_what_ends_it_is_the_held_slice(gone: bool) -> None:  # noqa: FBT001
    world = _shared(*_PODS)
    world.tell(_slice("west", _BAD, generation=2))
    world.reject(FragmentKind.ENDPOINTS)
    world.tell(Delete(_slice("east").ref))
    assert world.held(), "another's end does not end it"
    world.tell(Delete(_slice("west").ref) if gone else _slice("west", generation=3))
    assert not world.held()


_BAD_PORT = {"appProtocol": "kubernetes.io/h2c"}
_OLD = "2020-01-01T00:00:00Z"


def _payload(world: _World) -> bytes:
    one = world.one(FragmentKind.CLUSTER)
    return one.payload if one is not None else b""


def test_a_rejected_cluster_of_an_import_is_served_as_it_was_before() -> None:
    world = _shared(*_PODS)
    world.tell(in_cluster(export(_OLD), "west"))
    good = _payload(world)
    world.tell(in_cluster(service("s", 2, **_BAD_PORT), "west"))
    assert _payload(world) != good
    world.reject(FragmentKind.CLUSTER)
    assert _payload(world) == good
    assert world.served() == list(_PODS.values())
    assert world.held() == ["west//Service/default/s"]
    world.tell(in_cluster(service("s", 3), "west"))
    assert (world.held(), _payload(world)) == ([], good)


def test_what_was_never_good_of_an_import_is_left_out_of_it() -> None:
    world = _shared("local", "east")
    good = _payload(world)
    world.tell(*(in_cluster(one, "west") for one in (service(**_BAD_PORT), export(_OLD))), _slice("west"))
    assert _payload(world) != good
    world.reject(FragmentKind.CLUSTER)
    assert _payload(world) == good
    assert world.served() == [_PODS["local"], _PODS["east"]]


def test_a_part_of_an_import_that_makes_no_difference_is_not_held() -> None:
    world = _shared(*_PODS)
    world.tell(in_cluster(export(_OLD), "west"))
    good = _payload(world)
    world.tell(in_cluster(service("s", 2, **_BAD_PORT), "west"), in_cluster(service("s", 2), "east"))
    world.reject(FragmentKind.CLUSTER)
    assert _payload(world) == good
    assert world.held() == ["west//Service/default/s"], "east's makes no difference"
    assert world.served() == list(_PODS.values())


def test_a_policy_of_a_rejected_import_pays_first() -> None:
    world = _shared(*_PODS)
    good = _payload(world)
    target = {key: value for key, value in _IMPORT.items() if key != "port"}
    spec = {"targetRefs": [target], "connectTimeout": "3s"}
    world.tell(put("gateway.kgateway.dev", "v1alpha1", "BackendConfigPolicy", "p", {"spec": spec}))
    assert _payload(world) != good
    world.reject(FragmentKind.CLUSTER)
    assert _payload(world) == good
    assert [one.split("/")[2] for one in world.held()] == ["BackendConfigPolicy"]
    assert world.served() == list(_PODS.values())


def test_an_import_of_which_nothing_is_good_comes_to_an_end() -> None:
    """One part after the other is left out; what is left in the end is told of, and nothing takes turns."""
    world = _shared("local", "east")
    seen: list[bytes] = []
    while (now := _payload(world)) and len(seen) < 9:
        seen.append(now)
        world.reject(FragmentKind.CLUSTER)
    assert not _payload(world)


def test_an_import_of_another_controller_falls_back_to_its_own_revision() -> None:
    world = _World(_IMPORT)

    def shared(generation: int, **port: str) -> Put:
        spec = {"type": "ClusterSetIP", "ports": [{"name": "http", "port": 80, "protocol": "TCP", **port}]}
        return put("multicluster.x-k8s.io", "v1beta1", "ServiceImport", "s", {"spec": spec}, generation)

    world.tell(shared(1))
    good = _payload(world)
    world.tell(shared(2, **_BAD_PORT))
    assert _payload(world) != good
    world.reject(FragmentKind.CLUSTER)
    assert good
    assert _payload(world) == good
