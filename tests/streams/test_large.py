"""The largest things that a source lets through, end to end on the real Kafka: a log that takes them must bring them out."""

from __future__ import annotations

import base64
import random
from pathlib import Path

import orjson
import pytest

from engine.events import ChangeSet, Put
from engine.models.canonical import LARGEST
from engine.ref import Ref
from streams.clock import now
from streams.codec import PART_BYTES, encode_change_set
from streams.topics import Topic
from streams.view import read_table
from tests.streams.test_resolver import HOSTS, moves, ready, resolver
from tests.streams.toy import kafka_log, records

pytestmark = pytest.mark.kafka
_MANY = 10_000


def _service(name: str, generation: int, size: int = 0) -> Put:
    """A Service; `size` bytes of it are noise, which no compression makes small."""
    noise = base64.b64encode(random.Random(generation).randbytes(size * 3 // 4)).decode()
    metadata = {
        "name": name,
        "namespace": "default",
        "generation": generation,
        "creationTimestamp": "2026-11-24T12:00:00.000Z",
        "annotations": {"noise": noise},
    }
    spec = {"ports": [{"port": generation}]}
    object_ = {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}
    return Put(Ref("local", "", "Service", "default", name), object_)


@HOSTS
@pytest.mark.parametrize("size", [950 * 1024, LARGEST - 4096], ids=["above a part", "the largest"])
async def test_a_large_object_and_its_last_good_revision(broker: str, tmp_path: Path, host: str, size: int) -> None:
    """Both revisions stand in one record of the state: twice what a source lets through."""
    assert size > PART_BYTES
    async with kafka_log(broker) as log, resolver(log, host, "a", tmp_path) as process:
        async with log.writer("s") as writer:
            for generation in (1, 2):
                put = _service("big", generation, size)
                await writer.write(encode_change_set(ChangeSet("default", "local", "s", f"{generation}", now(), "", (put,))))
        await ready(process)
        await moves(log)
        assert not await records(log, Topic.REJECTED)
        row = orjson.loads((await read_table(log, Topic.STATE, 0)).rows[f"resource/{put.ref}"].value or b"")
        assert row["object"] == put.object
        assert row["previous"] == _service("big", 1, size).object


@HOSTS
async def test_ten_thousand_objects_of_one_change_set(broker: str, tmp_path: Path, host: str) -> None:
    async with kafka_log(broker) as log, resolver(log, host, "a", tmp_path) as process:
        puts = tuple(_service(f"s{number}", 1) for number in range(_MANY))
        parts = encode_change_set(ChangeSet("default", "local", "s", "1", now(), "", puts))
        assert len(parts) > 1
        async with log.writer("s") as writer:
            await writer.write(parts)
        await ready(process)
        await moves(log)
        state = (await read_table(log, Topic.STATE, 0)).rows
        assert sum(key.startswith("resource/") for key in state) == _MANY
        assert not any(key.startswith("part/") for key in state)
