"""Envoy's own field rules: every class in use has them, and we judge as Envoy does."""

from __future__ import annotations

import asyncio

from envoy_data_plane.message_pool import default_message_pool

from engine.envoy.pgv import rules_of, table, violation
from tests.envoy.breaking import Broken, breakages
from tests.envoy.judge import verdict
from tests.envoy.messages import built, goldens, named, within

_AT_ONCE = 2
_RULES = ("constraint validation failed", "Invalid duration")
"""Envoy's words for a broken field rule; a negative duration it refuses even before."""
_UNJUDGED = {"ConsistentHashingLbConfig", "LeastRequest", "LocalityLbConfig", "Maglev", "RingHash"}
"""Extensions that Envoy 1.40 does not hold to their rules: we do, so that nothing depends on what it does then."""
_OTEL = "envoy.extensions.access_loggers.open_telemetry.v3.OpenTelemetryAccessLogConfig"
_NEWER = {
    f"{_OTEL}.grpc_service",
    f"{_OTEL}.log_name",
    "envoy.config.cluster.v3.CircuitBreakers.Thresholds.RetryBudget.budget_interval",
    "envoy.config.listener.v3.Listener.tcp_keepalive",
}
"""Fields that Envoy 1.40 knows and the table's descriptors do not: what they may be is held to by who sets them."""
_LATER = {("Audience", "url", "min_len")}
"""Rules of what stands in metadata: Envoy looks at that when a filter asks for it."""

_CHAIN = "envoy.extensions.filters.http.filter_chain.v3."
_NEWER_CLASSES = {
    *(f"{_CHAIN}{one}" for one in ("FilterChain", "FilterChainConfig", "FilterChainConfigPerRoute")),
    "xds.type.matcher.v3.CelMatcher",
    "xds.type.matcher.v3.HttpAttributesCelMatchInput",
}
"""Messages that the table's descriptors lack. engine/envoy/chained.py builds no chain without a filter, and
engine/envoy/matcher.py no CelMatcher without an expression."""


def _name(cls: type) -> str:
    return default_message_pool.type_to_url[cls].rpartition("/")[2]


def test_goldens_build_every_class_that_translation_names() -> None:
    """Else a class could stand in the source that no test of the encoder or of the rules has seen."""
    assert {one.__name__ for one in named() - built()} == set()


def test_every_class_in_use_has_its_rules() -> None:
    """The table knows each class, and each field that is ever set: `make pgv` where it does not."""
    unknown = set(table()["unknown"])
    assert unknown >= _NEWER_CLASSES
    for cls in built():
        assert _name(cls) in {*table()["messages"], *_NEWER_CLASSES}, cls
        rules_of(cls)
    used = {
        f"{_name(type(one))}.{field}"
        for message in goldens().values()
        for one in within(message)
        for field, value in vars(one).items()
        if value not in (None, [], {}, "", b"", 0, False)
    }
    assert used & unknown == _NEWER


def test_goldens_break_no_rule() -> None:
    for message in goldens().values():
        assert violation(message) is None


def _plan() -> list[Broken]:
    seen: set[tuple[str, str, str]] = set()
    return [one for message in goldens().values() for one in breakages(message, seen)]


def test_each_broken_rule_is_found() -> None:
    """At the field that was broken, and nowhere at its limit."""
    plan = _plan()
    assert len({one.rule for one in plan}) > 100  # noqa: PLR2004  a plan that shrinks judges nothing
    for one in plan:
        found = violation(one.message)
        if one.lawful:
            assert found is None, one.rule
        else:
            assert found is not None, one.rule
            assert one.rule[1] in found.path, (one.rule, found)


def test_envoy_judges_the_same() -> None:
    """Real Envoy refuses what breaks a rule, for the rule; and nothing at a rule's limit for a rule."""
    wrong = asyncio.run(_differences([one for one in _plan() if one.rule not in _LATER]))
    assert not wrong, wrong


async def _differences(plan: list[Broken]) -> list[tuple[tuple[str, str, str], bool, str]]:
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(broken: Broken) -> list[tuple[tuple[str, str, str], bool, str]]:
        async with gate:
            taken, said = await verdict(broken.message)
        for_a_rule = not taken and any(one in said for one in _RULES)
        if broken.rule[0] in _UNJUDGED and not broken.lawful:
            return [(broken.rule, broken.lawful, "is judged now")] if for_a_rule else []
        return [] if for_a_rule is not broken.lawful else [(broken.rule, broken.lawful, said[-600:])]

    return [found for answer in await asyncio.gather(*map(one, plan)) for found in answer]
