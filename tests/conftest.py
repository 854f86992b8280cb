"""Fixtures that several parts of the tests share: the embedded broker."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import hypothesis  # noqa: F401  late, from the plugin's depth, CPython 3.11 may fail to parse it (gh-106905)
import pytest


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`host:port` of a real Kafka of this test session; tests take topics of their own by a prefix."""
    from streams.broker import Broker

    node = Broker(tmp_path_factory.mktemp("broker"))
    address = asyncio.run(node.start())
    try:
        yield address
    finally:
        asyncio.run(node.stop())
