"""Which objects a quarantine is about: of all that a rejected fragment was made of, those that are blamed first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine.events import Quarantine
from engine.ref import parse_ref
from engine.resolve.manifest import held_fact
from engine.resolve.targets import KINDS
from engine.update import FragmentKind, parse_fragment_key

Row = dict[str, Any]


def blamed(change: Quarantine, before: Row, is_held: Callable[[str], bool]) -> Row:
    """`objects` that are held back, and `others` of the same fragment, whose edit ends the quarantine, too.

    Of a route all of them: which of them pays first is told by what changed last (`quarantine.suspected`), or a policy
    of many routes would close them all for one that is bad. Elsewhere kgateway's policies go before what they stand at:
    a Gateway need not lose its own revision for one of them. Whoever was blamed `before` (the row there, {} for
    none) stays so; where it did not help, all are.
    """
    every = [[str(ref), generation] for ref, generation in change.objects]
    if parse_fragment_key(change.fragment).kind is FragmentKind.ROUTE:
        return {"objects": every}
    fresh = [
        [str(ref), generation]
        for ref, generation in change.objects
        if ref.kind in KINDS and not is_held(held_fact(change.gateway, ref))
    ]
    found = fresh or every
    kept = [one for one in before.get("objects", []) if parse_ref(one[0]).kind in KINDS]
    found += [one for one in kept if all(one[0] != other[0] for other in found)]
    others = [one for one in every if one not in found]
    return {"objects": found, **({"others": others} if others else {})}


def concerned(row: Row) -> list[str]:
    """The objects, as texts, whose edit ends a quarantine."""
    return [text for text, _ in (*row["objects"], *row.get("others", ()))]
