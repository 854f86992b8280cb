"""Which proxy runs which offset: a join by maximum over penstock.reports; it counts nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import structlog

from streams.codec import dumps
from streams.kafka import KafkaLog
from streams.ports import LogError, Outgoing, Record
from streams.topics import Topic, key, split_key

_LOG = structlog.get_logger()
_GATEWAY_PARTS = 5


def joined(before: bytes | None, record: Record) -> bytes:
    """A proxy's row with one more report: the greatest offset, the latest presence, the latest rejection.

    `at` is the offset of the report in its topic: reports come at least once, and an older one changes nothing.
    """
    row: dict[str, Any] = orjson.loads(before) if before else {"offset": -1, "connected": False, "at": -1, "error": ""}
    try:
        report = orjson.loads(record.value or b"null")
        event, offset = report["event"], int(report["offset"])
    except (ValueError, TypeError, KeyError):
        return dumps(row)
    if event == "connected" and record.offset > row["at"]:
        # A proxy that comes anew has nothing until it acknowledges again.
        row |= {"connected": True, "offset": offset, "error": ""}
    elif record.offset > row["at"]:
        row["connected"] = event != "disconnected"
        row["offset"] = max(row["offset"], offset)
        row["error"] = report.get("error", "") if event == "nack" else ("" if event == "ack" else row["error"])
    row["at"] = max(row["at"], record.offset)
    row["envoy"] = report.get("envoy") or row.get("envoy", "")
    return dumps(row)


def summary(table: Mapping[str, bytes], gateway_key: str) -> dict[str, Any]:
    """A gateway's row: its connected proxies and the lowest offset among them, None when there is none."""
    proxies = {}
    for name, value in table.items():
        if name.startswith(gateway_key + "/"):
            row = orjson.loads(value)
            proxies[name.removeprefix(gateway_key + "/")] = {
                "offset": row["offset"],
                "connected": row["connected"],
                "error": row["error"],
                "envoy": row.get("envoy", ""),
            }
    connected = [one["offset"] for one in proxies.values() if one["connected"]]
    return {
        "gateway": split_key(gateway_key.encode())[1],
        "proxies": dict(sorted(proxies.items())),
        "lowest": min(connected) if connected else None,
    }


@dataclass(frozen=True, slots=True)
class ProjectOptions:
    """Where the projection reads and writes; `directory` is faust's own."""

    log: KafkaLog
    directory: Path
    domain: str = "default"
    partition: int = 0
    partitions: int = 1
    member: str = "projections-0"


async def project(options: ProjectOptions) -> None:
    """Keep penstock.convergence up to date for ever. Raises Unavailable when Kafka cannot be reached at the start."""
    from streams.app import Membership, maximum_table  # noqa: PLC0415  slow to import

    dirty: set[str] = set()
    wake = asyncio.Event()

    def seen(name: str) -> None:
        dirty.add("/".join(name.split("/")[: _GATEWAY_PARTS + 1]))
        wake.set()

    membership = Membership(
        options.log.brokers,
        f"{options.log.prefix}-projections",
        options.member,
        options.directory,
        options.log.prefix,
        options.partitions,
    )
    async with maximum_table(membership, Topic.REPORTS, Topic.ACKNOWLEDGED, joined, seen) as table:
        for name in table:
            seen(name)
        await _write(options, table, dirty, wake)


async def _write(options: ProjectOptions, table: Mapping[str, bytes], dirty: set[str], wake: asyncio.Event) -> None:
    while True:
        try:
            async with options.log.writer(f"convergence-{options.domain}") as writer:
                while True:
                    await wake.wait()
                    wake.clear()
                    names = sorted(dirty)
                    dirty.clear()
                    try:
                        await writer.write([_record(options, table, name) for name in names])
                    except LogError:
                        dirty.update(names)
                        raise
        except LogError as error:
            _LOG.debug("convergence waits for the log", reason=str(error))
            wake.set()
            await asyncio.sleep(0.5)


def _record(options: ProjectOptions, table: Mapping[str, bytes], gateway_key: str) -> Outgoing:
    _, gateway = split_key(gateway_key.encode())
    value = dumps(summary(table, gateway_key))
    return Outgoing(Topic.CONVERGENCE, options.partition, key(options.domain, gateway), value)
