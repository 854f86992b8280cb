"""The one door through which Envoy config leaves: what breaks Envoy's field rules stays inside, and is told instead."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace
from typing import Any, NamedTuple

from betterproto2 import Message

from engine.envoy.fragment import Provenance, fragment
from engine.envoy.pgv import violation
from engine.graph.cell import AnyQuery
from engine.graph.reader import Reader
from engine.outputs.channels import BROKEN, FRAGMENT
from engine.seal import Sealer
from engine.update import FragmentKey


class Emission(NamedTuple):
    """Items and counts to put into an output: a fragment, or what stands against it."""

    items: tuple[tuple[str, str, Any], ...]
    counts: tuple[tuple[str, Hashable], ...] = ()


class Target(NamedTuple):
    """Where a message goes: its fragment, and the output's key, under which `broken` finds what stands against it."""

    key: FragmentKey
    of: Hashable
    provenance: Provenance = ()
    parent: str = ""


def emission(to: Target, message: Message, sealer: Sealer | None = None) -> Emission:
    """The message as a fragment; one that breaks a rule is not emitted, but told of."""
    found = violation(message)
    if found is None:
        made = fragment(to.key, message, parent=to.parent, provenance=to.provenance, sealer=sealer)
        return Emission(((FRAGMENT, str(to.key), made),))
    text = f"in Envoy's {to.key.kind.value.replace('_', ' ')}, {found}"
    return Emission(((BROKEN, str(to.key), text),), ((BROKEN, to.of),))


def moved(made: Emission, key: FragmentKey) -> Emission:
    """The same, in clear, at another key."""
    items = ((of, str(key), replace(one, key=key) if of == FRAGMENT else one) for of, _, one in made.items)
    return Emission(tuple(items), made.counts)


def broken(graph: Reader, of: Hashable, *queries: tuple[AnyQuery, Hashable]) -> str | None:
    """Which field rule what stands under `of` breaks, as output queries (each with its key) say; None when none.

    Only a count is read while all is well: who asks does not run again for each change of those outputs.
    """
    if not graph.count(BROKEN, of):
        return None
    items = (item for query, key in queries for item in graph.get(query, key).items)
    return next((str(text) for channel, _, text in items if channel == BROKEN), None)
