"""Routes of two kinds on one hostname: the older one is served, whatever the two are called."""

from __future__ import annotations

from itertools import permutations

import pytest

from engine.engine import Engine
from engine.events import Put
from engine.seal import KEY_BYTES, Sealer
from engine.update import FragmentKind
from tests.support.manifests import API, change_set, gateway, put, route

LATER = {"creationTimestamp": "2030-01-01T00:00:00.000Z"}


def _routes() -> tuple[Put, Put]:
    spec = {"parentRefs": [{"name": "gw"}], "hostnames": ["a.example.com"], "rules": [{"backendRefs": [{"name": "s", "port": 80}]}]}
    grpc = put(API, "v1", "GRPCRoute", "shop", {"spec": spec})
    http = route("shop", hostnames=["a.example.com"])
    return grpc, Put(http.ref, {**http.object, "metadata": {**http.object["metadata"], **LATER}})


@pytest.mark.parametrize("changes", list(permutations([gateway(), *_routes()])))
def test_of_two_kinds_of_one_name_the_older_is_served(changes: tuple[Put, ...]) -> None:
    """The younger one, which is turned away, took the older one's routes along: both had one name."""
    engine = Engine(Sealer(bytes(KEY_BYTES)))
    for number, change in enumerate(changes):
        engine.apply(change_set(change, number=number), number)
    loaded = Engine(Sealer(bytes(KEY_BYTES)))
    loaded.load(engine.state().items())
    for one in (engine, loaded):
        everything = one.everything()
        served = [each for each in everything.fragments.set.values() if each.key.kind is FragmentKind.ROUTE]
        assert [each.provenance[0][0].kind for each in served] == ["GRPCRoute"]
