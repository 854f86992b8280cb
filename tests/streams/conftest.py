"""The log that a suite for every log runs on: the twin in memory, then the real one."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from streams.memory import MemoryLog
from streams.ports import Log
from tests.streams.toy import kafka_log


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.kafka)])
def where(request: pytest.FixtureRequest) -> str:
    return "" if request.param == "memory" else str(request.getfixturevalue("broker"))


@pytest.fixture
async def log(where: str) -> AsyncIterator[Log]:
    if not where:
        yield MemoryLog()
        return
    async with kafka_log(where) as found:
        yield found
