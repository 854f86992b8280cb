"""What is served of TCPRoutes and UDPRoutes of which a proxy rejected something."""

from __future__ import annotations

from engine.events import Put
from engine.update import FragmentKind
from tests.support.manifests import endpoints, gateway, put, service
from tests.support.story import HTTP_AND_TLS, Story

TCP = {"name": "tcp", "port": 9000, "protocol": "TCP"}
UDP = {"name": "udp", "port": 9000, "protocol": "UDP"}


def stream(kind: str, name: str, backend: str, generation: int = 1) -> Put:
    spec = {"parentRefs": [{"name": "gw"}], "rules": [{"backendRefs": [{"name": backend, "port": 80}]}]}
    return put("gateway.networking.k8s.io", "v1", kind, name, {"spec": spec}, generation)


def test_a_rejected_stream_route_is_served_as_it_was_before() -> None:
    story = Story(
        gateway("gw", *HTTP_AND_TLS, TCP, generation=2), service("t"), endpoints("t"), stream("TCPRoute", "a", "s")
    )
    good = story.one(FragmentKind.FILTER_CHAIN)
    story.tell(stream("TCPRoute", "a", "t", 2))
    assert story.one(FragmentKind.FILTER_CHAIN).version != good.version  # type: ignore[union-attr]
    story.reject(FragmentKind.FILTER_CHAIN)
    assert story.one(FragmentKind.FILTER_CHAIN).version == good.version  # type: ignore[union-attr]
    assert "Fall Back: Gateway default/gw serves the last good revision" in story.says(stream("TCPRoute", "a", "t"))
    story.tell(stream("TCPRoute", "a", "t", 3))
    assert story.one(FragmentKind.FILTER_CHAIN).version != good.version  # type: ignore[union-attr]
    assert not story.quarantines()


def test_a_rejected_stream_route_without_an_earlier_revision_closes_its_connections() -> None:
    """It stays the oldest: another route must not be served in its place because a proxy is odd."""
    story = Story(
        gateway("gw", *HTTP_AND_TLS, TCP, generation=2), stream("TCPRoute", "a", "s"), stream("TCPRoute", "b", "s")
    )
    others = {key: one for key, one in story.versions().items() if "/filter_chain/" not in key}
    story.reject(FragmentKind.FILTER_CHAIN)
    assert b"blackhole-cluster" in story.one(FragmentKind.FILTER_CHAIN).payload  # type: ignore[union-attr]
    assert "'reason': 'Quarantined'" in story.says(stream("TCPRoute", "a", "s"))
    assert "Quarantined" not in story.says(stream("TCPRoute", "b", "s"))
    assert {key: one for key, one in story.versions().items() if "/filter_chain/" not in key} == others


def test_rejected_endpoints_of_a_datagram_route_cost_no_route() -> None:
    story = Story(
        gateway("gw", *HTTP_AND_TLS, UDP, generation=2), service("u", protocol="UDP"), stream("UDPRoute", "a", "u")
    )
    story.tell(endpoints("u", "127.0.0.4", "127.0.0.5"))
    story.tell(endpoints("u", "127.0.0.5", "127.0.0.6", generation=2))
    story.reject(FragmentKind.ENDPOINTS, "udp")
    served = story.one(FragmentKind.ENDPOINTS, "udp")
    assert served is not None
    assert [one for one in (b"127.0.0.4", b"127.0.0.5", b"127.0.0.6") if one in served.payload] == [b"127.0.0.5"]
    assert "'status': 'False'" not in story.says(stream("UDPRoute", "a", "u"))


def test_a_rejected_tls_route_costs_its_own_hostname_only() -> None:
    listener = {"name": "sni", "port": 9443, "protocol": "TLS", "tls": {"mode": "Passthrough"}}
    made = [stream("TLSRoute", name, "s") for name in "ab"]
    for one in made:
        one.object["spec"]["hostnames"] = [f"{one.ref.name}.example.com"]
    story = Story(gateway("gw", *HTTP_AND_TLS, listener, generation=2), *made)
    good = story.one(FragmentKind.FILTER_CHAIN, "~b.example.com")
    story.reject(FragmentKind.FILTER_CHAIN, "~a.example.com")
    assert b"blackhole-cluster" in story.one(FragmentKind.FILTER_CHAIN, "~a.example.com").payload  # type: ignore[union-attr]
    assert story.one(FragmentKind.FILTER_CHAIN, "~b.example.com") == good
    assert "Quarantined" in story.says(made[0])
    assert "Quarantined" not in story.says(made[1])
