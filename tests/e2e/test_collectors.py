"""Access logs and spans reach real collectors through the real Envoy; where there is none, requests are answered all the same."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from engine.engine import Engine
from engine.events import Put
from engine.seal import KEY_BYTES, Sealer
from tests.support.backend import backends
from tests.support.client import Answer, Ask, ask
from tests.support.collector import collecting
from tests.support.manifests import API, change_set, endpoints, gateway, put, route, service
from tests.support.mute import mute
from tests.support.proxy import proxies
from tests.support.running import START_SECONDS

pytestmark = pytest.mark.envoy
_SERVICE: dict[str, Any] = {
    "backendRef": {"name": "collector", "port": 80},
    "authority": "collector.example.com",
    "initialMetadata": [{"key": "x-tenant", "value": "a"}],
}


class Place:
    """Addresses of its own: of the proxy, the backend and the collector."""

    def __init__(self) -> None:
        chosen = random.SystemRandom()
        prefix = f"127.{chosen.randrange(2, 250)}.{chosen.randrange(1, 250)}."
        self.proxy, self.backend, self.collector = (f"{prefix}{one}" for one in (254, 1, 2))

    async def ask(self, path: str, **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await ask(self.proxy, 8080, Ask("example.com", path, headers=named))


def _policy(**http: Any) -> Put:
    target = {"group": API, "kind": "Gateway", "name": "gw"}
    spec = {"targetRefs": [target], "default": {"httpSettings": http}}
    return put("gateway.kgateway.dev", "v1alpha1", "ListenerPolicy", "p", {"spec": spec})


@asynccontextmanager
async def _running(*more: Put, **http: Any) -> AsyncIterator[Place]:
    place, sealer = Place(), Sealer(bytes(KEY_BYTES))
    engine = Engine(sealer)
    objects = [gateway(), route("r"), service(), endpoints("s", place.backend)]
    objects += [service("collector"), endpoints("collector", place.collector, port=9317), _policy(**http), *more]
    assert engine.apply(change_set(*objects), 0).warnings == ()
    fragments = engine.everything().fragments.set
    async with backends({(place.backend, 9000): "1"}), proxies(fragments, sealer, place.proxy):
        yield place


def _plain(pairs: Any) -> dict[str, Any]:
    """Attributes of OTLP; of lists and pairs only the first."""
    return {one.key: _value(one.value) for one in pairs}


def _value(value: Any) -> Any:
    match value.WhichOneof("value"):
        case "array_value":
            return [_value(one) for one in value.array_value.values]
        case "kvlist_value":
            return _plain(value.kvlist_value.values)
        case kind:
            return getattr(value, kind or "string_value")


async def test_requests_reach_envoys_access_log_service() -> None:
    sink = {
        "grpcService": {
            **_SERVICE, "logName": "edge", "additionalRequestHeadersToLog": ["x-a"],
            "additionalResponseHeadersToLog": ["x-backend"],
        },
        "filter": {"statusCodeFilter": {"op": "GE", "value": 500}},
    }  # fmt: skip
    async with _running(accessLog=[sink]) as place, collecting(f"{place.collector}:9317") as collector:
        assert (await place.ask("/fine")).status == 200
        assert (await place.ask("/bad", x_a="1", x_echo_status="503")).status == 503
        entry = await collector.until(lambda: collector.entries[:1])
        assert [one.request.path for one in collector.entries] == ["/bad"]
        assert entry[0].request.request_headers == {"x-a": "1"}
        assert entry[0].response.response_headers == {"x-backend": "1"}
        assert collector.names == ["edge"]
        assert collector.metadata[0]["x-tenant"] == "a"


async def test_requests_reach_an_opentelemetry_collector_as_logs() -> None:
    pairs = {"kvListValue": {"values": [{"key": "c", "value": {"stringValue": "%RESPONSE_CODE%"}}]}}
    attributes = [
        {"key": "method", "value": {"stringValue": "%REQ(:method)%"}},
        {"key": "list", "value": {"arrayValue": [{"stringValue": "x"}, pairs]}},
    ]
    sink = {
        "grpcService": {**_SERVICE, "logName": "edge"},
        "body": "%REQ(:path)%",
        "attributes": {"values": attributes},
        "resourceAttributes": {"values": [{"key": "team", "value": {"stringValue": "web"}}]},
    }
    async with _running(accessLog=[{"openTelemetry": sink}]) as place, collecting(f"{place.collector}:9317") as collector:
        assert (await place.ask("/told")).status == 200
        (found,) = await collector.until(lambda: collector.logs[:1])
        resource = _plain(found.resource.attributes)
        assert resource["team"] == "web"
        assert resource["service.name"] == "gw.default"
        (record,) = found.scope_logs[0].log_records
        assert record.body.string_value == "/told"
        assert _plain(record.attributes) == {"method": "GET", "list": ["x", {"c": "200"}]}
        assert collector.metadata[0]["x-tenant"] == "a"


async def test_spans_reach_an_opentelemetry_collector() -> None:
    tracing = {
        "provider": {"openTelemetry": {"grpcService": _SERVICE, "serviceName": "edge", "sampler": {"alwaysOnConfig": {}}}},
        "randomSampling": 100,
        "attributes": [
            {"name": "stage", "literal": {"value": "test"}},
            {"name": "a", "requestHeader": {"name": "x-a", "defaultValue": "none"}},
            {"name": "route", "metadata": {"kind": "Route", "metadataKey": {"key": "penstock.dev/route", "path": [{"key": "name"}]}}},
        ],
    }
    async with _running(tracing=tracing) as place, collecting(f"{place.collector}:9317") as collector:
        assert (await place.ask("/traced", x_a="1")).status == 200
        (found,) = await collector.until(lambda: collector.spans[:1])
        assert _plain(found.resource.attributes)["service.name"] == "edge"
        span = found.scope_spans[0].spans[0]
        told = _plain(span.attributes)
        assert {name: told[name] for name in ("stage", "a", "route")} == {"stage": "test", "a": "1", "route": "r"}


async def test_routes_say_which_requests_are_traced_and_what_is_told_of_them() -> None:
    def of_route(name: str, **block: Any) -> Put:
        target = {"group": API, "kind": "HTTPRoute", "name": name}
        return put("gateway.kgateway.dev", "v1alpha1", "TrafficPolicy", name, {"spec": {"targetRefs": [target], "tracing": block}})

    tracing = {
        "provider": {"openTelemetry": {"grpcService": _SERVICE}},
        "randomSampling": 0,
        "attributes": [{"name": name, "literal": {"value": "listener"}} for name in ("both", "listener")],
    }
    told = [{"name": "both", "literal": {"value": "route"}}, {"name": "a", "requestHeader": {"name": "x-a"}}]
    others = (
        route("told", path="/told"), of_route("told", randomSampling=100, attributes=told),
        route("off", path="/off"), of_route("off", disable={}),
    )  # fmt: skip
    async with _running(*others, tracing=tracing) as place, collecting(f"{place.collector}:9317") as collector:
        for path in ("/", "/off", "/told"):
            assert (await place.ask(path, x_a="1")).status == 200
        (found,) = await collector.until(lambda: collector.spans[:1])
        spans = [_plain(one.attributes) for scope in found.scope_spans for one in scope.spans]
        assert [{name: one.get(name) for name in ("both", "listener", "a")} for one in spans] == [
            {"both": "route", "listener": "listener", "a": "1"}
        ]


@pytest.mark.parametrize("what", ["accessLog", "tracing"])
async def test_without_a_collector_or_with_one_that_hangs_requests_are_answered(what: str) -> None:
    settings = {
        "accessLog": [{"grpcService": {**_SERVICE, "logName": "edge"}}, {"openTelemetry": {"grpcService": _SERVICE}}],
        "tracing": {"provider": {"openTelemetry": {"grpcService": _SERVICE}}},
    }
    async with _running(**{what: settings[what]}) as place:
        for number in range(5):
            assert (await place.ask(f"/{number}")).status == 200
        async with mute(place.collector, 9317) as collector, asyncio.timeout(START_SECONDS):
            while not collector.heard:
                assert (await place.ask("/more")).status == 200
                await asyncio.sleep(0.05)
            assert (await place.ask("/last")).status == 200


_AGAIN = {**_SERVICE, "retryPolicy": {"numRetries": 10, "retryBackOff": {"baseInterval": "50ms", "maxInterval": "1s"}}}
_SPANS = {"grpcService": _AGAIN, "serviceName": "edge", "sampler": {"alwaysOnConfig": {}}}


@pytest.mark.parametrize(
    ("http", "came"),
    [
        ({"accessLog": [{"openTelemetry": {"grpcService": {**_AGAIN, "logName": "edge"}}}]}, "logs"),
        ({"tracing": {"provider": {"openTelemetry": _SPANS}, "randomSampling": 100}}, "spans"),
    ],
    ids=["logs", "spans"],
)
async def test_an_opentelemetry_collector_that_cannot_at_first_is_told_again(http: dict[str, Any], came: str) -> None:
    """One request only: what is not sent again is lost."""
    async with _running(**http) as place, collecting(f"{place.collector}:9317", failing=2) as collector:
        assert (await place.ask("/once")).status == 200
        await collector.until(lambda: getattr(collector, came))
        assert collector.failed == 2


async def test_an_access_log_service_that_comes_back_is_told_nothing_twice() -> None:
    """Envoy has the last 64 KiB of a stream that it may begin again, and would send them once more."""
    async with _running(accessLog=[{"grpcService": {**_AGAIN, "logName": "edge"}}]) as place:
        async with collecting(f"{place.collector}:9317") as collector:
            assert (await place.ask("/before")).status == 200
            await collector.until(lambda: collector.entries)
        async with collecting(f"{place.collector}:9317") as collector, asyncio.timeout(15):
            while not collector.entries:
                assert (await place.ask("/after")).status == 200
            assert {one.request.path for one in collector.entries if one.request} == {"/after"}
