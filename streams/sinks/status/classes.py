"""The GatewayClass of this installation: made when it is not there, and never changed afterwards; it is its owner's."""

from __future__ import annotations

from typing import Final, Protocol

import structlog

from streams.backoff import Backoff
from streams.kubernetes.cluster import Cluster, ClusterError, Conflict, Target, Writable
from streams.reminder import Reminder

_LOG = structlog.get_logger()
CLASS: Final = Target("gateway.networking.k8s.io", "GatewayClass", "gatewayclasses", "v1")
"""What is made here."""
_DESCRIPTION: Final = "Gateways served by penstock"


class ClassCluster(Cluster, Writable, Protocol):
    """Where the class is."""


async def ensure_class(cluster: ClassCluster, name: str, controller: str) -> None:
    """Make the GatewayClass `name` of the controller unless there is one of that name; "" makes none.

    Until that could be done, which needs the CRD, it is tried again.
    """
    if not name:
        return
    target = CLASS._replace(name=name)
    spec = {"controllerName": controller, "description": _DESCRIPTION}
    reminder, backoff = Reminder(), Backoff()
    while True:
        try:
            page = await cluster.page(target, "", 0)
            if not page.objects:
                await cluster.write(target, {"spec": spec})
                _LOG.info("made the GatewayClass", name=name, controller=controller)
            elif page.objects[0]["spec"].get("controllerName") != controller:
                _LOG.warning("the GatewayClass is another controller's", name=name, ours=controller)
        except Conflict:
            return
        except ClusterError as error:
            if reminder.is_due(str(error)):
                _LOG.warning("the GatewayClass cannot be made now", name=name, reason=str(error))
            await backoff.wait()
        else:
            return
