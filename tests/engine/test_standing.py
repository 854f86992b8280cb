"""The filters that stand in every listener: their order is kgateway's, and a processing service's place is among them."""

from __future__ import annotations

import pytest

from engine.envoy.effect import CLOSED
from engine.policies.ext_proc import name_of
from engine.policies.features import FEATURES, STANDING

_ORDER = [one.name for one in STANDING]
_OTHERS = {
    one.name: (one.stage.name, one.when.name, one.weight)
    for feature in FEATURES.values()
    for one in feature.filters
    if feature.field != "extProc"
}
_STAGES = {"Fault": "FAULT", "AuthN": "AUTHN", "AuthZ": "AUTHZ", "RateLimit": "RATE_LIMIT", "Route": "ROUTE"}


def test_what_closes_comes_first() -> None:
    assert _ORDER[0] == CLOSED


def test_authentication_comes_before_authorization_and_that_before_limits() -> None:
    names = ["envoy.filters.http.basic_auth", "ext_auth", "ratelimit", "ratelimit/local"]
    assert sorted(names, key=_ORDER.index) == names


@pytest.mark.parametrize("stage", _STAGES)
@pytest.mark.parametrize("predicate", ["Before", "During", "After"])
def test_a_weight_decides_among_filters_of_one_place_and_then_the_name(stage: str, predicate: str) -> None:
    """As kgateway sorts them; its filter of an extension is called `ext_proc/NAMESPACE/NAME`."""
    beside = [name for name, place in _OTHERS.items() if place == (_STAGES[stage], predicate.upper(), 0)]
    first, zero, last = (_ORDER.index(name_of(stage, predicate, weight)) for weight in (9, 0, -9))
    for name in beside:
        at = _ORDER.index(name)
        assert first < at < last, name
        assert (zero < at) == (name > "ext_proc/"), name
    assert first <= zero <= last
