"""Writes what proxies say to penstock.reports, gathered; it judges nothing and serves nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

import structlog

from streams.backoff import Backoff
from streams.codec import dumps, trace_header
from streams.ports import Log, LogError, Outgoing
from streams.topics import BEAT_SECONDS, Topic, key
from streams.xds.stream import Report

_LOG = structlog.get_logger()
_GATHER_SECONDS = 0.03


class Reports:
    """The latest of each proxy and kind is enough: while the broker is away they must not pile up.

    `now` answers RFC 3339 UTC. `publisher` names who writes, each start of it anew: proxies of one that says nothing
    any more, not even that it serves, are gone.
    """

    def __init__(self, now: Callable[[], str], domain: str, partition: int, publisher: str) -> None:
        self._now = now
        self._domain = domain
        self._partition = partition
        self._publisher = publisher
        self._waiting: dict[tuple[str, str, str], Report] = {}
        self._wake = asyncio.Event()

    def heard(self, report: Report) -> None:
        """Take a report; it is written soon."""
        event = "presence" if report.event in {"connected", "disconnected"} else report.event
        name = (report.node.placement, report.node.id, event)
        # At the end: a proxy that connects anew has nothing, until the acknowledgement that follows.
        self._waiting.pop(name, None)
        self._waiting[name] = report
        self._wake.set()

    async def write(self, log: Log) -> None:
        """Write them for ever, those of a while together: the broker has changes to pass on meanwhile.

        In no transaction: they are joined by maximum, and two publishers of a domain write beside one another.
        """
        backoff = Backoff()
        while True:
            try:
                async with log.appender() as writer:
                    while True:
                        await self._some()
                        sending = dict(self._waiting)
                        await writer.write([self._outgoing(one) for one in sending.values()] or [self._serving()])
                        backoff.reset()
                        for name, one in sending.items():
                            if self._waiting.get(name) is one:
                                del self._waiting[name]
                        if self._waiting:
                            self._wake.set()
            except LogError as error:
                _LOG.debug("reports wait for the log", reason=str(error))
                self._wake.set()
                await backoff.wait()

    async def _some(self) -> None:
        """Wait for what was heard in a while; for nothing, until it is time to say that we serve."""
        with suppress(TimeoutError):
            async with asyncio.timeout(BEAT_SECONDS):
                await self._wake.wait()
            await asyncio.sleep(_GATHER_SECONDS)
        self._wake.clear()

    def _serving(self) -> Outgoing:
        value = {"event": "serving", "publisher": self._publisher, "time": self._now()}
        return Outgoing(Topic.REPORTS, self._partition, key(self._domain, f"publisher/{self._publisher}"), dumps(value))

    def _outgoing(self, report: Report) -> Outgoing:
        node, rejection = report.node, report.rejection
        value = {
            "proxy": node.id,
            "gateway": node.placement,
            "event": report.event,
            "offset": report.offset,
            "envoy": node.version,
            "publisher": self._publisher,
            "time": self._now(),
            "type": rejection.type_url.rpartition(".")[2] if rejection is not None else "",
            "resources": dict(sorted(rejection.resources.items())) if rejection is not None else {},
            "error": rejection.error if rejection is not None else "",
            "removal": rejection is not None and rejection.is_removal,
            **({"milliseconds": round(report.seconds * 1000)} if report.seconds is not None else {}),
        }
        row = key(self._domain, f"{node.placement}/{node.id}")
        return Outgoing(Topic.REPORTS, self._partition, row, dumps(value), trace_header(report.trace))
