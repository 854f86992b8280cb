"""What listener policies come to on each port of a Gateway, and the status of each policy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from envoy_data_plane.envoy.config.core.v3 import Metadata

from engine.document import document
from engine.envoy.added import Added, Additions, together
from engine.envoy.format_string import struct
from engine.envoy.names import listener_name
from engine.envoy.wire import construct
from engine.graph.reader import Json, Outputs, Reader
from engine.outputs.channels import STANDS, STATUS
from engine.policies.listener.feature import Effect
from engine.policies.listener.features import FEATURES, effect_of
from engine.ref import Ref
from engine.resolve.frontend import asking, frontend, validation
from engine.resolve.gateway import gateway_spec
from engine.resolve.listener import Listener, listeners
from engine.resolve.listener_policy import (
    GUARDING,
    KIND,
    OLDER_KIND,
    Place,
    Setting,
    is_refused,
    merged,
    said_by,
    settings_of,
)
from engine.resolve.manifest import held_fact, items, spec_of
from engine.resolve.policy import Aim, aimed, served
from engine.resolve.targets import target
from engine.resolve.values import Problem
from engine.status.policy import Standing, policy_status

_MERGED: Final = "merge.ListenerPolicy.gateway.kgateway.dev"
"""Metadata of a listener: whose of each field is in force (kgateway's)."""
_SHOWN: Final = 300
"""Characters of Envoy's own words that a message repeats."""
_WHOLE: Final = frozenset(field for feature in FEATURES if feature.whole for field in feature.fields)


@dataclass(frozen=True, slots=True)
class Applied:
    """What policies come to on a port: for itself, and for its chains by the names of their listeners.

    `settings` are all that are in force there; `problems` what stands against them, each with its policy.
    """

    port: Effect
    chains: tuple[tuple[str, Effect], ...]
    settings: tuple[Setting, ...]
    problems: tuple[tuple[Ref, Problem], ...] = ()

    @property
    def sources(self) -> tuple[Ref, ...]:
        """The objects that it comes of: policies, and what they name."""
        found = {one.policy for one in self.settings}
        return tuple(sorted(found.union(*(one.sources for one in self.effects))))

    @property
    def effects(self) -> tuple[Effect, ...]:
        """All of them."""
        return (self.port, *(one for _, one in self.chains))

    @property
    def sealed(self) -> bool:
        """Whether it must not leave in clear."""
        return any(one.sealed for one in self.effects)


NOTHING: Final = Applied(Effect(), (), ())


def applied(graph: Reader, key: Place) -> Applied:
    """What policies come to on a port of a Gateway (its `section` is none), for the listeners that could serve it."""
    every = graph.get(listeners, key.gateway) or ()
    mine = [one for one in every if one.serves and one.port == key.port and one.transport == "TCP"]
    shared = graph.get(settings_of, key)
    # What is said of one listener alone can be had of all of its port where it is the only one.
    port = graph.get(settings_of, key._replace(section=_section(key.gateway, mine[0]))) if len(mine) == 1 else shared
    settings = [one for one in port if one.field in _WHOLE]
    chains: dict[str, Effect] = {}
    problems: list[tuple[Ref, Problem]] = []
    for listener in mine:
        own = graph.get(settings_of, key._replace(section=_section(key.gateway, listener)))
        alone = len(mine) == 1 or listener.protocol == "HTTPS"
        found = [one for one in (own if alone else shared) if one.field not in _WHOLE]
        settings += [one for one in found if one not in settings and (one.field != GUARDING or listener.tls)]
        problems += [(one.policy, _too_wide(one, key.port)) for one in own if one not in (*port, *shared, *found)]
        if listener.requests:
            chains[listener.name] = effect_of(graph, key.gateway, found, whole=False)
    effect = effect_of(graph, key.gateway, port, whole=True)
    return Applied(effect, tuple(chains.items()), tuple(settings), tuple(dict.fromkeys(problems)))


def _too_wide(one: Setting, port: int) -> Problem:
    """What is said of one listener, and concerns others of its port, too."""
    text = f"{one.label} concerns all listeners of port {port}: name the Gateway without sectionName"
    return Problem("Invalid", text)


def _section(gateway: Ref, listener: Listener) -> str:
    return listener.section if listener.source == gateway else ""


def additions(value: Applied, port: int) -> Additions:
    """As Envoy's listener takes it."""
    if not value.settings and not value.effects:
        return Additions()
    whole = value.port.added
    if value.settings:
        whole = together([whole, Added(listener=(("metadata", _metadata(value.settings)),))])
    chains: dict[str, Added] = {name: one.added for name, one in value.chains}
    if chains:
        # Listeners without TLS share a chain, and so say the same.
        chains[listener_name(port)] = next(iter(chains.values()))
    return Additions(whole, chains)


def _metadata(settings: tuple[Setting, ...]) -> Metadata:
    names: dict[str, dict[str, None]] = {}
    for one in settings:
        ref = one.policy
        names.setdefault(one.label, {})[f"{ref.group}/{ref.kind}/{ref.namespace}/{ref.name}"] = None
    return construct(
        Metadata, filter_metadata={_MERGED: struct({label: list(who) for label, who in sorted(names.items())})}
    )


def stream_added(graph: Reader, key: Place) -> tuple[Added, tuple[Ref, ...]]:
    """What is added to chains of a listener whose connections go whole to backends; nothing else of it reruns them."""
    settings = [one for one in graph.get(settings_of, key) if one.field == "transportSocketConnectTimeout"]
    effect = effect_of(graph, key.gateway, settings, whole=False)
    return effect.added, tuple(one.policy for one in settings if not one.refused)


# -- status -----------------------------------------------------------------------------------------------------------


class Told(NamedTuple):
    """Key of `standing`: a policy at a Gateway."""

    gateway: Ref
    policy: Ref


def standing_policies(graph: Reader, gateway: Ref) -> tuple[Ref, ...]:
    """All listener policies that stand at a Gateway of ours, or at a listener of it."""
    found: dict[Ref, None] = {}
    for aim in _aims(graph, gateway):
        found |= dict.fromkeys(graph.get(aimed, aim))
    return tuple(sorted(found))


def _aims(graph: Reader, gateway: Ref) -> list[Aim]:
    spec = graph.get(gateway_spec, gateway)
    names = [str(one.get("name")) for one in items(spec.get("listeners"))] if spec is not None else []
    aims = [Aim(gateway, OLDER_KIND, gateway), Aim(gateway, KIND, gateway)]
    return aims + [Aim(gateway, KIND, gateway, name) for name in names]


def standing(graph: Reader, key: Told) -> Standing:
    """What became of a policy at a Gateway: which of its fields are in force, who has the others, and what is wrong."""
    gateway, policy = key
    won: dict[str, None] = {}
    lost: dict[str, Ref] = {}
    newer = graph.get(merged, Aim(gateway, KIND, gateway)).default
    mine = said_by(graph, gateway, policy)
    for aim in _aims(graph, gateway):
        if aim.policy != policy.kind or policy not in graph.get(aimed, aim):
            continue
        level = graph.get(merged, aim)
        winners = level.default | {label: one for fields in level.ports.values() for label, one in fields.items()}
        for label in mine:
            winner = winners.get(label)
            if policy.kind == OLDER_KIND:
                winner = newer.get(label, winner)
            if winner is not None and winner.policy != policy:
                lost[label] = winner.policy
            else:
                won[label] = None
    problems = dict.fromkeys(
        [*_held(graph, key), *(one for ref, one in graph.get(problems_of, gateway) if ref == policy)]
    )
    told = tuple((label, ref) for label, ref in sorted(lost.items()) if label not in won)
    return Standing(gateway, tuple(sorted(won)), told, tuple(problems))


def _held(graph: Reader, key: Told) -> list[Problem]:
    words = graph.fact(held_fact(*key))
    if words is None:
        return []
    what = "nothing of it" if is_refused(graph, *key) else "the last good revision"
    return [Problem("Invalid", f"{what} is served, because a proxy rejected this one ({str(words)[:_SHOWN]}): mend it")]


def problems_of(graph: Reader, gateway: Ref) -> tuple[tuple[Ref, Problem], ...]:
    """What stands against the policies of a Gateway, each with its policy."""
    found: dict[tuple[Ref, Problem], None] = {}
    every = [one for one in graph.get(listeners, gateway) or () if one.serves and one.transport == "TCP"]
    spec = graph.get(gateway_spec, gateway)
    for port in sorted({one.port for one in every}):
        value = graph.get(applied, Place(gateway, port))
        found |= dict.fromkeys((*value.problems, *(pair for one in value.effects for pair in one.problems)))
    for one in every:
        if one.protocol == "HTTPS" and spec is not None:
            found |= dict.fromkeys(_client_problems(graph, gateway, spec, one))
    return tuple(found)


def _client_problems(graph: Reader, gateway: Ref, spec: Json, listener: Listener) -> Iterator[tuple[Ref, Problem]]:
    place = Place(gateway, listener.port, _section(gateway, listener))
    setting = next((one for one in graph.get(settings_of, place) if one.field == GUARDING), None)
    if setting is None:
        return
    if validation(spec, listener.port):
        text = f"{setting.label} gives way to spec.tls.frontend of Gateway {gateway.name} on port {listener.port}"
        yield setting.policy, Problem("Invalid", text)
        return
    asked = graph.get(frontend, asking(graph, place))
    for problem in asked.problems if asked is not None and not setting.refused else ():
        yield setting.policy, replace(problem, message=f"{setting.label}: {problem.message}")


def listener_policy_outputs(graph: Reader, policy: Ref) -> Outputs:
    """The status of a policy: for the Gateways at which it stands, and for those that it names in vain."""
    found = {gateway: graph.get(standing, Told(gateway, policy)) for gateway in graph.claimed(STANDS, policy)}
    for name, words in _missing(graph, policy):
        one = found.get(name, Standing(name))
        found[name] = one._replace(missing=(*one.missing, words))
    if not found:
        return Outputs()
    status = policy_status(graph, policy, found.values())
    return Outputs(((STATUS, str(policy), document(status)),))


def _missing(graph: Reader, policy: Ref) -> Iterator[tuple[Ref, str]]:
    spec = spec_of(served(graph, policy, policy))
    for one in items(spec.get("targetRefs")):
        gateway, section = target(policy, one), str(one.get("sectionName") or "")
        if gateway.kind != "Gateway":
            continue
        own = graph.get(gateway_spec, gateway)
        if own is None:
            if graph.read(gateway) is None:
                yield gateway, f"Gateway {gateway.name} does not exist in namespace {gateway.namespace}: create it"
        elif section and all(item.get("name") != section for item in items(own.get("listeners"))):
            yield gateway, f"Gateway {gateway.name} has no listener {section} of its own: correct sectionName"
