"""Topics are looked at while a run is up, not at its start only."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from streams.kafka import KafkaLog
from streams.ports import TopicMissing
from streams.settings import Settings
from streams.standalone import Outside, Standalone
from streams.topics import Topic, topic_name
from tests.streams.toy import kafka_log, until


async def _is_well(log: KafkaLog) -> bool:
    try:
        await log.check_topics(1)
    except TopicMissing:
        return False
    return True


@pytest.mark.kafka
async def test_a_retention_that_is_limited_later_is_told_while_it_runs(
    broker: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the start it is refused; afterwards what is served stays, and history is lost all the same."""
    monkeypatch.setattr("streams.standalone._LOOK_SECONDS", 0.05)
    said: list[str] = []
    async with kafka_log(broker) as log:
        await log.check_topics(1)
        admin = AIOKafkaAdminClient(bootstrap_servers=broker)
        await admin.start()
        run = Standalone(Settings(data=tmp_path), Outside({}), {}, lambda _, text: said.append(text), lambda *_: asyncio.sleep(0))
        task = asyncio.create_task(run._look_at_topics(log))
        try:
            name = topic_name(Topic.CHANGES, log.prefix)
            change = {"cleanup.policy": "delete", "retention.ms": "604800000"}
            await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, change)])

            async def told() -> bool:
                return any(f"{name} has retention.ms=604800000" in one for one in said)

            await until(told)
            # One that is gone is told of by who needs it, and is not made anew here.
            await admin.delete_topics([topic_name(Topic.REPORTS, log.prefix)])
            with pytest.raises(TopicMissing, match=f"{name} has retention"):
                await log.check_topics(1)
            with pytest.raises(TopicMissing):
                await log.ends(Topic.REPORTS, 0)
            mended = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}
            await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, mended)])
            await until(lambda: _is_well(log))
            assert not task.done()
            assert len(said) == 1, "once in a while"
        finally:
            task.cancel()
            await asyncio.wait({task})
            await admin.close()
