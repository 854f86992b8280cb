"""A faust agent that counts changes by actor: faust -A agent worker, with BROKERS in the environment.

faust reads uncommitted records unless told otherwise, so aborted updates too: `_read_committed` tells it.
"""

from __future__ import annotations

import os
from typing import Any

import faust
import orjson
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread

_create = AIOKafkaConsumerThread._create_worker_consumer


def _read_committed(self: AIOKafkaConsumerThread, transport: Any) -> Any:
    consumer = _create(self, transport)
    consumer._isolation_level = "read_committed"
    return consumer


AIOKafkaConsumerThread._create_worker_consumer = _read_committed
_BROKERS, _, _PREFIX = os.environ["BROKERS"].partition("/")
app = faust.App(
    "changes-by-actor",
    broker=f"kafka://{_BROKERS}",
    value_serializer="raw",
    web_enabled=False,
    topic_disable_leader=True,
)
updates = app.topic(f"{_PREFIX or 'penstock'}.updates", value_serializer="raw")
counts: dict[str, int] = {}


@app.agent(updates)
async def count(stream: faust.Stream[bytes]) -> None:
    """An update may be several records: each has a part of its changes."""
    async for value in stream:
        update = orjson.loads(value)
        # An owner of the domain touches each partition with an empty record.
        if update:
            counts[update["actor"]] = counts.get(update["actor"], 0) + len(update["changes"])
            print(update["offset"], counts, flush=True)
