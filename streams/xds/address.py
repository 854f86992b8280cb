"""An address on which a proxy may not listen: known by Envoy's words, told with the remedy. It frees none."""

from __future__ import annotations

import re
from typing import Final

_CANNOT_BIND: Final = re.compile(r"cannot bind '([^']*)'")
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


def taken(error: str) -> list[str]:
    """The addresses that a rejection names as not to be had, such as "127.0.0.1:8080"."""
    return sorted(set(_CANNOT_BIND.findall(error)))
