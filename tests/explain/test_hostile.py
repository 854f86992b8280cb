"""A client may write anything into a request: explain answers, as Envoy does."""

from __future__ import annotations

from typing import Any

import pytest

from engine.events import Change
from engine.history.explain import Kind, Outcome
from tests.explain.test_evaluator import answered, listener_policy
from tests.explain.test_found import asks_for, traffic_policy
from tests.support.manifests import route

_CSRF = [route("r", "one", "/"), traffic_policy(csrf={"percentageEnabled": 100})]
_ODD = ("", "http://[bad", "http://[::1", "://", "\x00", "é\u202e", "9" * 5000, "-", "٣", "Basic ====", "Basic é", "a" * 70_000)


def told(changes: list[Change], *headers: tuple[str, str], **request: Any) -> Outcome:
    (only,) = answered(changes, headers=headers, **request).outcomes
    return only


@pytest.mark.parametrize("name", ["origin", "referer"])
def test_an_origin_that_is_no_url_is_taken_as_it_is(name: str) -> None:
    """Envoy's csrf filter compares what it cannot parse as it stands."""
    assert told(_CSRF, (name, "http://[bad"), method="POST").status == 403
    assert told(_CSRF, (name, "http://[bad"), ("host", "http://[bad"), method="POST").kind is not Kind.REFUSED


@pytest.mark.parametrize("edge", [{}, {"useRemoteAddress": False}, {"useRemoteAddress": True, "xffNumTrustedHops": 1}])
@pytest.mark.parametrize("value", _ODD)
def test_no_value_of_a_header_ends_it(value: str, edge: dict[str, Any]) -> None:
    some = [
        listener_policy(**edge),
        asks_for("x-odd", ".*", "RegularExpression"),
        traffic_policy(
            csrf={"percentageEnabled": 100},
            basicAuth={"users": ["ann:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ="]},
            cors={"allowOrigins": ["https://a.example.com"]},
        ),
    ]
    names = ("origin", "referer", "authorization", "x-forwarded-for", "x-forwarded-proto", "cookie", "connection", "x-odd")
    for method in ("POST", "OPTIONS"):
        headers = (*((name, value) for name in names), ("access-control-request-method", "GET"))
        assert answered(some, headers=headers, method=method).outcomes
