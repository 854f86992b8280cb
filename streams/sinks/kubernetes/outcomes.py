"""Writes to penstock.reports whether Gateways' proxies could be deployed; what it is told it takes as it is."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from streams.backoff import Backoff
from streams.codec import dumps
from streams.ports import Log, LogError, Outgoing
from streams.topics import DEPLOYER, Topic, key

_LOG = structlog.get_logger()
_LONGEST: Final = 4_000
"""Characters of the words: an API server may say something of each field."""


class Outcomes:
    """The latest of each Gateway is enough: while the broker is away they must not pile up."""

    def __init__(self, domain: str, partition: int) -> None:
        self.waiting: dict[str, str] = {}
        """By Gateway why its proxies cannot be deployed, "" when they are: what is to be written."""
        self._domain = domain
        self._partition = partition
        self._told: dict[str, str] = {}
        self._wake = asyncio.Event()

    def tell(self, gateway: str, words: str) -> None:
        """Why a Gateway's proxies cannot be deployed as wanted, "" when they are.

        The first time it is written in any case: what a process before has said is not known.
        """
        if self._told.get(gateway) != words:
            self._told[gateway] = self.waiting[gateway] = words
            self._wake.set()

    def forget(self, gateway: str) -> None:
        """It wants none any more; the next one of its name begins without its troubles."""
        if self._told.pop(gateway, ""):
            self.waiting[gateway] = ""
            self._wake.set()

    async def write(self, log: Log) -> None:
        """Write them for ever, in no transaction: they are joined by maximum."""
        backoff = Backoff()
        while True:
            try:
                async with log.appender() as writer:
                    while True:
                        await self._wake.wait()
                        self._wake.clear()
                        sending = dict(self.waiting)
                        await writer.write([self._outgoing(*one) for one in sending.items()])
                        backoff.reset()
                        for gateway, words in sending.items():
                            if self.waiting[gateway] == words:
                                del self.waiting[gateway]
            except LogError as error:
                _LOG.debug("outcomes wait for the log", reason=str(error))
                self._wake.set()
                await backoff.wait()

    def _outgoing(self, gateway: str, words: str) -> Outgoing:
        event = "undeployed" if words else "deployed"
        value = {"gateway": gateway, "event": event, "offset": -1, "error": words[:_LONGEST]}
        return Outgoing(Topic.REPORTS, self._partition, key(self._domain, f"{gateway}/{DEPLOYER}"), dumps(value))
