"""What is recognised of TrafficPolicy and not served yet: a guard among it closes, the rest is left out."""

from __future__ import annotations

from engine.envoy.effect import Effect
from engine.graph.reader import Json, Reader
from engine.models.traffic.not_served import GUARDING, OTHERS
from engine.policies.feature import Feature, Use
from engine.resolve.values import Problem


def _effect(graph: Reader, use: Use, value: Json) -> Effect | Problem:  # noqa: ARG001  a feature's signature
    return Problem("Invalid", "is not served yet: remove it")


FEATURES = tuple(Feature(field, _effect, guards=field in GUARDING) for field in (*GUARDING, *OTHERS))
