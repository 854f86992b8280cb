"""An authorization service, asked by the real Envoy: who passes, with what, and what happens when it does not answer."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from envoy_data_plane.envoy.service.auth.v3 import CheckRequest

from engine.engine import EngineSettings
from engine.events import Put
from tests.e2e.asking import ASKED, NOBODY, Asking, asking, extension, policy
from tests.support.client import Answer
from tests.support.manifests import delete, route

pytestmark = pytest.mark.envoy
_SECONDS = 30.0


def _auth(name: str, **auth: Any) -> tuple[Put, Put]:
    """An extension, and a policy that has the route of its name checked by it."""
    own = auth.pop("policy", {})
    block = {"extensionRef": {"name": name}, **own}
    return extension(name, extAuth=auth), policy(name, "HTTPRoute", name, extAuth=block)


def _received(answer: Answer) -> dict[str, str]:
    return {name.lower(): value for name, value in json.loads(answer.body)["headers"]}


def _last(place: Asking) -> Any:
    attributes = place.services.checks[-1].attributes
    assert attributes is not None
    return attributes


async def test_a_service_says_who_passes_and_what_is_told() -> None:
    names = ("plain", "told", "few", "big")
    objects = (
        *_auth("plain", grpcService=ASKED),
        *_auth("told", grpcService=ASKED, policy={"contextExtensions": {"tenant": "a"}, "withRequestBody": {"maxRequestBytes": 8}}),
        *_auth("few", grpcService=ASKED, headersToForward=["x-answer", "x-some"]),
        *_auth("big", grpcService=ASKED, withRequestBody={"maxRequestBytes": 4, "allowPartialMessage": True, "packAsBytes": True}),
    )
    async with asking(*objects, routes=names) as place:
        assert (await place.ask("/")).status == 200
        assert place.services.checks == []

        passed = await place.ask("/plain", x_secret="s", x_more="1")
        assert (passed.status, passed.header("x-checked")) == (200, "yes")
        assert _received(passed)["x-user"] == "ann"
        assert "x-secret" not in _received(passed)
        assert _last(place).request.http.headers["x-more"] == "1"
        assert _last(place).context_extensions == {}
        denied = await place.ask("/plain", x_answer="no")
        assert (denied.status, denied.header("x-why"), denied.body) == (401, "nobody", b"who are you?")

        assert (await place.ask("/told", "POST", b"12345678")).status == 200
        assert (_last(place).context_extensions, _last(place).request.http.body) == ({"tenant": "a"}, "12345678")
        assert (await place.ask("/told", "POST", b"123456789")).status == 413

        assert (await place.ask("/few", x_some="1", x_more="1")).status == 200
        headers = _last(place).request.http.headers
        assert "x-some" in headers
        assert "x-more" not in headers

        assert (await place.ask("/big", "POST", b"123456789")).status == 200
        assert _last(place).request.http.raw_body == b"1234"


async def test_a_service_that_does_not_answer_lets_nobody_in_unless_it_may() -> None:
    slow = {**ASKED, "requestTimeout": "300ms"}
    again = {**ASKED, "requestTimeout": "5s", "retry": {"attempts": 3, "backoff": {"baseInterval": "10ms"}}}
    names = ("closed", "open", "slow", "slowopen", "again", "once")
    objects = (
        *_auth("closed", grpcService=NOBODY),
        *_auth("open", grpcService=NOBODY, failOpen=True),
        *_auth("slow", grpcService=slow, statusOnError=503),
        *_auth("slowopen", grpcService=slow, failOpen=True),
        *_auth("again", grpcService=again),
        *_auth("once", grpcService={**ASKED, "requestTimeout": "5s"}),
    )
    async with asking(*objects, routes=names) as place:
        assert [(await place.ask(f"/{one}")).status for one in ("closed", "open")] == [403, 200]
        assert (await place.ask("/slow")).status == 200
        assert [(await place.ask(f"/{one}", x_answer="slow")).status for one in ("slow", "slowopen")] == [503, 200]
        assert (await place.ask("/again", x_answer="flaky a")).status == 200
        assert (await place.ask("/once", x_answer="flaky b")).status == 403


async def test_a_service_of_http_is_asked_and_waited_for_alike() -> None:
    """The backend itself is asked: it answers as a request's headers say that are handed on to it."""
    there, away = {"backendRef": {"name": "s", "port": 80}, "requestTimeout": "20s"}, {"backendRef": NOBODY["backendRef"]}
    slow = {**there, "requestTimeout": "300ms"}
    told = {"headersToForward": ["x-echo-status", "x-echo-delay"]}
    names = ("http", "closed", "open", "slow", "slowopen")
    objects = (
        *_auth("http", httpService={**there, "pathPrefix": "/check", "authorizationResponse": {"headersToBackend": ["x-backend"]}}, **told),
        *_auth("closed", httpService=away),
        *_auth("open", httpService=away, failOpen=True),
        *_auth("slow", httpService=slow, statusOnError=503, **told),
        *_auth("slowopen", httpService=slow, failOpen=True, **told),
    )
    async with asking(*objects, routes=names) as place:
        passed = await place.ask("/http")
        assert (passed.status, _received(passed)["x-backend"]) == (200, "1")
        denied = await place.ask("/http", x_echo_status="401")
        assert (denied.status, json.loads(denied.body)["path"]) == (401, "/check/http")
        assert [(await place.ask(f"/{one}")).status for one in ("closed", "open")] == [403, 200]
        assert [(await place.ask(f"/{one}", x_echo_delay="1")).status for one in ("slow", "slowopen")] == [503, 200]


