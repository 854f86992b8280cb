"""penstock as a Kubernetes installation has it: Kafka outside, and in the cluster what the Helm chart makes."""

from __future__ import annotations

import asyncio
import base64
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from streams.broker import Broker
from tests.chart.helm import rendered
from tests.conformance.network import NODE
from tests.conformance.node.node import FakeNode
from tests.kubernetes.bed.api import Api

NAMESPACE = "penstock-system"
_CLUSTER = "bed"
_KEY_BYTES = 64
_LOOK_SECONDS = 0.5
_TAIL = 2000
_FORBIDDEN = "forbidden"
_AGAIN = "starts again in"


class EndedError(RuntimeError):
    """The controller has ended by itself; the message has its last words."""


class Controller:
    """The chart's Deployment on the fake node."""

    def __init__(self, node: FakeNode) -> None:
        self._node = node

    async def ended(self) -> None:
        """Wait until the controller ends, which it should not. Raises EndedError."""
        while True:
            for pod in self._node.pods():
                for process in pod.processes.values():
                    if pod.object["metadata"]["namespace"] == NAMESPACE and process.returncode is not None:
                        msg = f"penstock ended with {process.returncode}:\n{self._said()[-_TAIL:]}"
                        raise EndedError(msg)
            await asyncio.sleep(_LOOK_SECONDS)

    def complaints(self) -> list[str]:
        """What no test may have noticed: what was forbidden to penstock, and roles that ended."""
        return [line for line in self._said().splitlines() if _FORBIDDEN in line.lower() or _AGAIN in line]

    def _said(self) -> str:
        lines = (
            line.decode(errors="replace")
            for pod in self._node.pods()
            if pod.object["metadata"]["namespace"] == NAMESPACE
            for log in pod.logs.values()
            for _, line in log
        )
        return "".join(lines)


@asynccontextmanager
async def kafka(folder: Path) -> AsyncIterator[str]:
    """A broker on the node's address, `host:port`. Raises BrokerError or JarsMissing."""
    broker = Broker(folder, host=NODE)
    try:
        yield await broker.start()
    finally:
        await broker.stop()


async def install(api: Api, brokers: str, denied: str = "") -> None:
    """As helm does, of the chart that it renders; first what its values say that there is.

    `denied` is taken from every role: `patch:gateways/status`, a verb and a resource.
    """
    found = rendered(f"cluster={_CLUSTER}", f"kafka.brokers={brokers}", namespace=NAMESPACE, crds=True)
    if denied:
        deny(found, *denied.split(":"))
    await api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}, "bed")
    await api.apply(_sealing_key(), "bed")
    for one in found:
        await api.apply(one, "helm", more="&fieldValidation=Strict")


def deny(objects: list[dict[str, Any]], verb: str, resource: str) -> None:
    """Take a permission from all roles among objects. Raises ValueError when none has it."""
    denied = 0
    for role in (one for one in objects if one["kind"] in {"ClusterRole", "Role"}):
        kept = []
        for rule in role["rules"]:
            others = [one for one in rule["resources"] if one != resource]
            kept.append({**rule, "resources": others})
            if len(others) < len(rule["resources"]):
                denied += verb in rule["verbs"]
                kept.append({**rule, "resources": [resource], "verbs": [one for one in rule["verbs"] if one != verb]})
        role["rules"] = [one for one in kept if one["resources"] and one["verbs"]]
    if not denied:
        msg = f"no role of the chart may {verb} {resource}"
        raise ValueError(msg)


def _sealing_key() -> dict[str, object]:
    data = {"sealing.key": base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode()}
    metadata = {"name": "penstock-sealing-key", "namespace": NAMESPACE}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data}
