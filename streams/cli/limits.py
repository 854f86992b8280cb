"""Limits of what a change may do, as exit codes for pipelines."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from streams.cli.output import fail

if TYPE_CHECKING:
    from engine.history.radius import Radius

EXCEEDED: Final = 5
"""The exit code."""
_LIMIT: Final = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)(%?)")

RoutesRemoved = Annotated[
    str | None, typer.Option("--max-routes-removed", help="So many routes may go: a number, or a share such as 10%.")
]
RoutesChanged = Annotated[
    str | None, typer.Option("--max-routes-changed", help="So many routes may become others or go.")
]
HostsChanged = Annotated[str | None, typer.Option("--max-hosts-changed", help="So many hosts may become others or go.")]
GatewaysChanged = Annotated[
    str | None, typer.Option("--max-gateways-changed", help="So many Gateways may become others or go.")
]
RequestsChanged = Annotated[
    str | None, typer.Option("--max-requests-changed", help="So many of --requests may be answered otherwise.")
]


@dataclass(frozen=True, slots=True)
class Limit:
    """`allowed` of what `name` counts: a number, or a share of all of them."""

    name: str
    text: str
    allowed: Decimal
    is_share: bool

    def judge(self, found: int, of: int) -> dict[str, Any]:
        """What it says of `found` things of all `of` that there were."""
        share = found / of if of else 0.0
        # Not by the share: as a float, 7 of 100 are more than 7%.
        exceeded = found * 100 > self.allowed * of if self.is_share else found > self.allowed
        told = {"limit": self.name, "allowed": self.text, "found": found, "of": of, "share": round(share, 6)}
        return {**told, "exceeded": exceeded}


_NAMES: Final = ("routes-removed", "routes-changed", "hosts-changed", "gateways-changed", "requests-changed")


def limits(*given: str | None) -> list[Limit]:
    """Those that are given, in the order of the options above; what is none ends the command with code 2."""
    return [_limit(f"--max-{name}", text) for name, text in zip(_NAMES, given, strict=True) if text is not None]


def judged(some: list[Limit], radius: Radius, requests: tuple[int, int] | None) -> list[dict[str, Any]]:
    """What each says; `requests` are how many are answered otherwise, and how many were asked."""
    found = dict(_counts(radius, requests))
    return [one.judge(*found[one.name]) for one in some]


def words(told: Mapping[str, Any]) -> str:
    """A limit that is exceeded, as a person reads it."""
    return f"{told['limit']} {told['allowed']} is exceeded: {told['found']} of {told['of']} ({told['share']:.1%})"


def _counts(radius: Radius, requests: tuple[int, int] | None) -> Iterator[tuple[str, tuple[int, int]]]:
    yield "--max-routes-removed", (len(radius.routes.removed), radius.routes.of)
    for name in ("routes", "hosts", "gateways"):
        reach = getattr(radius, name)
        yield f"--max-{name}-changed", (len(reach.changed) + len(reach.removed), reach.of)
    if requests is not None:
        yield "--max-requests-changed", requests


def _limit(name: str, text: str) -> Limit:
    found = _LIMIT.fullmatch(text)
    if found is None:
        fail(f"{name} {text!r} is no limit: give a number such as 3, or a share such as 10%", 2)
    return Limit(name, text, Decimal(found[1]), found[2] == "%")
