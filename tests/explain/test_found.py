"""What the random tables found to be otherwise than explain said, each as the real Envoy answered it."""

from __future__ import annotations

from typing import Any

import pytest

from engine.events import Change
from engine.history.explain import Kind, Outcome
from engine.seal import KEY_BYTES, Sealer
from tests.explain.test_evaluator import answered, listener_policy, tls_gateway
from tests.support.manifests import put, route

_GRPC = (("content-type", "application/grpc"),)


def told(changes: list[Change], *headers: tuple[str, str], **request: Any) -> Outcome:
    """The one way in which a request ends."""
    (only,) = answered(changes, headers=headers, **request).outcomes
    return only


def asks_for(name: str, value: str, kind: str = "Exact") -> Change:
    """A route that takes requests with a header only."""
    match = {"headers": [{"name": name, "value": value, "type": kind}]}
    return route("r", rules=[{"matches": [match], "backendRefs": [{"name": "one", "port": 80}]}])


def traffic_policy(**fields: Any) -> Change:
    target = {"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "name": "r"}
    return put("gateway.kgateway.dev", "v1alpha1", "TrafficPolicy", "p", {"spec": {"targetRefs": [target], **fields}})


def test_the_scheme_of_basic_auth_is_written_with_a_capital() -> None:
    some = [route("r", "one", "/"), traffic_policy(basicAuth={"users": ["ann:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ="]})]
    assert told(some, ("authorization", "Basic YW5uOnNlY3JldA==")).kind is Kind.FORWARDED
    assert told(some, ("authorization", "basic YW5uOnNlY3JldA==")).status == 401


def test_a_fault_of_grpc_is_200_to_those_who_do_not_speak_it() -> None:
    some = [route("r", "one", "/"), traffic_policy(faultInjection={"abort": {"grpcStatus": 7}})]
    assert (told(some).kind, told(some).status) == (Kind.FILTERED, 200)
    assert told(some, *_GRPC).status == 403


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        ({}, Kind.NOT_FOUND),
        ({"preserveExternalRequestId": True}, Kind.FORWARDED),
        ({"useRemoteAddress": False}, Kind.FORWARDED),
    ],
)
def test_whose_request_id_is_kept(settings: dict[str, Any], kind: Kind) -> None:
    some = [asks_for("x-request-id", "some"), *([listener_policy(**settings)] if settings else [])]
    assert told(some, ("x-request-id", "some")).kind is kind


def test_no_request_id_is_made_where_none_is_wanted() -> None:
    match = {"headers": [{"name": "x-request-id", "type": "RegularExpression", "value": ".*"}]}
    any_id = route("r", rules=[{"matches": [match], "backendRefs": [{"name": "one", "port": 80}]}])
    assert told([any_id]).kind is Kind.FORWARDED
    assert told([any_id, listener_policy(generateRequestId=False)]).kind is Kind.NOT_FOUND


def test_what_only_the_edge_takes_away() -> None:
    behind = listener_policy(useRemoteAddress=False)
    for name, kinds in (
        ("x-envoy-original-path", (Kind.NOT_FOUND, Kind.FORWARDED)),
        ("x-envoy-retry-on", (Kind.NOT_FOUND, Kind.NOT_FOUND)),
    ):
        found = (told([asks_for(name, "a")], (name, "a")).kind, told([asks_for(name, "a"), behind], (name, "a")).kind)
        assert found == kinds, name


