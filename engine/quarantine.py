"""Which objects a quarantine holds at their last good revision, and what else it keeps back.

Rows of the fold state only: it derives nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any, Final

from engine.events import Lift
from engine.ref import Ref, parse_ref
from engine.resolve.extension import KIND as EXTENSION
from engine.resolve.manifest import held_fact, holders_fact, withheld_fact
from engine.resolve.service_import import IMPORT
from engine.resolve.targets import KINDS
from engine.update import FragmentKind, parse_fragment_key

Row = dict[str, Any]
_PARTS: Final = ("Service", "ServiceExport")


def suspected(row: Row, before: Row | None, changed_at: Callable[[str], int]) -> Row:
    """The row of a new quarantine, with the `held` of its objects where it does not hold them all.

    To hold all would undo what is good of those that others share: a route that delegates, a policy of many routes, a
    Gateway, a slice of another cluster's endpoints. So some pay first, and more when what is served then is rejected as
    well (`before` is the row of the same fragment): of a route one after the other, from the one that changed last on,
    the route itself where they changed together, each alone at first; of endpoints one slice after the other, in that
    order; of anything else kgateway's policies, and then what they stand at, or with extensions among them the one that
    changed last, and of an import one of the exports and Services after the other.
    """
    row = _with_what_left(row, before)
    objects = concerned(row)
    if len(objects) <= 1:
        return row
    if is_of_a_route(row):
        if before is None or {*concerned(before)} != {*objects}:
            return _alone(row, None, changed_at)
        if before["version"] != row["version"]:
            return _alone(row, before, changed_at)
        return row | {key: before[key] for key in ("held", "tried") if key in before}  # Nothing made a difference.
    already = _already(row, before)
    first = _next(row, [one for one in objects if one not in already], changed_at)
    return row if len(first) == len(objects) else {**row, "held": [*already, *first]}


def _already(row: Row, before: Row | None) -> list[str]:
    """What pays already for the fragment: where it is made of other objects now, it is judged anew.

    But slices come and go all the time, and a bad one stays bad beside another.
    """
    objects, those = ({text for text, _ in one["objects"]} if one is not None else set() for one in (row, before))
    if before is None or not (objects == those or _is_of_slices(row)):
        return []
    return [one for one in held(before) if one in objects]


def _alone(row: Row, before: Row | None, changed_at: Callable[[str], int]) -> Row:
    """Of a route the next one alone, so that none that is innocent stays held; together when all were held in vain."""
    own = "/".join(parse_fragment_key(row["fragment"]).name.split("/")[1:4])
    order = sorted(concerned(row), key=lambda one: (-changed_at(one), not one.endswith(own), one))
    if before is None:
        return {**row, "held": order[:1]}
    tried = {*before.get("tried", ()), *held(before)}
    found = [one for one in order if one not in tried][:1]
    if not found:
        together = list(held(before)) if len(held(before)) > 1 else order[:1]
        found = together + [one for one in order if one not in together][:1]
    return {**row, "held": found, "tried": sorted(tried)}


def _next(row: Row, left: list[str], changed_at: Callable[[str], int]) -> list[str]:
    """Of those that do not pay yet those that are to."""

    def newest(some: list[str]) -> list[str]:
        return sorted(some, key=lambda one: (-changed_at(one), one))[:1]

    if _is_of_slices(row):
        return newest(left)
    policies = [one for one in left if parse_ref(one).kind in (*KINDS, EXTENSION)]
    if policies:
        return newest(policies) if any(parse_ref(one).kind == EXTENSION for one in policies) else policies
    return newest([one for one in left if parse_ref(one).kind in _PARTS]) if _is_of_parts(row) else left


def is_of_a_route(row: Row) -> bool:
    """Whether it is of a route as it stands in one virtual host."""
    return parse_fragment_key(row["fragment"]).kind is FragmentKind.ROUTE


def _is_of_slices(row: Row) -> bool:
    """Whether it is of an endpoint assignment that is made from EndpointSlices, each with endpoints of its own."""
    is_endpoints = parse_fragment_key(row["fragment"]).kind is FragmentKind.ENDPOINTS
    return is_endpoints and all(parse_ref(text).kind == "EndpointSlice" for text, _ in row["objects"])


def _is_of_parts(row: Row) -> bool:
    """Whether it is of an import's cluster, made from exports and Services: the import has no revision of its own."""
    return {parse_ref(text).kind for text, _ in row["objects"]} >= {IMPORT, *_PARTS}


