"""An audit trail in PostgreSQL: python audit.py BROKERS CONNECTION

Who changed which object when, and what became of which route. Exactly once: the token of where to go on is written in
the transaction of the rows, so whenever this is killed, it goes on behind the last update that is there.
"""

from __future__ import annotations

import asyncio
import sys
from datetime import datetime

import psycopg

from streams.client import Event, Update, sentences, updates

_TABLES = """
CREATE TABLE IF NOT EXISTS penstock_position (only_one boolean PRIMARY KEY DEFAULT true, token text NOT NULL);
CREATE TABLE IF NOT EXISTS penstock_audit (
    id bigserial PRIMARY KEY,
    log_offset bigint NOT NULL, time timestamptz, cluster text, source text, actor text,
    verb text NOT NULL, object text, generation bigint, routing text[] NOT NULL
);
"""
_ROW = """
INSERT INTO penstock_audit (log_offset, time, cluster, source, actor, verb, object, generation, routing)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)
"""
_POSITION = """
INSERT INTO penstock_position (token) VALUES (%s) ON CONFLICT (only_one) DO UPDATE SET token = excluded.token
"""


def rows_of(update: Update) -> list[tuple[object, ...]]:
    """A row for each change. A sentence stands once: with the change of its route, or with the first of the update."""
    told = {
        change.node.removeprefix("route/"): [_text(word) for word in sentences(change)] for change in update.routing
    }
    own = [told.pop(one.ref or "", []) for one in update.changes]
    if own:
        own[0] += [word for words in told.values() for word in words]
    head = (update.offset, _time(update.time), *map(_text, (update.cluster, update.source, update.actor)))
    return [
        (*head, one.verb, _text(one.ref or one.location or ""), one.generation, words)
        for one, words in zip(update.changes, own, strict=True)
    ]


def _text(text: str) -> str:
    """PostgreSQL takes no NUL."""
    return text.replace("\x00", "")


def _time(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


async def write(connection: psycopg.AsyncConnection, event: Event[Update]) -> None:
    rows = rows_of(event.value)
    async with connection.transaction(), connection.cursor() as cursor:
        await cursor.executemany(_ROW, rows)
        await cursor.execute(_POSITION, (event.token,))


async def main(brokers: str, conninfo: str) -> None:
    async with await psycopg.AsyncConnection.connect(conninfo, autocommit=True) as connection:
        # Of two that run at once the second waits until the first has ended.
        await connection.execute("SELECT pg_advisory_lock(hashtext('penstock_audit'))")
        await connection.execute(_TABLES)
        found = await (await connection.execute("SELECT token FROM penstock_position")).fetchone()
        async for event in updates(brokers, found[0] if found else ""):
            await write(connection, event)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