@pytest.mark.parametrize(
    ("settings", "client", "kind"),
    [
        ({}, "127.0.0.1", Kind.NOT_FOUND),
        ({}, "10.1.2.3", Kind.FORWARDED),
        ({"xffTrustedCIDRs": ["192.0.2.0/24"]}, "10.1.2.3", Kind.FORWARDED),
        ({"xffTrustedCIDRs": ["10.0.0.0/8"]}, "10.1.2.3", Kind.NOT_FOUND),
        ({"xffTrustedCIDRs": ["10.0.0.0/8"], "skipXFFAppend": False}, "10.1.2.3", Kind.FORWARDED),
        ({"skipXFFAppend": True}, "10.1.2.3", Kind.NOT_FOUND),
    ],
)
def test_whose_address_is_written_into_x_forwarded_for(settings: dict[str, Any], client: str, kind: Kind) -> None:
    """A peer on the proxy's machine is written as the proxy's own address; one that is not believed always is."""
    some = [asks_for("x-forwarded-for", client), *([listener_policy(**settings)] if settings else [])]
    assert told(some, client=client).kind is kind


def test_a_scheme_is_told_in_any_case_but_to_a_listener_of_tls() -> None:
    moved = [{"type": "RequestRedirect", "requestRedirect": {"hostname": "other.org", "port": 90}}]
    some = [route("r", rules=[{"filters": moved}]), listener_policy(xffNumTrustedHops=1)]
    assert told(some, ("x-forwarded-proto", "HTTPS")).location == "https://other.org:90/"
    over: dict[str, Any] = {"port": 8443, "sni": "a.example.com"}
    for said, kind in (("https", Kind.FORWARDED), ("HTTPS", Kind.REDIRECTED)):
        some = [*tls_gateway(), listener_policy(xffNumTrustedHops=1), route("r", "one", "/")]
        assert told(some, ("x-forwarded-proto", said), **over).kind is kind


def test_a_backend_without_a_name_is_asked_for_as_the_client_did() -> None:
    """Endpoints of a Service are addresses: autoHostRewrite has nothing to write."""
    named = {"type": "Static", "static": {"hosts": [{"host": "inside.example.com", "port": 80}]}}
    backend = put("gateway.kgateway.dev", "v1alpha1", "Backend", "named", {"spec": named})
    for reference, host in (
        ({"name": "one", "port": 80}, "a.example.com"),
        ({"group": "gateway.kgateway.dev", "kind": "Backend", "name": "named"}, "inside.example.com"),
    ):
        some = [backend, route("r", rules=[{"backendRefs": [reference]}]), traffic_policy(autoHostRewrite=True)]
        assert told(some).host == host


def test_an_upgrade_that_a_buffer_waits_for_the_end_of() -> None:
    """As at a health check: the listener's streamIdleTimeout answers."""
    some = [route("r", "one", "/"), traffic_policy(buffer={"maxRequestSize": "1Ki"})]
    some.append(listener_policy(upgradeConfig={"enabledUpgrades": ["other"]}))
    asks = (("connection", "upgrade"), ("upgrade", "other"))
    assert (told(some, *asks).kind, told(some, *asks).status) == (Kind.FILTERED, 408)
    assert told(some).kind is Kind.FORWARDED


def test_of_te_only_trailers_are_left() -> None:
    some = [asks_for("te", "trailers")]
    assert told(some, ("te", "trailers"), ("te", "trailers")).kind is Kind.FORWARDED
    assert told(some, ("te", "gzip, trailers")).kind is Kind.FORWARDED
    assert told(some, ("te", "gzip")).kind is Kind.NOT_FOUND


@pytest.mark.parametrize(("forwards", "path"), [(False, "/?a=1&p=2"), (True, "/?p=2&key=k&a=1")])
def test_an_api_key_of_the_query_is_not_forwarded(forwards: bool, path: str) -> None:  # noqa: FBT001  as the field is
    sealed = Sealer(bytes(KEY_BYTES)).seal_text(b"k")
    keys = put("", "v1", "Secret", "keys", {"type": "Opaque", "data": {"ann": sealed}})
    auth = {"keySources": [{"query": "key"}], "secretRef": {"name": "keys"}, "forwardCredential": forwards}
    some = [keys, route("r", "one", "/"), traffic_policy(apiKeyAuth=auth)]
    (only,) = answered(some, "/?p=2&key=k&a=1").outcomes
    assert (only.kind, only.path) == (Kind.FORWARDED, path)
