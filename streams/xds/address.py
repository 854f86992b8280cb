"""An address on which a proxy may not listen: known by Envoy's words, told with the remedy, waited for, never freed."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

_CANNOT_BIND: Final = re.compile(r"Error adding/updating listener\(s\) \S+: cannot bind '([^']*)': ")
"""At the beginning only: further on Envoy quotes what people wrote."""
_IS_NOT_OURS: Final = "Cannot assign requested address"
_HELD: Final = (
    "end what holds the address, or give the listener another port; `ss -ltnp` names the process, which may be the "
    "Envoy of another penstock"
)
_FOREIGN: Final = (
    "the address is none of this machine's: name another one with --bind (PENSTOCK_BIND); `ip -brief address` "
    "lists them"
)


def remedy(error: str) -> str:
    """What to do about a rejection that names such an address."""
    return _FOREIGN if _IS_NOT_OURS in error else _HELD


def taken(error: str) -> str:
    """The address that a listener's rejection names as not to be had, such as "127.0.0.1:8080"; "" for any other."""
    found = _CANNOT_BIND.match(error)
    return found[1] if found else ""


_SHORTEST: Final = 0.5
_LONGEST: Final = 15.0
_FORGOTTEN: Final = 2 * _LONGEST
_MANY: Final = 10_000

Place = tuple[str, ...]
"""A proxy and what it may not listen on."""


@dataclass(slots=True)
class Waits:
    """How many seconds each place waits before it is tried again: longer and longer as long as it goes on.

    One that was not heard of for a while begins anew, and is forgotten: proxies come and go under new names.
    """

    _each: dict[Place, tuple[float, float]] = field(default_factory=dict)
    """When it was heard of last, the latest at the end, and how long it waited."""

    def next(self, place: Place, now: float) -> float:
        """How long it waits this time; `now` is in seconds, and never goes back."""
        while self._each and now - self._each[next(iter(self._each))][0] >= _FORGOTTEN:
            del self._each[next(iter(self._each))]
        _, last = self._each.pop(place, (now, 0.0))
        pause = min(2 * last, _LONGEST) or _SHORTEST
        self._each[place] = now, pause
        if len(self._each) > _MANY:
            del self._each[next(iter(self._each))]
        return pause

    def __len__(self) -> int:
        return len(self._each)