def goes_on(row: Row, changed_at: Callable[[str], int]) -> Row | None:
    """A quarantine with the next one held, where what it holds makes no difference; None for no more.

    Many a slice or part of an import changes nothing when it is held, nor a route of which another rule was edited,
    and what stays as it was is not judged twice.
    """
    if is_of_a_route(row):
        more = _alone(row, row, changed_at)
        return more if held(more) != held(row) else None
    goes = _is_of_slices(row) or _is_of_parts(row)
    more = suspected(row, row, changed_at) if goes else row
    return more if held(more) != held(row) else None


def without_idle(row: Row, first: Row) -> Row:
    """A quarantine that went on, without what made no difference since it began as `first`; policies pay together."""
    if is_of_a_route(row):
        return row  # It has let go of them.
    *before, last = held(first)
    kept = [*before, last] if parse_ref(last).kind in (*KINDS, EXTENSION) else before
    return {**row, "held": [*kept, held(row)[-1]]}


def _with_what_left(row: Row, before: Row | None) -> Row:
    """The row, with what its fragment is no longer made from only because it is held already.

    Else that would be let go of, come back, and be rejected again: two bad objects would take turns for ever.
    """
    if before is None:
        return row
    names, those = ({text for text, _ in one["objects"]} for one in (row, before))
    if not names or not names < those or not those - names <= set(held(before)):
        return row
    return {**row, "objects": [*row["objects"], *(one for one in before["objects"] if one[0] not in names)]}


def is_exhausted(row: Row, before: Row) -> bool:
    """Whether a quarantine can hold no more, and yet what is served then is rejected as well."""
    # By name: the present fragment may be of the revision that was fallen back to.
    objects, those = ({text for text, _ in one["objects"]} for one in (row, before))
    is_same = objects == those or _is_of_slices(row)
    return is_same and held(row) == held(before) and row["version"] != before["version"]


def held(row: Row) -> tuple[str, ...]:
    """The objects that a quarantine accuses: it holds them, unless it is of something that they share (`holding`)."""
    return tuple(row.get("held") or (text for text, _ in row["objects"]))


def left_out(row: Row) -> str:
    """The name of the virtual host that is left out because of a quarantine; "" where it is of something else."""
    key = parse_fragment_key(row["fragment"])
    return key.name if key.kind is FragmentKind.VIRTUAL_HOST else ""


def holding(row: Row) -> tuple[str, ...]:
    """The objects of which another revision is served because of a quarantine."""
    accused = held(row)
    # Routes that share a hostname pay with that hostname only.
    return () if left_out(row) and len(accused) > 1 else accused


def holds(row: Row) -> list[str]:
    """The facts that a quarantine makes true."""
    gateway = parse_ref(row["gateway"])
    facts = [withheld_fact(row["fragment"])] if left_out(row) else []
    return facts + [held_fact(gateway, parse_ref(text)) for text in holding(row)]


def told(rows: Iterable[Row]) -> dict[str, Any]:
    """All facts of quarantines: what holds something back with the words of why, and who is served what is held.

    Of several quarantines of one object the first is told.
    """
    found: dict[str, Any] = {}
    holders: defaultdict[str, set[Ref]] = defaultdict(set)
    for row in rows:
        for fact in holds(row):
            found.setdefault(fact, row["error"] or "rejected")
        for ref in map(parse_ref, holding(row)):
            holders[holders_fact(ref)].add(parse_ref(row["gateway"]))
    return found | {fact: tuple(sorted(gateways)) for fact, gateways in holders.items()}


def concerned(row: Row) -> list[str]:
    """The objects of what was rejected, held or not."""
    return [text for text, _ in row["objects"]]


def ends(lift: Lift, row: Row | None) -> bool:
    """Whether a lift is of the quarantine that is there."""
    return row is not None and lift.envoy in ("", row["envoy"])


def edited(row: Row, ref: str) -> Row | None:
    """What is left of a quarantine after an edit of an object; None for nothing.

    An edit of any object that it names ends it, held or not. Of slices no edit of one mends another, and the bad one
    would come back with each pod: one that is held is let go of alone, but for the one held last, which is guilty for
    sure.
    """
    if ref not in concerned(row):
        return row
    if not _is_of_slices(row):
        return None
    left = [one for one in held(row) if one != ref]
    if len(left) == len(held(row)):
        return row
    return {**row, "held": left} if left and ref != held(row)[-1] else None