async def test_whatever_is_wrong_with_an_extension_closes_and_what_mends_it_opens() -> None:
    good, named = _auth("guarded", grpcService=ASKED)
    async with asking(good, named, routes=("guarded",)) as place:
        assert (await place.ask("/guarded")).status == 200
        await place.tell(delete(good))
        assert (await place.ask("/guarded")).status == 500
        await place.tell(extension("guarded", 2, extAuth={"grpcService": {"backendRef": {"name": "unknown", "port": 80}}}))
        assert (await place.ask("/guarded")).status == 500
        await place.tell(extension("guarded", 3, rateLimit={"domain": "d", "grpcService": ASKED}))
        assert (await place.ask("/guarded")).status == 500
        await place.tell(extension("guarded", 4, extAuth={"grpcService": ASKED}))
        assert (await place.ask("/guarded")).status == 200
        assert (await place.ask("/guarded", x_answer="no")).status == 401
        await place.tell(delete(named))
        assert (await place.ask("/guarded", x_answer="no")).status == 200


async def test_the_service_chooses_no_other_route_and_outlives_its_own() -> None:
    """The header `x-user` that it adds would match a route whose guards would not stand there (decision 33).

    A check in flight outlives the route and the extension that it began with.

    But not the cluster: where the service's last user goes, Envoy ends what it is asked.
    """
    chosen = {
        "matches": [{"headers": [{"name": "x-user", "value": "ann"}]}],
        "filters": [{"type": "RequestRedirect", "requestRedirect": {"hostname": "ann.example.com", "statusCode": 302}}],
    }
    auth, named = _auth("rest", grpcService=ASKED, clearRouteCache=True)
    gateway = policy("rest", "Gateway", "gw", extAuth=named.object["spec"]["extAuth"])
    async with asking(auth, gateway, route("chosen", rules=[chosen]), *_auth("kept", grpcService=ASKED), routes=("kept",)) as place:
        assert (await place.ask("/")).status == 200
        pending = [asyncio.create_task(place.ask("/", x_answer="slow")) for _ in range(5)]
        async with asyncio.timeout(_SECONDS):
            while len(place.services.checks) < 1 + len(pending):
                await asyncio.sleep(0.01)
        await place.tell(extension("rest", 2, extAuth={"grpcService": ASKED}))
        await place.tell(delete(route("chosen")))
        await place.tell(delete(gateway), delete(auth))
        assert {one.status for one in await asyncio.gather(*pending)} == {200}
        assert (await place.ask("/", x_answer="no")).status == 200


async def test_the_nearest_extension_is_asked_and_told_of_both_places() -> None:
    near, at_route = _auth("near", grpcService=ASKED, policy={"contextExtensions": {"place": "route", "route": "1"}})
    far = extension("far", extAuth={"grpcService": NOBODY})
    said = {"extensionRef": {"name": "far"}, "contextExtensions": {"place": "gateway", "gateway": "1"}}
    async with asking(near, at_route, far, policy("far", "Gateway", "gw", extAuth=said), routes=("near",)) as place:
        assert (await place.ask("/")).status == 403
        assert (await place.ask("/near")).status == 200
        assert _last(place).context_extensions == {"place": "route", "route": "1", "gateway": "1"}
        assert len(place.services.checks) == 1


_TELLING = [extension(one, extAuth={"grpcService": ASKED, "headersToForward": ["x-answer", f"x-{one}"]}) for one in "abc"]
_TOLD = {"x_a": "1", "x_b": "1", "x_c": "1"}
"""Each of those services is told of another one of these headers."""


