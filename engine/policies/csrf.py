"""csrf: requests that change something must come from the site that they go to, by their Origin or Referer header."""

from __future__ import annotations

from typing import Final

from envoy_data_plane.envoy.config.core.v3 import RuntimeFractionalPercent
from envoy_data_plane.envoy.extensions.filters.http.csrf.v3 import CsrfPolicy
from envoy_data_plane.envoy.type.matcher.v3 import RegexMatcher, StringMatcher
from envoy_data_plane.envoy.type.v3 import FractionalPercent

from engine.envoy.effect import Effect, of_filter
from engine.envoy.wire import construct
from engine.graph.reader import Json, Reader
from engine.policies.feature import Feature, Filter, Stage, Use
from engine.resolve.manifest import items

NAME: Final = "envoy.filters.http.csrf"
_TYPE: Final = "envoy.extensions.filters.http.csrf.v3.CsrfPolicy"


def effect(graph: Reader, use: Use, value: Json) -> Effect:  # noqa: ARG001  a feature's signature
    """CsrfPolicy."""
    shadowed = value.get("percentageShadowed")
    policy = construct(
        CsrfPolicy,
        filter_enabled=_percent("envoy.csrf.filter_enabled", int(value.get("percentageEnabled") or 0)),
        shadow_enabled=None if shadowed is None else _percent("envoy.csrf.shadow_enabled", int(shadowed)),
        additional_origins=[_matcher(one) for one in items(value.get("additionalOrigins"))],
    )
    return of_filter(NAME, _TYPE, policy)


def _percent(key: str, value: int) -> RuntimeFractionalPercent:
    return construct(
        RuntimeFractionalPercent, default_value=construct(FractionalPercent, numerator=value), runtime_key=key
    )


def _matcher(one: Json) -> StringMatcher:
    if one.get("safeRegex") is not None:
        return construct(StringMatcher, safe_regex=construct(RegexMatcher, regex=str(one["safeRegex"])))
    text = {name: str(one[name]) for name in ("exact", "prefix", "suffix", "contains") if one.get(name) is not None}
    return construct(StringMatcher, ignore_case=bool(one.get("ignoreCase")), **text)


_STANDING: Final = construct(
    CsrfPolicy, filter_enabled=construct(RuntimeFractionalPercent, default_value=construct(FractionalPercent))
)


FEATURE = Feature("csrf", effect, (Filter(NAME, _TYPE, _STANDING, Stage.ROUTE),), shuts=True)
