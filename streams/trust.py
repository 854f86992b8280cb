"""The keys that an operator trusts, as PENSTOCK_TRUSTED_KEYS has them; what they count for `engine.signers` says."""

from __future__ import annotations

import re
from typing import Final

from engine.signature import is_key
from engine.voices import ROOT, VOICES

__all__ = ["ROOT", "trusted_keys"]

_CLUSTER: Final = re.compile(r"cluster/(\*|[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)")


def trusted_keys(text: str) -> tuple[tuple[str, str], ...]:
    """Who signs and by which key, in order; `ROOT` is a key without a name. Raises ValueError.

    As soon as one key is trusted each source of the control plane's own needs one.
    """
    found = []
    for one in filter(None, (part.strip() for part in text.split(","))):
        who, key = (ROOT, one) if is_key(one) else (one.partition("=")[0], one.partition("=")[2])
        if not is_key(key) or (who not in {ROOT, *VOICES} and _CLUSTER.fullmatch(who) is None):
            msg = f"{one[:80]!r} is no key"
            raise ValueError(msg)
        found.append((who, key))
    named = {who for who, _ in found}
    if found and ROOT not in named and not named >= VOICES:
        msg = f"no key for {', '.join(sorted(VOICES - named))}"
        raise ValueError(msg)
    return tuple(sorted(set(found)))