def _asked(place: Asking) -> str:
    """Which of them were asked, in order."""
    found = "".join(_name(one) for one in place.services.checks)
    place.services.checks.clear()
    return found


def _name(check: CheckRequest) -> str:
    assert check.attributes is not None
    assert check.attributes.request is not None
    assert check.attributes.request.http is not None
    return next(name[2:] for name in check.attributes.request.http.headers if name in {"x-a", "x-b", "x-c"})


async def test_services_of_several_policies_are_all_asked_and_each_can_deny() -> None:
    above = policy("above", "Gateway", "gw", extAuth={"extensionRef": {"name": "a"}, "contextExtensions": {"by": "gateway"}})
    below = policy("below", "HTTPRoute", "both", extAuth={"extensionRef": {"name": "b"}, "contextExtensions": {"by": "route"}})
    mute = extension("a", 2, extAuth={"grpcService": NOBODY, "failOpen": True})
    async with asking(*_TELLING, above, below, routes=("both",), priority="DeepMergePreferParent") as place:
        assert (await place.ask("/both", **_TOLD)).status == 200
        assert [one.attributes.context_extensions["by"] for one in place.services.checks] == ["gateway", "route"]  # type: ignore[union-attr]
        assert _asked(place) == "ab"
        # Whoever denies first is the last that is asked.
        assert (await place.ask("/both", x_answer="no", **_TOLD)).status == 401
        assert _asked(place) == "a"
        await place.tell(mute)
        assert (await place.ask("/both", x_answer="no", **_TOLD)).status == 401
        assert _asked(place) == "b"
        assert (await place.ask("/both", **_TOLD)).status == 200
        # One of them cannot be met, and the other one alone lets nobody in.
        await place.tell(delete(mute))
        assert (await place.ask("/both", **_TOLD)).status == 500


async def test_a_nearer_service_is_asked_alone_where_two_are_farther_out() -> None:
    """Envoy joins the chains of all places by the names in them."""
    far = [policy(f"far-{one}", "Gateway", "gw", extAuth={"extensionRef": {"name": one}}) for one in "ab"]
    near = policy("near", "HTTPRoute", "near", extAuth={"extensionRef": {"name": "c"}})
    deep = EngineSettings(deep_merges=("extAuth",))
    async with asking(*_TELLING, *far, near, routes=("near",), settings=deep) as place:
        assert (await place.ask("/", **_TOLD)).status == 200
        assert _asked(place) == "ab"
        assert (await place.ask("/near", **_TOLD)).status == 200
        assert _asked(place) == "c"


async def test_each_of_several_services_is_told_what_its_own_policies_say() -> None:
    """Envoy joins what is said beside a filter of one name over all places."""

    def said(name: str, **told: str) -> dict[str, Any]:
        return {"extensionRef": {"name": name}, "contextExtensions": {"at": name, **told}}

    alone = policy("alone", "Gateway", "gw", extAuth=said("a", platform="secret"))
    second = policy("second", "Gateway", "gw", extAuth=said("c", more="secret"))
    near = policy("near", "HTTPRoute", "near", extAuth={"extensionRef": {"name": "b"}, "contextExtensions": {"tenant": "1"}})
    again = policy("again", "HTTPRoute", "again", extAuth={"extensionRef": {"name": "a"}, "contextExtensions": {"at": "again"}})
    deep = EngineSettings(deep_merges=("extAuth",))
    told = {"a": {"at": "a", "platform": "secret"}, "b": {"tenant": "1"}, "c": {"at": "c", "more": "secret"}}

    async def heard(place: Asking, path: str) -> list[tuple[str, dict[str, str]]]:
        assert (await place.ask(path, **_TOLD)).status == 200
        found = [(_name(one), dict(one.attributes.context_extensions)) for one in place.services.checks if one.attributes]
        place.services.checks.clear()
        return found

    objects = (*_TELLING, alone, near, again)
    async with asking(*objects, routes=("near", "again"), priority="DeepMergePreferChild", settings=deep) as place:
        assert await heard(place, "/near") == [("b", told["b"]), ("a", told["a"])]
        assert await heard(place, "/again") == [("a", {"at": "again", "platform": "secret"})]
        await place.tell(second)
        assert await heard(place, "/") == [("a", told["a"]), ("c", told["c"])]
        assert await heard(place, "/near") == [("b", told["b"]), ("a", told["a"]), ("c", told["c"])]
