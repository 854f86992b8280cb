"""statPrefix: statistics of their own for the routes that a policy stands at, by a name that may be made of theirs."""

from __future__ import annotations

from dataclasses import dataclass

from engine.envoy.effect import Effect
from engine.graph.reader import Reader
from engine.models.traffic.stat_prefix import VARIABLE
from engine.policies.feature import Feature, Use
from engine.resolve.values import RouteEntry


@dataclass(frozen=True, slots=True)
class Prefix:
    """A prefix as a policy writes it, of which a route makes its own."""

    text: str

    def __call__(self, entry: RouteEntry) -> str:
        """The prefix of a route; segments that are empty, as of a rule without name, are left out."""
        names = {
            "route_name": entry.route.name,
            "route_namespace": entry.route.namespace,
            "rule_name": entry.rule.name,
        }
        filled = VARIABLE.sub(lambda found: names[found[1]], self.text)
        return ".".join(one for one in filled.split(".") if one)


def effect(graph: Reader, use: Use, value: object) -> Effect:  # noqa: ARG001  a feature's signature
    """Route.stat_prefix."""
    return Effect(route=(("stat_prefix", Prefix(str(value))),))


FEATURE = Feature(
    "statPrefix",
    effect,
    inherited=True,
)
