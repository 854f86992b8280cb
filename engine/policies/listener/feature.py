"""What a feature of listener policies is to the rest of the engine."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from engine.envoy.added import Added, together
from engine.graph.reader import Json, Reader
from engine.ref import Ref
from engine.resolve.listener_policy import Setting
from engine.resolve.manifest import mapping
from engine.resolve.values import BackendKey, Problem


@dataclass(frozen=True, slots=True)
class Given:
    """What is asked of a feature, by the names of its fields, of a Gateway's proxies."""

    gateway: Ref
    settings: tuple[Setting, ...]

    def has(self, field: str) -> bool:
        """Whether anybody says it."""
        return any(one.field == field for one in self.settings)

    def value(self, field: str) -> Any:
        """What is said; None for nothing."""
        return next((one.value for one in self.settings if one.field == field), None)

    def block(self, field: str) -> Json:
        """What is said, of a field that is an object."""
        return mapping(self.value(field))

    def policy(self, field: str) -> Ref:
        """Who says it. Raises LookupError when nobody does."""
        found = next((one.policy for one in self.settings if one.field == field), None)
        if found is None:
            raise LookupError(field)
        return found


@dataclass(frozen=True, slots=True)
class Effect:
    """What a feature adds, or what stands against it: each problem with the policy whose it is.

    `backends` are clusters that it needs, `sources` objects that it was made from. `sealed`: it must not leave in
    clear.
    """

    added: Added = Added()
    problems: tuple[tuple[Ref, Problem], ...] = ()
    backends: tuple[BackendKey, ...] = ()
    sources: tuple[Ref, ...] = ()
    sealed: bool = False


NOTHING: Final = Effect()


def both(effects: Iterable[Effect]) -> Effect:
    """All of them as one."""
    found = list(effects)
    return Effect(
        together(one.added for one in found),
        tuple(dict.fromkeys(pair for one in found for pair in one.problems)),
        tuple(dict.fromkeys(key for one in found for key in one.backends)),
        tuple(sorted({ref for one in found for ref in one.sources})),
        any(one.sealed for one in found),
    )


@dataclass(frozen=True, slots=True)
class Feature:
    """Fields of listener policies (as in "httpSettings.accessLog"), and what they come to together.

    `effect` is asked only where one of them is said. `whole`: it concerns a port, whichever of its listeners.
    """

    fields: tuple[str, ...]
    effect: Callable[[Reader, Given], Effect]
    whole: bool = False


def managed(**fields: Any) -> Effect:
    """Fields of the HttpConnectionManager alone."""
    return Effect(Added(manager=tuple(sorted(fields.items(), key=lambda one: one[0]))))
