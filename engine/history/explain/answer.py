"""What becomes of a request, as a value: what is compared between two moments, and with Envoy."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Final

from engine.ref import Ref

WHOLE: Final = Fraction(1)


class Kind(StrEnum):
    """What becomes of a request."""

    REFUSED = "refused"
    """The connection is not taken, or closed without an answer."""
    INVALID = "invalid"
    """The proxy answers that it is no request that it takes, before any route is looked for."""
    NOT_FOUND = "not-found"
    """No virtual host, or no route of it."""
    FILTERED = "filtered"
    """A filter answers (`Outcome.by`)."""
    REDIRECTED = "redirected"
    DIRECT = "direct"
    """The route says the answer itself."""
    FORWARDED = "forwarded"
    """A backend answers (`Outcome.cluster`)."""
    UNSERVED = "unserved"
    """The backend is not there, or has no endpoint."""
    STREAMED = "streamed"
    """The whole connection is handed to a backend: what stands in it is not looked at."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One way in which a request may end, and how many of such requests do.

    `route` is the key of its fragment (`str(FragmentKey)`), "" for none. `status` is None where a backend decides it.
    `host` and `path` are those that a backend is asked for; None where they depend on what is not known.
    """

    kind: Kind
    status: int | None = None
    share: Fraction = WHOLE
    route: str = ""
    by: str = ""
    cluster: str = ""
    location: str = ""
    host: str | None = None
    path: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """How a Gateway's proxies answer a request: `outcomes` have shares of 1 in all, in the order of their routes.

    `listener`, `chain` and `virtual_host` are the names of Envoy's. `undecided` are the filters on the way whose say
    depends on more than the request, in their order: the outcomes are those when all of them let it through.
    `reason` says in words why there is no more.
    """

    gateway: Ref
    listener: str = ""
    chain: str = ""
    route_config: str = ""
    virtual_host: str = ""
    outcomes: tuple[Outcome, ...] = ()
    undecided: tuple[str, ...] = ()
    reason: str = ""
