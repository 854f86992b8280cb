"""`penstock topics` makes what roles that run apart need, and says why it cannot."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path

import pytest
from typer.testing import CliRunner

from streams.cli import app
from streams.kafka import KafkaLog
from streams.topics import Topic
from tests.support.running import free_port


@pytest.mark.kafka
def test_it_makes_the_topics_and_is_content_with_those_that_are_there(broker: str, tmp_path: Path) -> None:
    prefix = f"t{uuid.uuid4().hex}"
    env = {"PENSTOCK_TOPIC_PREFIX": prefix, "PENSTOCK_PARTITION": "2", "PENSTOCK_DATA": str(tmp_path / "data")}
    for _ in range(2):
        done = CliRunner(env=env).invoke(app, ["topics", "--brokers", broker])
        assert (done.exit_code, done.output) == (0, "")
    assert {asyncio.run(KafkaLog(broker, prefix).ends(topic, 2)) for topic in Topic} == {(0, 0)}
    assert not (tmp_path / "data").exists()


def test_a_kafka_that_is_away_is_a_line(tmp_path: Path) -> None:
    env = {"PENSTOCK_DATA": str(tmp_path / "data")}
    done = CliRunner(env=env).invoke(app, ["topics", "--brokers", f"127.0.0.1:{free_port()}"])
    assert done.exit_code == 3
    assert "does not answer" in done.stderr
