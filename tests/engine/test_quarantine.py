"""What a quarantine of each kind of fragment holds back, what is served meanwhile, and what ends it."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from engine.engine import Engine
from engine.events import Lift, Put, Quarantine
from engine.seal import KEY_BYTES, Sealer
from engine.update import Fragment, FragmentKind
from tests.support.certificate import pair
from tests.support.manifests import change_set, endpoints, gateway, put, route, service

SEALER = Sealer(bytes(KEY_BYTES))
KGATEWAY = "gateway.kgateway.dev"
HTTP_AND_TLS = (
    {"name": "http", "port": 8080, "protocol": "HTTP"},
    {"name": "tls", "port": 8443, "protocol": "HTTPS", "tls": {"certificateRefs": [{"name": "cert"}]}},
)


def certificate(generation: int = 1) -> Put:
    chain, key = pair(ec.generate_private_key(ec.SECP256R1()))
    data = {"tls.crt": SEALER.seal_text(chain), "tls.key": SEALER.seal_text(key)}
    return put("", "v1", "Secret", "cert", {"type": "kubernetes.io/tls", "data": data}, generation)


def backend(host: str, generation: int = 1) -> Put:
    spec = {"type": "Static", "static": {"hosts": [{"host": host, "port": 80}]}}
    return put(KGATEWAY, "v1alpha1", "Backend", "b", {"spec": spec}, generation)


class Story:
    """An engine, one change set after the other; after each, a boot from its state gives the same."""

    def __init__(self, *puts: Any) -> None:
        self.engine = Engine(SEALER)
        self.number = -1
        rule = {"backendRefs": [{"group": KGATEWAY, "kind": "Backend", "name": "b"}]}
        self.tell(gateway("gw", *HTTP_AND_TLS), service(), endpoints(), certificate(), backend("first.invalid"))
        self.tell(route("r"), route("to-b", rules=[rule]), *puts)

    def tell(self, *changes: Any) -> None:
        self.number += 1
        assert self.engine.apply(change_set(*changes, number=self.number), self.number).warnings == ()
        loaded = Engine(SEALER)
        loaded.load(self.engine.state().items())
        assert loaded.everything() == self.engine.everything()

    def one(self, kind: FragmentKind, within: str = "") -> Fragment | None:
        found = self.engine.everything().fragments.set.values()
        return next((one for one in found if one.key.kind is kind and within in one.key.name), None)

    def versions(self) -> dict[str, str]:
        return {key: one.version for key, one in self.engine.everything().fragments.set.items()}

    def reject(self, kind: FragmentKind, within: str = "", envoy: str = "1.40.0") -> Quarantine:
        one = self.one(kind, within)
        assert one is not None
        quarantine = Quarantine(one.key.gateway, str(one.key), one.version, one.provenance, "no such thing", envoy)
        self.tell(quarantine)
        return quarantine

    def quarantines(self) -> dict[str, str]:
        rows = self.engine.state().items()
        return {key.rpartition("/")[2]: row["envoy"] for key, row in rows if key.startswith("quarantine/")}

    def says(self, of: Put) -> str:
        return str(self.engine.everything().statuses.set[str(of.ref)]["status"])


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
    story.tell(backend("third.invalid", 3))
    assert not story.quarantines()


def test_a_rejected_backend_without_an_earlier_revision_costs_its_own_routes_only() -> None:
    story = Story()
    story.reject(FragmentKind.CLUSTER, "_b_")
    assert story.one(FragmentKind.CLUSTER, "_b_") is None
    assert story.one(FragmentKind.CLUSTER, "_s_") is not None
    assert "a proxy rejected it" in story.says(route("to-b"))
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
