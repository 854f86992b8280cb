"""Follows what penstock.infra says of proxies, for every deployer; what else stands in that topic it leaves out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import structlog

from engine.outputs.channels import is_lookup
from streams.backoff import Backoff
from streams.ports import Log, LogError
from streams.reminder import Reminder
from streams.telemetry import Health
from streams.topics import Topic
from streams.view import Batch, follow_table

_LOG = structlog.get_logger()


async def follow_proxies(log: Log, partition: int, take: Callable[[Batch], None], health: Health) -> None:
    """Hand over the rows of Gateways as `follow_table` has them, for ever; nothing before anything was resolved."""
    reminder, backoff = Reminder(), Backoff()
    waits = "reads penstock.infra"
    with health.part("infra", lambda: waits):
        while True:
            try:
                async for batch in follow_table(log, Topic.INFRA, partition):
                    backoff.reset()
                    if batch.progress >= 0:
                        rows = {name: row for name, row in batch.rows.items() if not is_lookup(name)}
                        take(replace(batch, rows=rows))
                    waits = ""
            except LogError as error:
                waits = str(error)
                if reminder.is_due(waits):
                    _LOG.warning("keeping the proxies that were wanted until the log answers", reason=waits)
                await backoff.wait()
