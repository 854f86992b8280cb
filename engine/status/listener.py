"""The status of a listener, of a Gateway's and of a ListenerSet's (ListenerStatus, ListenerEntryStatus)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from typing import Any

from engine.resolve.listener import Listener
from engine.resolve.termination import Termination
from engine.resolve.values import PENDING, Problem
from engine.status.condition import condition, resolved

CERTIFICATE = "penstock.dev/CertificateMatches"
"""Our own condition of a listener, there only when it is False: the API has no word for it."""


class Reason(StrEnum):
    """Reasons that are not a problem's own."""

    ACCEPTED = "Accepted"
    INVALID = "Invalid"
    NO_CONFLICTS = "NoConflicts"
    PROGRAMMED = "Programmed"
    RESOLVED_REFS = "ResolvedRefs"


_ACCEPTED = Reason.ACCEPTED, "the listener is accepted"
_NO_CONFLICTS = Reason.NO_CONFLICTS, "no other listener stands in its way"
_RESOLVED_REFS = Reason.RESOLVED_REFS, "all references are resolved"
_PROGRAMMED = Reason.PROGRAMMED, "proxies run this configuration"
"""Reason and message where nothing stands against it."""


def told(one: Listener, broken: Mapping[str, str]) -> Listener:
    """The listener with what it breaks of Envoy's field rules, if it does."""
    if one.refused is not None or one.name not in broken:
        return one
    text = f"Envoy would not take this listener: {broken[one.name]}"
    return replace(one, refused=Problem("UnsupportedValue", text))


def is_served(one: Listener, end: Termination | None) -> bool:
    """Whether proxies run it: with a certificate, where it needs one."""
    return one.serves and (not one.tls or (end is not None and bool(end.secrets)))


def is_good(one: Listener, end: Termination | None) -> bool:
    """Whether nothing stands against it as a whole, or nothing is known yet that does."""
    return one.serves and (_problem(one, end) is None or is_waiting(one, end))


def is_waiting(one: Listener, end: Termination | None) -> bool:
    """Whether it is not served only because something that it needs is still being read."""
    if not one.serves or (one.bad_kinds is not None and not one.kinds) or end is None or end.secrets:
        return False
    return end.refused is None and any(problem.reason == PENDING for problem in end.problems)


def _problem(one: Listener, end: Termination | None) -> str | None:
    if one.bad_kinds is not None and not one.kinds:
        return one.bad_kinds.message
    if end is not None and not end.secrets:
        return end.problems[0].message if end.problems else "no certificate"
    return None


def _words(against: Problem | None, fine: tuple[str, str]) -> tuple[str, str]:
    return fine if against is None else (against.reason, against.message)


def entry(one: Listener, end: Termination | None, attached: int, generation: int) -> dict[str, Any]:
    """ListenerStatus, which is ListenerEntryStatus too."""
    unresolved = [one.bad_kinds] if one.bad_kinds is not None else list(end.problems) if end is not None else []
    against = one.refused or one.conflict or (end.refused if end is not None else None)
    why = against.message if against is not None else _problem(one, end)
    reason = one.conflict.reason if one.conflict else PENDING if is_waiting(one, end) else Reason.INVALID
    broken = Problem(reason, why) if why is not None else None
    conditions = [
        condition("Accepted", against is None, *_words(against, _ACCEPTED), generation),
        condition("Conflicted", one.conflict is not None, *_words(one.conflict, _NO_CONFLICTS), generation),
        resolved(unresolved, _RESOLVED_REFS, generation),
        condition("Programmed", broken is None, *_words(broken, _PROGRAMMED), generation),
    ]
    if one.serves and end is not None and end.foreign is not None:
        conditions.append(condition(CERTIFICATE, False, end.foreign.reason, end.foreign.message, generation))
    kinds = [{"group": group, "kind": kind} for group, kind in one.kinds] if one.refused is None else []
    return {"name": one.section, "attachedRoutes": attached, "supportedKinds": kinds, "conditions": conditions}
