"""What no source and no resolver of ours writes neither stops a domain nor fills a topic."""

from __future__ import annotations

import orjson
import pytest

from streams.codec import encode_change_set
from streams.memory import MemoryLog
from streams.ports import Outgoing
from streams.topics import Topic
from tests.streams.test_domain import garbage, resolved
from tests.streams.toy import append, change_set, put, records, things, wanted


async def test_what_can_be_read_but_not_written_is_rejected() -> None:
    """An object nested 300 deep was taken for a change, and ended the resolver at each start."""
    log = MemoryLog()
    (good,) = encode_change_set(change_set(put("a", "N")))
    await garbage(log, (good.value or b"").replace(b'"N"', b'{"a":' * 300 + b"1" + b"}" * 300))
    await append(log, change_set(put("b", 1)))
    await resolved(log)
    assert await things(log) == wanted({"b": 1})
    (rejected,) = await records(log, Topic.REJECTED)
    assert "nested too deep" in rejected.header("reason")


async def test_large_garbage_is_kept_in_part_and_the_reason_says_so() -> None:
    """16 MiB of it and a reason are larger than Kafka takes."""
    log = MemoryLog()
    await garbage(log, b"x" * (16 << 20))
    await garbage(log, orjson.dumps({"schema": 1, "domain": 1, "x": "x" * (1 << 20)}))
    await garbage(log, (encode_change_set(change_set())[0].value or b"").replace(b"[]", b'[{"verb": "%s"}]' % (b"x" * (4 << 20))))
    await resolved(log)
    found = await records(log, Topic.REJECTED)
    assert len(found) == 3
    for one in found:
        assert len(one.value or b"") == 512 * 1024
        assert "the first 524288 are kept" in one.header("reason")
        assert len(one.header("reason")) < 3_000


@pytest.mark.parametrize(
    "headers",
    [
        (("topic", b"\xff"), ("offset", b"1")),
        (("topic", b"changes"), ("offset", b"\xff")),
        (("topic", b"changes"), ("offset", b"1" * 5_000)),
        (("topic", b"changes"), ("offset", b"-1")),
        (("topic", b"changes"),),
    ],
)
async def test_a_rejection_that_no_resolver_wrote_is_skipped(headers: tuple[tuple[str, bytes], ...]) -> None:
    log = MemoryLog()
    async with log.writer("stranger") as writer:
        await writer.write([Outgoing(Topic.REJECTED, 0, b"x", b"y", headers)])
    await append(log, change_set(put("a", 1)))
    await resolved(log)
    assert await things(log) == wanted({"a": 1})
