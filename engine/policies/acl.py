"""acl: which clients are let through, by their addresses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from envoy_data_plane.envoy.config.core.v3 import DataSource
from envoy_data_plane.envoy.config.rbac.v3 import Action, RbacAction
from envoy_data_plane.envoy.extensions.filters.http.lua.v3 import Lua, LuaPerRoute
from envoy_data_plane.envoy.extensions.filters.http.rbac.v3 import Rbac, RbacPerRoute
from envoy_data_plane.xds.core.v3 import TypedExtensionConfig

from engine.envoy.address_matcher import Network, Verdict, by_narrowest, network_of
from engine.envoy.effect import Effect, both, of_filter
from engine.envoy.format_string import struct
from engine.envoy.matcher import extension
from engine.envoy.wire import construct
from engine.graph.reader import Json, Reader
from engine.models.texts import FRAMING, has_control_characters, is_token
from engine.policies.feature import Feature, Filter, Stage, Use, When, refused
from engine.resolve.manifest import items, mapping, texts
from engine.resolve.values import Problem

JUDGE: Final = "penstock.dev/acl"
"""Works out what becomes of a client, and lets all through."""
NAME: Final = "dynamic_modules/http-acl"
"""Answers those who are denied: kgateway's name of the filter of its own that does both."""
_RBAC: Final = "envoy.extensions.filters.http.rbac.v3"
_LUA: Final = "envoy.extensions.filters.http.lua.v3"
_PREFIX: Final = "acl_"
_NAMED: Final = "envoy.filters.http.rbac"
_SAID: Final = "dev.kgateway.http.acl"
_FINAL: Final = 200
"""The least status that ends a request."""
_SINGLE: Final = ("statusCode", "blockedByHeaderName")

# Whoever nothing is known of is denied: the judge always says something, so that would be a defect.
_SCRIPT: Final = f"""\
function envoy_on_request(handle)
  local known = handle:streamInfo():dynamicMetadata():get("{_NAMED}") or {{}}
  if known["{_PREFIX}shadow_engine_result"] == "allowed" then
    return
  end
  local by = known["{_PREFIX}shadow_effective_policy_id"] or "unknown"
  local said = handle:filterContext()
  handle:streamInfo():dynamicMetadata():set("{_SAID}", "blocked-by", by)
  local headers = {{[":status"] = said:get("status") or "403"}}
  for _, one in ipairs(said:get("headers") or {{}}) do
    local values = headers[one["name"]] or {{}}
    table.insert(values, one["value"])
    headers[one["name"]] = values
  end
  local header = said:get("blocked-by")
  if header then
    headers[header] = by
  end
  handle:respond(headers)
end
"""


def effect(graph: Reader, use: Use, value: Json) -> Effect | Problem:  # noqa: ARG001  a feature's signature
    """RBACPerRoute that judges, and LuaPerRoute that answers. Of equal ranges the last counts, as for kgateway."""
    verdicts: dict[Network, Verdict] = {}
    wrong = list(_unanswerable(mapping(value.get("denyResponse"))))
    for place, rule in enumerate(items(value.get("rules"))):
        if has_control_characters(str(rule.get("name"))):
            wrong.append(f"rules[{place}].name: has a control character: leave it out")
        for number, text in enumerate(texts(rule.get("cidrs"))):
            try:
                verdicts[network_of(text)] = _verdict(rule)
            except ValueError as error:
                wrong.append(f"rules[{place}].cidrs[{number}]: {error}")
    if wrong:
        return refused(wrong)
    otherwise = ("default", value.get("defaultAction") == "allow")
    actions = {one: _action(one) for one in (*verdicts.values(), otherwise)}
    rbac = construct(Rbac, shadow_matcher=by_narrowest(verdicts, otherwise, actions), shadow_rules_stat_prefix=_PREFIX)
    answer = construct(LuaPerRoute, filter_context=struct(_answer(mapping(value.get("denyResponse")))))
    return both(
        (
            of_filter(JUDGE, f"{_RBAC}.RBACPerRoute", construct(RbacPerRoute, rbac=rbac)),
            of_filter(NAME, f"{_LUA}.LuaPerRoute", answer),
        )
    )


def merge(first: Json, second: Json) -> Json | None:
    """The rules of both; of equal ranges the first one's count. Neither may contradict the other beside."""
    said, other = mapping(first.get("denyResponse")), mapping(second.get("denyResponse"))
    if first.get("defaultAction") != second.get("defaultAction"):
        return None
    if any(one in said and one in other and said[one] != other[one] for one in _SINGLE):
        return None
    found: dict[str, Any] = {**second, **first, "rules": [*items(second.get("rules")), *items(first.get("rules"))]}
    if said or other:
        headers = [*items(said.get("headers")), *items(other.get("headers"))]
        found["denyResponse"] = {**other, **said, **({"headers": headers} if headers else {})}
    return found


def _verdict(rule: Json) -> Verdict:
    """All who are let through alike: nobody is told by which rule."""
    is_let_through = rule.get("action") == "allow"
    return ("allowed" if is_let_through else str(rule.get("name") or "rule"), is_let_through)


def _action(verdict: Verdict) -> TypedExtensionConfig:
    name, is_let_through = verdict
    action = construct(Action, name=name, action=RbacAction.ALLOW if is_let_through else RbacAction.DENY)
    return extension("envoy.filters.rbac.action", "envoy.config.rbac.v3.Action", action)


def _answer(response: Json) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if (status := response.get("statusCode")) is not None:
        found["status"] = str(status)
    if headers := items(response.get("headers")):
        found["headers"] = [{"name": str(one["name"]).lower(), "value": str(one["value"])} for one in headers]
    if name := response.get("blockedByHeaderName"):
        found["blocked-by"] = str(name).lower()
    return found


def _unanswerable(response: Json) -> Iterator[str]:
    """What Envoy would answer nothing for, and so let the client through."""
    status = response.get("statusCode")
    if isinstance(status, int) and status < _FINAL:
        yield f"denyResponse.statusCode: {status} ends no request: use one from 200 on"
    names = [
        (f"denyResponse.headers[{number}].name", str(one.get("name")))
        for number, one in enumerate(items(response.get("headers")))
    ]
    if response.get("blockedByHeaderName"):
        names.append(("denyResponse.blockedByHeaderName", str(response["blockedByHeaderName"])))
    for place, name in names:
        if not is_token(name):
            yield f"{place}: {name[:64]!r} is no header name: use letters, digits and any of !#$%&'*+-.^_`|~"
        elif name.lower() in FRAMING:
            yield f"{place}: {name} belongs to Envoy, which frames the message: leave it out"
    for number, one in enumerate(items(response.get("headers"))):
        if has_control_characters(str(one.get("value"))):
            yield f"denyResponse.headers[{number}].value: has a control character: leave it out"


FEATURE = Feature(
    "acl",
    effect,
    (
        Filter(
            JUDGE,
            f"{_RBAC}.RBAC",
            construct(Rbac, shadow_rules_stat_prefix=_PREFIX),
            Stage.AUTHN,
            When.BEFORE,
            weight=2,
        ),
        Filter(
            NAME,
            f"{_LUA}.Lua",
            construct(Lua, default_source_code=construct(DataSource, inline_string=_SCRIPT)),
            Stage.AUTHN,
            When.BEFORE,
            weight=1,
        ),
    ),
    guards=True,
    merge=merge,
)
