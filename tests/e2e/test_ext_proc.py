"""A processing service, asked by the real Envoy: headers and bodies that it changes, its place, and when it does not answer."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine.events import Put
from tests.e2e.asking import ASKED, NOBODY, Asking, asking, extension, policy
from tests.support.client import Answer
from tests.support.manifests import delete

pytestmark = pytest.mark.envoy
_NOTHING = {"requestHeaderMode": "SKIP", "responseHeaderMode": "SKIP"}


def _processed(name: str, **proc: Any) -> tuple[Put, Put]:
    """An extension, and a policy that has the route of its name processed by it."""
    own = proc.pop("policy", {})
    block = {"extensionRef": {"name": name}, **own}
    return extension(name, extProc={"messageTimeout": "20s", **proc}), policy(name, "HTTPRoute", name, extProc=block)


def _parts(place: Asking) -> list[str]:
    found = [part for _, part, _ in place.services.parts]
    place.services.parts.clear()
    return found


def _received(answer: Answer) -> dict[str, str]:
    return {name.lower(): value for name, value in json.loads(answer.body.lower())["headers"]}


async def test_headers_and_bodies_are_changed_as_the_mode_says() -> None:
    full = {"requestBodyMode": "FULL_DUPLEX_STREAMED", "requestTrailerMode": "SEND", **_NOTHING, "requestHeaderMode": "SEND"}
    objects = (
        *_processed("plain", grpcService=ASKED),
        *_processed("bodies", grpcService=ASKED, processingMode={"requestBodyMode": "BUFFERED", "responseBodyMode": "STREAMED"}),
        *_processed("own", grpcService=ASKED, policy={"processingMode": {**_NOTHING, "responseHeaderMode": "SEND"}}),
        *_processed("attributes", grpcService=ASKED, requestAttributes=["request.path"], processingMode=full),
    )
    async with asking(*objects, routes=("plain", "bodies", "own", "attributes")) as place:
        assert (await place.ask("/")).status == 200
        assert _parts(place) == []

        answer = await place.ask("/plain")
        assert (answer.status, answer.header("x-processed-response")) == (200, "yes")
        assert _received(answer)["x-processed-request"] == "yes"
        assert _parts(place) == ["request_headers", "response_headers"]
        refused = await place.ask("/plain", x_answer="no")
        assert (refused.status, refused.body) == (402, b"pay first")

        place.services.parts.clear()
        answer = await place.ask("/bodies", "POST", b"shout")
        assert answer.body == answer.body.upper()
        assert _parts(place)[:3] == ["request_headers", "request_body", "response_headers"]

        answer = await place.ask("/own")
        assert answer.header("x-processed-response") == "yes"
        assert "x-processed-request" not in _received(answer)
        assert _parts(place) == ["response_headers"]

        assert (await place.ask("/attributes")).status == 200
        (sent,) = [message.attributes for _, part, message in place.services.parts if part == "request_headers"]
        assert sent["envoy.filters.http.ext_proc"].fields["request.path"].string_value == "/attributes"


async def test_a_service_that_does_not_answer_changes_nothing_unless_it_must() -> None:
    names = ("open", "closed", "slow", "slowclosed")
    objects = (
        *_processed("open", grpcService=NOBODY),
        *_processed("closed", grpcService=NOBODY, failOpen=False),
        *_processed("slow", grpcService=ASKED, messageTimeout="200ms"),
        *_processed("slowclosed", grpcService=ASKED, messageTimeout="200ms", failOpen=False),
    )
    async with asking(*objects, routes=names) as place:
        answers = [(await place.ask(f"/{one}", x_answer="slow")).status for one in names]
        assert answers[:1] == [200]
        assert answers[1] >= 500
        assert answers[2] == 200
        assert answers[3] >= 500


async def test_the_place_decides_who_is_asked_first_and_the_nearest_is_asked_alone() -> None:
    """Before authorization the service sees requests that are denied; behind it, it does not."""
    early, _ = _processed("early", grpcService=ASKED, filterStage={"stage": "AuthZ", "predicate": "Before"})
    late, at_route = _processed("late", grpcService=ASKED)
    objects = [
        early, late, at_route, extension("auth", extAuth={"grpcService": ASKED}),
        policy("gw", "Gateway", "gw", extProc={"extensionRef": {"name": "early"}}, extAuth={"extensionRef": {"name": "auth"}}),
        policy("off", "HTTPRoute", "off", extProc={"disable": {}}),
    ]  # fmt: skip
    async with asking(*objects, routes=("late", "off")) as place:
        # The service itself answers a denied one with 402, so that it is seen who was asked first.
        assert (await place.ask("/", x_answer="no")).status == 402
        assert (await place.ask("/late", x_answer="no")).status == 401
        place.services.parts.clear()
        assert (await place.ask("/late")).status == 200
        assert _parts(place) == ["request_headers", "response_headers"]
        assert (await place.ask("/off")).status == 200
        assert _parts(place) == []
        await place.tell(delete(at_route))
        assert (await place.ask("/late", x_answer="no")).status == 402


async def test_services_of_several_policies_all_process_and_at_one_place_one_after_the_other() -> None:
    """The second sees what the first changed."""
    bodies = {"processingMode": {"requestBodyMode": "BUFFERED", "responseBodyMode": "STREAMED"}}
    objects = [
        *(extension(one, extProc={"messageTimeout": "20s", "grpcService": ASKED, **bodies}) for one in ("first", "second")),
        extension("closed", extProc={"grpcService": NOBODY, "failOpen": False}),
        policy("above", "Gateway", "gw", extProc={"extensionRef": {"name": "first"}}),
        policy("below", "HTTPRoute", "both", extProc={"extensionRef": {"name": "second"}}),
        policy("shut", "HTTPRoute", "shut", extProc={"extensionRef": {"name": "closed"}}),
        policy("off", "HTTPRoute", "off", extProc={"disable": {}}),
    ]
    async with asking(*objects, routes=("both", "shut", "off"), priority="DeepMergePreferParent") as place:
        answer = await place.ask("/both", "POST", b"shout")
        assert (answer.status, answer.header("x-processed-response")) == (200, "yes")
        assert answer.body == answer.body.upper()
        marks = [str(message).count("x-processed-request") for _, part, message in place.services.parts if part == "request_headers"]
        assert marks == [0, 1]
        assert sorted(_parts(place)[:4]) == ["request_body", "request_body", "request_headers", "request_headers"]
        place.services.parts.clear()
        assert (await place.ask("/both", "POST", b"shout", x_answer="no")).status == 402
        # The second is sent that answer, as all that goes to the client.
        assert _parts(place).count("request_headers") == 1
        assert (await place.ask("/shut")).status >= 500
        assert _parts(place)[:1] == ["request_headers"]
        # Behind the Gateway's a switch counts for nothing.
        assert (await place.ask("/off")).header("x-processed-response") == "yes"
