"""Fields of TrafficPolicy that are recognised and not served yet: so that a status can say so, and nothing opens."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import Field

from engine.envoy.effect import Effect
from engine.graph.reader import Json, Reader
from engine.policies.feature import Feature, Use
from engine.resolve.values import Problem

_Anything = Annotated[dict[str, Any], Field(json_schema_extra={"x-kubernetes-preserve-unknown-fields": True})]
_GUARDS: Final = ("acl", "extAuth", "jwtAuth", "oauth2", "rbac")
_OTHERS: Final = (
    "extProc",
    "tracing",
    "transformation",
)
_MODELS: Final[dict[str, Any]] = {"statPrefix": str}


def _effect(graph: Reader, use: Use, value: Json) -> Effect | Problem:  # noqa: ARG001  a feature's signature
    return Problem("Invalid", "is not served yet: remove it")


FEATURES = tuple(
    Feature(field, _MODELS.get(field, _Anything), _effect, guards=field in _GUARDS) for field in (*_GUARDS, *_OTHERS)
)
