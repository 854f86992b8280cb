"""Who is active among several replicas of a role: leader election by a Lease, as client-go does it. It asks nothing.

Times are seconds of the replica's own monotonic clock: no two machines' clocks are compared. A holder counts as gone
when its Lease has not changed for the Lease's duration since we first saw it so; a holder gives up some seconds before
that. Somebody who deletes the Lease can make two active for these seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

Json = Mapping[str, Any]

DURATION: Final = 15
"""Seconds for which a Lease holds after it was last renewed."""
DEADLINE: Final = 10.0
"""Seconds after the last renewal in which the holder still acts."""
RETRY: Final = 2.0
"""Seconds between two looks at the Lease."""


@dataclass(slots=True)
class Election:
    """One replica's part in it. `identity` names the replica: no two may share one."""

    identity: str
    _spec: dict[str, Any] = field(default_factory=dict)
    _version: str = ""
    _seen: float = 0.0
    _renewed: float | None = None

    @property
    def holder(self) -> str:
        """Who holds the Lease as far as we have seen, "" for nobody."""
        return str(self._spec.get("holderIdentity") or "")

    def is_active(self, at: float) -> bool:
        """Whether we may act; the shell ends its work by the time it is not."""
        return self.remaining(at) > 0

    def remaining(self, at: float) -> float:
        """For how many seconds more we may act, if nothing is renewed."""
        return max(self._renewed + DEADLINE - at, 0.0) if self._renewed is not None else 0.0

    def read(self, lease: Json | None, at: float) -> None:
        """Take the Lease as it was read; None when there is none."""
        spec = dict((lease or {}).get("spec") or {})
        version = str(((lease or {}).get("metadata") or {}).get("resourceVersion") or "")
        if version != self._version or spec != self._spec:
            self._spec, self._version, self._seen = spec, version, at
        if self.holder != self.identity:
            self._renewed = None

    def claim(self, now: str, at: float) -> dict[str, Any] | None:
        """The Lease to write, in place of the one read; None while somebody else holds it. `now`: RFC 3339, µs, UTC."""
        if self.holder not in ("", self.identity) and at < self._seen + self._duration():
            return None
        is_ours = self.holder == self.identity
        spec = {
            "holderIdentity": self.identity,
            "leaseDurationSeconds": DURATION,
            "acquireTime": self._spec.get("acquireTime", now) if is_ours else now,
            "renewTime": now,
            "leaseTransitions": int(self._spec.get("leaseTransitions") or 0) + (0 if is_ours or not self._spec else 1),
        }
        return {"metadata": {"resourceVersion": self._version} if self._version else {}, "spec": spec}

    def wrote(self, lease: Json, asked: float) -> None:
        """Our claim, asked for at `asked`, was taken; this is the Lease now."""
        self.read(lease, asked)
        self._renewed = asked

    def release(self, now: str) -> dict[str, Any] | None:
        """The Lease to write when we end in good order, so that nobody has to wait; None when it is not ours."""
        if self.holder != self.identity:
            return None
        self._renewed = None
        self._spec = {**self._spec, "holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": now}
        return {"metadata": {"resourceVersion": self._version}, "spec": self._spec}

    def _duration(self) -> float:
        return float(self._spec.get("leaseDurationSeconds") or DURATION)
