"""Backends that are more than addresses: what they keep to themselves, what they ask for, and what a rejection costs."""

from __future__ import annotations

import json
from typing import Any

from engine.engine import Engine
from engine.events import Put
from engine.seal import KEY_BYTES, Sealer
from engine.update import Fragment, FragmentKind, Update
from tests.support.manifests import change_set, gateway, put, route
from tests.support.story import Story

_SEALER = Sealer(bytes(KEY_BYTES))
_KGATEWAY = "gateway.kgateway.dev"
_SECRET_KEY = b"key-that-nobody-may-see"


def _function(generation: int = 1, name: str = "hello") -> Put:
    auth = {"type": "Secret", "secretRef": {"name": "aws"}}
    spec = {"aws": {"accountId": "000000000000", "auth": auth, "lambda": {"functionName": name}}}
    return put(_KGATEWAY, "v1alpha1", "Backend", "f", {"spec": spec}, generation)


def _keys(secret_key: bytes = _SECRET_KEY, generation: int = 1) -> Put:
    data = {"accessKey": _SEALER.seal_text(b"access"), "secretKey": _SEALER.seal_text(secret_key)}
    return put("", "v1", "Secret", "aws", {"type": "Opaque", "data": data}, generation)


def _calling() -> Put:
    return route("calling", rules=[{"backendRefs": [{"group": _KGATEWAY, "kind": "Backend", "name": "f"}]}])


def _cluster(update: Update) -> Fragment:
    return next(one for one in update.fragments.set.values() if one.key.kind is FragmentKind.CLUSTER)


def _shown(update: Update) -> str:
    rest: Any = [update.nodes.set, update.statuses.set, update.infra.set, update.warnings]
    return repr(update.fragments.set) + repr(update.state.set) + json.dumps(rest, default=str)


def test_a_key_leaves_sealed_only() -> None:
    engine = Engine(_SEALER)
    engine.apply(change_set(gateway(), _calling(), _function(), _keys()), 0)
    update = engine.everything()
    assert _SECRET_KEY.decode() not in _shown(update)
    fragment = _cluster(update)
    assert fragment.sealed
    assert _SECRET_KEY in _SEALER.unseal(fragment.payload, str(fragment.key).encode())


def test_a_malformed_key_is_told_of_without_it() -> None:
    engine = Engine(_SEALER)
    engine.apply(change_set(gateway(), _calling(), _function(), _keys(_SECRET_KEY + b" ")), 0)
    assert "has no AWS key in secretKey" in _shown(engine.everything())
    assert _SECRET_KEY.decode() not in _shown(engine.everything())


def test_only_a_function_that_is_called_has_its_secret_read() -> None:
    engine = Engine(_SEALER)
    engine.apply(change_set(gateway(), _function(), source="kubernetes"), 0)
    assert "lookup/local//Secret/default/aws" not in engine.everything().infra.set
    engine.apply(change_set(_calling(), number=1, source="kubernetes"), 1)
    update = engine.everything()
    assert "lookup/local//Secret/default/aws" in update.infra.set
    told = update.statuses.set[f"local/{_KGATEWAY}/Backend/default/f"]["status"]["conditions"][0]
    assert (told["status"], told["reason"]) == ("Unknown", "Pending")
    engine.apply(change_set(_keys(), number=2, source="kubernetes"), 2)
    told = engine.everything().statuses.set[f"local/{_KGATEWAY}/Backend/default/f"]["status"]["conditions"][0]
    assert (told["status"], told["reason"]) == ("True", "Accepted")


def test_a_new_key_changes_the_cluster_and_nothing_else() -> None:
    engine = Engine(_SEALER)
    engine.apply(change_set(gateway(), _calling(), _function(), _keys()), 0)
    update = engine.apply(change_set(_keys(b"another", 2), number=1), 1)
    assert [one.key.kind for one in update.fragments.set.values()] == [FragmentKind.CLUSTER]
    assert not update.fragments.removed


def test_a_rejected_function_is_called_as_it_was_before() -> None:
    story = Story(_function(), _keys(), _calling())
    story.tell(_keys(b"another", 2))
    good = story.one(FragmentKind.CLUSTER, "_f_")
    story.tell(_function(2, "other"), _keys(b"a-third", 3))
    story.reject(FragmentKind.CLUSTER, "_f_")
    again = story.one(FragmentKind.CLUSTER, "_f_")
    assert again.version == good.version  # type: ignore[union-attr]


def _group(*names: str) -> Put:
    spec = {"priorityGroups": [{"backendRefs": [{"name": name}]} for name in names]}
    return put(_KGATEWAY, "v1alpha1", "Backend", "f", {"spec": spec})


def _part(name: str, host: str, generation: int = 1) -> Put:
    spec = {"static": {"hosts": [{"host": host, "port": 80}]}}
    return put(_KGATEWAY, "v1alpha1", "Backend", name, {"spec": spec}, generation)


def test_a_part_that_moves_changes_endpoints_only() -> None:
    engine = Engine(_SEALER)
    engine.apply(change_set(gateway(), _calling(), _group("a", "b"), _part("a", "10.0.0.1"), _part("b", "10.0.0.2")), 0)
    before = engine.everything().fragments.set
    update = engine.apply(change_set(_part("b", "10.0.0.3", 2), number=1), 1)
    other = {one.key.kind for key, one in update.fragments.set.items() if one.version != before[key].version}
    assert other == {FragmentKind.ENDPOINTS}
    assert not update.fragments.removed
