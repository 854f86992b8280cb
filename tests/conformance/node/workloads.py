"""Deployments to pods: as many as are wanted, of the template that is wanted."""

from __future__ import annotations

import hashlib
import random
import string
import time
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from tests.conformance.node.client import Client, complain
from tests.conformance.node.pod import Pod

NODE_NAME = "node"
_TEMPLATE = "bed/template"
_NAME_CHARACTERS = 50
_AGAIN_SECONDS = 3.0


class Workloads:
    """`reconcile` as often as something changes."""

    def __init__(self, client: Client) -> None:
        self._client = client
        # By Deployment: when its pods were made that are not heard of yet.
        self._made: dict[str, float] = {}

    async def reconcile(self, deployment: Any, pods: Iterable[Any], running: Mapping[str, Pod]) -> None:
        """`pods` are those of the Deployment that are not being deleted."""
        uid, template = deployment["metadata"]["uid"], deployment["spec"]["template"]
        wanted = deployment["spec"].get("replicas", 1)
        digest = hashlib.blake2b(orjson.dumps(template, option=orjson.OPT_SORT_KEYS), digest_size=5).hexdigest()
        current, others = [], []
        for pod in pods:
            same = (pod["metadata"].get("annotations") or {}).get(_TEMPLATE) == digest
            (current if same else others).append(pod)
        for pod in (*others, *current[wanted:]):
            await self._client.remove(_path(pod))
        if len(current) >= wanted:
            self._made.pop(uid, None)
        elif self._made.get(uid, 0.0) < time.monotonic() - _AGAIN_SECONDS:
            self._made[uid] = time.monotonic()
            for _ in range(wanted - len(current)):
                await self._make(deployment, digest)
        ready = sum(one["metadata"]["uid"] in running and running[one["metadata"]["uid"]].is_ready for one in current)
        await self._tell(deployment, len(current), ready)

    async def _make(self, deployment: Any, digest: str) -> None:
        owner, template = deployment["metadata"], deployment["spec"]["template"]
        given = template.get("metadata") or {}
        # Exactly two parts are put behind: the suite tells backends apart by what is before them.
        suffix = f"{digest[:5]}-{''.join(random.choices(string.ascii_lowercase, k=5))}"
        metadata = {
            "name": f"{owner['name'][:_NAME_CHARACTERS]}-{suffix}",
            "namespace": owner["namespace"],
            "labels": given.get("labels") or {},
            "annotations": {**(given.get("annotations") or {}), _TEMPLATE: digest},
            "ownerReferences": [owner_reference("apps/v1", "Deployment", owner)],
        }
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {**template["spec"], "nodeName": NODE_NAME}}
        status, found = await self._client.ask("POST", f"/api/v1/namespaces/{owner['namespace']}/pods", pod)
        if status >= 300:
            complain(f"pod of {owner['namespace']}/{owner['name']}: {found}")

    async def _tell(self, deployment: Any, count: int, ready: int) -> None:
        metadata, status = deployment["metadata"], deployment.get("status") or {}
        told = (status.get("observedGeneration"), status.get("replicas", 0), status.get("readyReplicas", 0))
        if told == (metadata["generation"], count, ready):
            return
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        is_available = str(ready >= deployment["spec"].get("replicas", 1))
        conditions = [
            {"type": kind, "status": value, "reason": reason, "lastUpdateTime": now, "lastTransitionTime": now}
            for kind, value, reason in (
                ("Available", is_available, "MinimumReplicasAvailable"),
                ("Progressing", "True", "NewReplicaSetAvailable"),
            )
        ]
        path = f"/apis/apps/v1/namespaces/{metadata['namespace']}/deployments/{metadata['name']}"
        await self._client.set_status(
            path,
            {
                "observedGeneration": metadata["generation"], "replicas": count, "updatedReplicas": count,
                "readyReplicas": ready, "availableReplicas": ready, "conditions": conditions,
            },
        )  # fmt: skip


def owner_reference(version: str, kind: str, metadata: Any) -> dict[str, Any]:
    """As the controller of an object has it."""
    return {
        "apiVersion": version, "kind": kind, "name": metadata["name"], "uid": metadata["uid"],
        "controller": True, "blockOwnerDeletion": True,
    }  # fmt: skip


def owner_of(pod: Any) -> str | None:
    """The uid of the Deployment that it belongs to."""
    owners = pod["metadata"].get("ownerReferences") or ()
    return next((one["uid"] for one in owners if one["kind"] == "Deployment"), None)


def _path(pod: Any) -> str:
    return f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}"
