"""What becomes of a request, read off what proxies are served."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from engine.engine import Engine
from engine.events import Change, Put
from engine.history.explain import Answer, Kind, Request, answer, configs
from engine.ref import Ref
from engine.seal import KEY_BYTES, Sealer
from streams.sources.stamp import stamped
from tests.routing.written import certificate
from tests.support.manifests import CLUSTER, TIME, change_set, endpoints, gateway, put, route, service

_SEALER = Sealer(bytes(KEY_BYTES))
_PORT = 8080


def answered(changes: list[Change], path: str = "/", host: str = "a.example.com", **request: Any) -> Answer:
    engine = Engine(_SEALER)
    some = [one for name in ("one", "two") for one in (service(name), endpoints(name))]
    engine.apply(change_set(gateway(), *some, *changes), 0)
    (config,) = configs(engine.everything().fragments.set, _SEALER).values()
    method, port = request.pop("method", "GET"), request.pop("port", _PORT)
    return answer(config, Request(method, host, path, port, **request))


def test_a_request_that_a_backend_answers() -> None:
    found = answered([route("r", "one", "/pay")], "/pay/now?a=b")
    (only,) = found.outcomes
    assert (only.kind, only.cluster, only.share) == (Kind.FORWARDED, "kube_default_one_80", 1)
    assert (only.host, only.path) == ("a.example.com", "/pay/now?a=b")
    assert (found.listener, found.virtual_host) == ("listener~8080", "listener~8080~*")


def test_none_of_its_routes() -> None:
    found = answered([route("r", "one", "/pay")], "/payments")
    assert [(one.kind, one.status) for one in found.outcomes] == [(Kind.NOT_FOUND, 404)]
    assert "no route of the virtual host" in found.reason


def test_a_port_that_nobody_listens_on() -> None:
    found = answered([route("r", "one", "/")], port=81)
    assert [one.kind for one in found.outcomes] == [Kind.REFUSED]
    assert "the Gateway listens on 8080" in found.reason


def test_shares_and_a_share_that_is_refused() -> None:
    rules = [{"backendRefs": [{"name": "one", "port": 80, "weight": 3}, {"name": "nobody", "port": 80}]}]
    found = answered([route("r", "one", "/", rules=rules)])
    assert [(one.kind, one.status, one.share) for one in found.outcomes] == [
        (Kind.FORWARDED, None, Fraction(3, 4)),
        (Kind.UNSERVED, 500, Fraction(1, 4)),
    ]


def test_shares_of_routes_and_of_backends_are_one_in_all() -> None:
    """A backendRef with a redirect of its own stands in a route of its own."""
    redirect = [{"type": "RequestRedirect", "requestRedirect": {"hostname": "other.example.com"}}]
    some = [{"name": "one", "port": 80, "filters": redirect}, *({"name": name, "port": 80} for name in ("one", "two"))]
    found = answered([route("r", "one", "/", rules=[{"backendRefs": some}])])
    assert {one.kind for one in found.outcomes} == {Kind.REDIRECTED, Kind.FORWARDED}
    assert sum(one.share for one in found.outcomes) == 1
    assert len(found.outcomes) == 3


def test_a_backend_without_endpoints() -> None:
    found = answered([service("three"), route("r", "three", "/")])
    assert [(one.kind, one.status) for one in found.outcomes] == [(Kind.UNSERVED, 503)]


def test_cors_looks_at_routes_to_backends_only() -> None:
    """A preflight that a redirect answers; found by the random tables."""
    cors = {"type": "CORS", "cors": {"allowOrigins": ["*"]}}
    moved = {"type": "RequestRedirect", "requestRedirect": {"hostname": "other.example.com"}}
    headers = (("origin", "https://a.org"), ("access-control-request-method", "PUT"))
    to_backend = [{"filters": [cors], "backendRefs": [{"name": "one", "port": 80}]}]
    for rules, kind in (([{"filters": [moved, cors]}], Kind.REDIRECTED), (to_backend, Kind.FILTERED)):
        found = answered([route("r", "one", "/", rules=rules)], method="OPTIONS", headers=headers)
        assert [one.kind for one in found.outcomes] == [kind]


def tls_gateway() -> list[Change]:
    """That listens on 8443, with its certificate."""
    listener = {"name": "tls", "port": 8443, "protocol": "HTTPS", "tls": {"certificateRefs": [{"name": "cert"}]}}
    ref = Ref(CLUSTER, "", "Secret", "default", "cert")
    return [Put(ref, stamped(ref, certificate(), None, TIME, _SEALER)), gateway("gw", listener)]


def listener_policy(**settings: Any) -> Change:
    target = {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "gw"}
    spec = {"targetRefs": [target], "default": {"httpSettings": settings}}
    return put("gateway.kgateway.dev", "v1alpha1", "ListenerPolicy", "lp", {"spec": spec})


def test_an_upgrade_that_a_redirect_to_https_does_not_let() -> None:
    """A trusted proxy says that the client came over http; found by the random tables."""
    some = [*tls_gateway(), listener_policy(xffNumTrustedHops=1), route("r", "one", "/")]
    over = {"port": 8443, "sni": "a.example.com"}
    said = (("x-forwarded-proto", "http"),)
    (only,) = answered(some, headers=said, **over).outcomes
    assert (only.kind, only.status, only.location) == (Kind.REDIRECTED, 301, "https://a.example.com/")
    asks = (*said, ("connection", "upgrade"), ("upgrade", "other"))
    (only,) = answered(some, headers=asks, **over).outcomes
    assert (only.kind, only.status) == (Kind.FILTERED, 403)


def test_an_upgrade_that_a_health_check_waits_for_the_end_of() -> None:
    """Its body ends never: the listener's streamIdleTimeout answers. Found by the random tables."""
    some = [listener_policy(healthCheck={"path": "/up"}), route("r", "one", "/", hostnames=["a.example.com"])]
    asks = (("connection", "upgrade"), ("upgrade", "other"))
    for host, headers, kind, status in (
        ("nobody", (), Kind.FILTERED, 200),
        ("nobody", asks, Kind.FILTERED, 408),
        ("nobody", (("connection", "upgrade"), ("upgrade", "h2c")), Kind.FILTERED, 200),
        ("a.example.com", asks, Kind.FILTERED, 403),
    ):
        (only,) = answered(some, "/up", host, headers=headers).outcomes
        assert (only.kind, only.status) == (kind, status), (host, headers)
