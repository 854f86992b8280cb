"""The GatewayClass of this installation: made whenever it is not there, and never changed; it is its owner's."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Final, Protocol

import structlog

from streams.backoff import Backoff
from streams.kubernetes.cluster import Cluster, ClusterError, Conflict, Gone, Target, Verb, Writable
from streams.reminder import Reminder
from streams.telemetry import Health

_LOG = structlog.get_logger()
CLASS: Final = Target("gateway.networking.k8s.io", "GatewayClass", "gatewayclasses", "v1")
"""What is made here."""
_DESCRIPTION: Final = "Gateways served by penstock"
_STEADY_SECONDS: Final = 5.0


class ClassCluster(Cluster, Writable, Protocol):
    """Where the class is."""


async def keep_class(cluster: ClassCluster, name: str, controller: str, health: Health) -> None:
    """Make the GatewayClass `name` of the controller whenever there is none of that name, for ever; "" makes none.

    What cannot be done now, as for want of the CRD, is tried again.
    """
    if name:
        kept = _Kept(cluster, CLASS._replace(name=name), controller)
        with health.part("class", lambda: kept.waits):
            await kept.keep()


@dataclass(slots=True)
class _Kept:
    cluster: ClassCluster
    target: Target
    controller: str
    waits: str = "makes the GatewayClass"
    """For what, until there was one."""
    reminder: Reminder = field(default_factory=Reminder)

    async def keep(self) -> None:
        """Look, make, and wait until it is gone, for ever; later and later where that does not take long."""
        clock, backoff = asyncio.get_running_loop().time, Backoff()
        while True:
            began = clock()
            try:
                version = await self._made()
                self.waits = ""
                await self._gone(version)
            except (Conflict, Gone):
                pass  # Somebody was faster, or what happened since is forgotten: how it is now says all.
            except ClusterError as error:
                if self.reminder.is_due(str(error)):
                    _LOG.warning("the GatewayClass cannot be made now", name=self.target.name, reason=str(error))
            if clock() - began > _STEADY_SECONDS:
                backoff.reset()
            else:
                await backoff.wait()

    async def _made(self) -> str:
        """See that there is a class of the name; answers from when on it was not looked at."""
        page = await self.cluster.page(self.target, "", 0)
        if not page.objects:
            spec = {"controllerName": self.controller, "description": _DESCRIPTION}
            await self.cluster.write(self.target, {"spec": spec})
            _LOG.info("made the GatewayClass", name=self.target.name, controller=self.controller)
        elif page.objects[0]["spec"].get("controllerName") != self.controller and self.reminder.is_due(self.controller):
            _LOG.warning("the GatewayClass is another controller's", name=self.target.name, ours=self.controller)
        return page.version

    async def _gone(self, version: str) -> None:
        """Until it is deleted, or the API server ends the watch."""
        async for event in self.cluster.watch(self.target, version):
            if event.verb is Verb.DELETED:
                return
