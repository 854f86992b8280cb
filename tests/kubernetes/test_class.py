"""The GatewayClass of an installation before a real API server: there is one, whatever becomes of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from streams.sinks.status.classes import keep_class
from streams.telemetry import Health
from tests.kubernetes.bed.server import ApiServerProcess
from tests.kubernetes.objects import GATEWAY_API
from tests.kubernetes.plane import CONTROLLER
from tests.kubernetes.stage import RealStage, real_stage
from tests.support.roles import working

pytestmark = pytest.mark.kubernetes


@pytest.fixture
async def stage(api_server: ApiServerProcess) -> AsyncIterator[RealStage]:
    async with real_stage(api_server) as found:
        yield found
        await found.delete(named(found))


def named(stage: RealStage, controller: str = CONTROLLER) -> dict[str, Any]:
    """A class of the test's own."""
    return {
        "apiVersion": f"{GATEWAY_API}/v1", "kind": "GatewayClass", "metadata": {"name": stage.namespace},
        "spec": {"controllerName": controller},
    }  # fmt: skip


def keeping(stage: RealStage, health: Health) -> Any:
    return working(keep_class(stage.cluster, stage.namespace, CONTROLLER, health))  # type: ignore[arg-type]


async def uid(stage: RealStage) -> str:
    """Of the class, "" of none."""
    try:
        found = await stage.api.get(named(stage))
    except AssertionError:
        return ""
    return str(found["metadata"]["uid"]) if found["spec"]["controllerName"] == CONTROLLER else ""


async def made(stage: RealStage, before: str = "") -> str:
    """The uid of the class, once it is ours and another one than before."""
    async with asyncio.timeout(stage.seconds):
        while (found := await uid(stage)) in ("", before):
            await asyncio.sleep(0.05)
    return found


async def test_a_class_that_somebody_deletes_is_made_again(stage: RealStage) -> None:
    health = Health()
    async with keeping(stage, health):
        first = await made(stage)
        await stage.delete(named(stage))
        second = await made(stage, first)
        # The first watch began before the class that it saw, this one with what was there.
        await stage.delete(named(stage))
        await made(stage, second)
        assert health.waiting() == {}


async def test_a_class_that_goes_while_nobody_can_be_asked_is_made_again(stage: RealStage) -> None:
    async with keeping(stage, Health()):
        first = await made(stage)
        await stage.cut()
        await stage.delete(named(stage))
        await stage.mend()
        second = await made(stage, first)
        await stage.cut()
        await stage.delete(named(stage))
        await stage.forget()
        await stage.mend()
        await made(stage, second)


async def test_another_controllers_class_of_the_name_is_left_alone(stage: RealStage) -> None:
    """Until it is gone."""
    await stage.put(named(stage, "example.com/another"))
    health = Health()
    with capture_logs() as lines:
        async with keeping(stage, health):
            async with asyncio.timeout(stage.seconds):
                while not any("another controller's" in one["event"] for one in lines):
                    await asyncio.sleep(0.05)
            assert health.waiting() == {}
            assert await uid(stage) == ""
            await stage.delete(named(stage))
            await made(stage)
