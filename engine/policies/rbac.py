"""rbac: which requests are let through, by conditions in CEL."""

from __future__ import annotations

from typing import Final

from envoy_data_plane.envoy.config.rbac.v3 import Action, RbacAction
from envoy_data_plane.envoy.config.rbac.v3 import Rbac as Rules
from envoy_data_plane.envoy.extensions.filters.http.rbac.v3 import Rbac, RbacPerRoute
from envoy_data_plane.xds.core.v3 import TypedExtensionConfig

from engine.envoy.effect import Effect, of_filter
from engine.envoy.matcher import any_of, condition, extension, first_of
from engine.envoy.wire import construct
from engine.graph.reader import Json, Reader
from engine.models.cel import request_condition
from engine.policies.feature import Feature, Filter, Stage, Use, refused
from engine.resolve.manifest import mapping, texts
from engine.resolve.values import Problem

NAME: Final = "envoy.filters.http.rbac"
_TYPE: Final = "envoy.extensions.filters.http.rbac.v3"


def effect(graph: Reader, use: Use, value: Json) -> Effect | Problem:  # noqa: ARG001  a feature's signature
    """RBACPerRoute: a condition that Envoy cannot work out for a request does not hold.

    The conditions are judged here and not by the model: so one with a mistake closes, wherever it came from.
    """
    is_deny = value.get("action") == "Deny"
    then, otherwise = (RbacAction.DENY, RbacAction.ALLOW) if is_deny else (RbacAction.ALLOW, RbacAction.DENY)
    found = [request_condition(one) for one in texts(mapping(value.get("policy")).get("matchExpressions"))]
    wrong = [f"policy.matchExpressions[{number}]: {one}" for number, one in enumerate(found) if isinstance(one, str)]
    if wrong:
        return refused(wrong)
    if conditions := [condition(one) for one in found if isinstance(one, bytes)]:
        chosen = first_of([(any_of(conditions), _action(then))], _action(otherwise))
        rbac = construct(Rbac, matcher=chosen)
    else:
        rbac = construct(Rbac, rules=construct(Rules, action=then))
    return of_filter(NAME, f"{_TYPE}.RBACPerRoute", construct(RbacPerRoute, rbac=rbac))


def _action(action: RbacAction) -> TypedExtensionConfig:
    # Who reads an access log finds this name in %RESPONSE_CODE_DETAILS%.
    name = "deny-request" if action == RbacAction.DENY else "allow-request"
    return extension(
        "envoy.filters.rbac.action",
        "envoy.config.rbac.v3.Action",
        construct(Action, name=name, action=action),
    )


FEATURE = Feature("rbac", effect, (Filter(NAME, f"{_TYPE}.RBAC", construct(Rbac), Stage.AUTHZ),), guards=True)
