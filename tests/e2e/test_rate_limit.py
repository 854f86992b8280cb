"""A rate limit service, asked by the real Envoy: what it is told, who is over the limit, what happens when it does not answer."""

from __future__ import annotations

from typing import Any

import pytest

from engine.events import Put
from tests.e2e.asking import ASKED, NOBODY, Asking, asking, extension, policy

pytestmark = pytest.mark.envoy
_BY_USER = [{"entries": [{"type": "Header", "header": "x-answer"}]}]


def _limited(name: str, descriptors: Any = _BY_USER, **limit: Any) -> tuple[Put, Put]:
    """An extension, and a policy that has the route of its name limited by it."""
    block = {"global": {"extensionRef": {"name": name}, "descriptors": descriptors}}
    spec = {"domain": "shop", "timeout": "20s", **limit}
    return extension(name, rateLimit=spec), policy(name, "HTTPRoute", name, rateLimit=block)


def _told(place: Asking) -> list[list[tuple[str, str]]]:
    return [[(entry.key, entry.value) for entry in one.entries] for one in place.services.limits[-1].descriptors]


async def test_a_service_is_told_descriptors_and_says_who_is_over_the_limit() -> None:
    entries: list[dict[str, Any]] = [
        {"type": "Generic", "generic": {"key": "plan", "value": "free"}}, {"type": "Path"}, {"type": "RemoteAddress"},
    ]  # fmt: skip
    objects = _limited("told", [*_BY_USER, {"entries": entries}], grpcService=ASKED)
    async with asking(*objects, routes=("told",)) as place:
        assert (await place.ask("/")).status == 200
        assert place.services.limits == []
        assert (await place.ask("/told?a=b", x_answer="yes")).status == 200
        assert place.services.limits[-1].domain == "shop"
        first, second = _told(place)
        assert first == [("x-answer", "yes")]
        assert second[:2] == [("plan", "free"), ("path", "/told?a=b")]
        assert second[2][0] == "remote_address"
        assert (await place.ask("/told", x_answer="no")).status == 429
        # Without the header there is no such descriptor.
        assert (await place.ask("/told")).status == 200
        assert len(_told(place)) == 1


async def test_a_service_that_does_not_answer_limits_nobody_unless_it_must() -> None:
    names = ("open", "closed", "slow", "slowclosed")
    objects = (
        *_limited("open", grpcService=NOBODY),
        *_limited("closed", grpcService=NOBODY, failOpen=False),
        *_limited("slow", grpcService=ASKED, timeout="200ms"),
        *_limited("slowclosed", grpcService=ASKED, timeout="200ms", failOpen=False),
    )
    async with asking(*objects, routes=names) as place:
        answers = [(await place.ask(f"/{one}", x_answer="slow")).status for one in names]
        assert answers == [200, 500, 200, 500]
