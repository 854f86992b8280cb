"""One API server for the session, and the stage of each test: the twin, or the real one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.kubernetes.bed.api import Api
from tests.kubernetes.bed.server import ApiServerProcess
from tests.kubernetes.stage import MemoryStage, Stage, real_stage


@pytest.fixture(scope="session")
def api_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServerProcess]:
    """A running kube-apiserver with all CRDs. Fails, with what is missing, when the bed is not built."""
    server = ApiServerProcess(tmp_path_factory.mktemp("kubernetes"))

    async def start() -> None:
        await server.start()
        async with Api(server) as api:
            await api.ready()
            await api.install()

    try:
        asyncio.run(start())
        yield server
    finally:
        asyncio.run(server.stop())


@pytest.fixture(params=["memory", pytest.param("real", marks=pytest.mark.kubernetes)])
def where(request: pytest.FixtureRequest) -> ApiServerProcess | None:
    """The real API server, or None for the twin."""
    return None if request.param == "memory" else request.getfixturevalue("api_server")


@pytest.fixture
async def stage(where: ApiServerProcess | None) -> AsyncIterator[Stage]:
    """A cluster to play on."""
    if where is None:
        yield MemoryStage()
        return
    async with real_stage(where) as found:
        yield found
