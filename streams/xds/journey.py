"""Changes on their way from what is served to what proxies acknowledge, for those who measure; it decides nothing."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from streams.clock import seconds_of
from streams.codec import decode_object, trace_of
from streams.ports import Record
from streams.telemetry import Telemetry
from streams.telemetry.metrics import STAGE
from streams.telemetry.traces import Attributes
from streams.xds.messages import Node

_WAITING: Final = 256
"""Changes of a Gateway that are waited for: a proxy that does not answer for longer says nothing of the older ones."""


@dataclass(frozen=True, slots=True)
class _Change:
    """Times are seconds since 1970: when it was said, and when it came to be served. `trace` is its traceparent."""

    offset: int
    said: float
    served: float
    trace: str


class Arrival(NamedTuple):
    """Of an acknowledgement: the traceparent of the latest change in it, and the seconds that its oldest one took."""

    trace: str = ""
    seconds: float | None = None


class Journeys:
    """What was served to whom, as long as somebody is to acknowledge it."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry
        self._changes: dict[str, deque[_Change]] = defaultdict(lambda: deque(maxlen=_WAITING))
        self._proxies: dict[str, dict[str, int]] = defaultdict(dict)
        """By Gateway and proxy the last offset that is accounted for."""
        self._offset = -1

    def served(self, closings: Iterable[Record], touched: Mapping[str, set[int]]) -> None:
        """Updates that are served now, by what closed them; `touched` are the offsets that concern each Gateway."""
        now, found = self._telemetry.time(), {}
        for record in closings:
            offset = int(record.header("offset"))
            if offset <= self._offset:
                continue  # What a resolver emits once more tells nothing new.
            self._offset = offset
            self._telemetry.meters.observe(STAGE, now - record.timestamp / 1000, "publish")
            span = self._telemetry.traces.begin(
                "publish", trace_of(record), at=record.timestamp / 1000, attributes={"penstock.offset": offset}
            )
            span.end()
            found[offset] = _Change(offset, _said(record, now), now, span.traceparent)
        for gateway, offsets in touched.items():
            if self._proxies.get(gateway):
                self._changes[gateway] += [found[one] for one in sorted(offsets & found.keys())]

    def connected(self, node: Node) -> None:
        """What was served before a proxy came is not its to acknowledge."""
        self._proxies[node.gateway][node.id] = self._offset

    def disconnected(self, node: Node) -> None:
        """Nothing is waited for any more."""
        proxies = self._proxies[node.gateway]
        proxies.pop(node.id, None)
        if not proxies:
            del self._proxies[node.gateway]
            self._changes.pop(node.gateway, None)

    def acknowledged(self, node: Node, offset: int) -> Arrival:
        """A proxy has everything up to an offset."""
        before = self._proxies[node.gateway].get(node.id, offset)
        self._proxies[node.gateway][node.id] = max(before, offset)
        now, latest, seconds = self._telemetry.time(), "", None
        for change in reversed(self._changes.get(node.gateway, ())):
            if change.offset <= before:
                break
            if change.offset <= offset:
                self._telemetry.meters.observe(STAGE, now - change.served, "acknowledge")
                seconds = now - change.said
                self._telemetry.meters.observe(STAGE, seconds, "total")
                trace = self._step("acknowledge", change, node)
                latest = latest or trace
        return Arrival(latest, seconds)

    def rejected(self, node: Node, error: str) -> str:
        """A proxy rejected something of what it has not acknowledged yet: most likely of the latest."""
        changes = self._changes.get(node.gateway)
        return self._step("reject", changes[-1], node, error) if changes else ""

    def _step(self, name: str, change: _Change, node: Node, error: str = "") -> str:
        said: Attributes = {
            "penstock.offset": change.offset,
            "penstock.gateway": node.gateway,
            "penstock.proxy": node.id,
        }
        span = self._telemetry.traces.begin(name, change.trace, at=change.served, attributes=said)
        span.end(error)
        return span.traceparent


def _said(record: Record, now: float) -> float:
    """When the change of an update was said: its progress record has the domain's time."""
    value = decode_object(record, "time") or {}
    try:
        return seconds_of(value["time"])
    except (KeyError, TypeError, ValueError):
        return now
