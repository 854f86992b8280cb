"""Services: addresses for those of type LoadBalancer, EndpointSlices, and what the balancer listens on."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from tests.conformance.network import API_SERVER, BALANCERS
from tests.conformance.node.balancer import Balancer, Front, Target
from tests.conformance.node.client import Client, complain
from tests.conformance.node.pod import Pod
from tests.conformance.node.workloads import NODE_NAME, owner_reference

_FIRST = 11
_NETWORK = ipaddress.ip_network(BALANCERS)
_SLICES = "/apis/discovery.k8s.io/v1/namespaces/{}/endpointslices"


class Services:
    """`reconcile` as often as a Service or a pod changes."""

    def __init__(self, client: Client, balancer: Balancer, port: int) -> None:
        self._client, self._balancer = client, balancer
        self._always = {Front(API_SERVER, 443, "TCP"): [("127.0.0.1", port)]}
        self._addresses: dict[str, str] = {}
        self._next = _FIRST
        # By Service: the slice as it was written.
        self._slices: dict[str, dict[str, Any]] = {}

    async def reconcile(self, services: Iterable[Any], pods: Iterable[Pod]) -> None:
        """All Services and all pods there are."""
        running, there = [pod for pod in pods if pod.is_ready], set()
        wanted: dict[Front, list[Target]] = dict(self._always)
        for service in services:
            uid, spec = service["metadata"]["uid"], service["spec"]
            there.add(uid)
            if spec.get("type") == "LoadBalancer":
                await self._give(service)
            if not spec.get("selector"):
                continue
            behind = sorted((pod for pod in running if _selects(service, pod)), key=lambda pod: pod.number)
            await self._slice(service, behind)
            for address in self._listened(service):
                for port in spec.get("ports") or ():
                    front = Front(address, port["port"], port.get("protocol", "TCP"))
                    wanted[front] = [_target(port, pod) for pod in behind]
        await self._forget(there)
        await self._balancer.set(wanted)

    def _listened(self, service: Any) -> list[str]:
        spec = service["spec"]
        given = (spec.get("clusterIP"), self._addresses.get(service["metadata"]["uid"]), *spec.get("externalIPs", ()))
        return [address for address in given if address and address.startswith("10.")]

    async def _give(self, service: Any) -> None:
        metadata, spec = service["metadata"], service["spec"]
        address = spec.get("loadBalancerIP") or self._addresses.get(metadata["uid"])
        if address is None:
            address, self._next = str(_NETWORK[self._next]), self._next + 1
        self._addresses[metadata["uid"]] = address
        told = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or [{}]
        if told[0].get("ip") != address:
            path = f"/api/v1/namespaces/{metadata['namespace']}/services/{metadata['name']}"
            await self._client.set_status(path, {"loadBalancer": {"ingress": [{"ip": address, "ipMode": "VIP"}]}})

    async def _slice(self, service: Any, behind: Sequence[Pod]) -> None:
        uid, wanted = service["metadata"]["uid"], _slice_of(service, behind)
        if self._slices.get(uid) == wanted:
            return
        path = _SLICES.format(wanted["metadata"]["namespace"])
        status, found = await self._client.ask("POST", path, wanted)
        if status == 409:
            status, found = await self._client.ask("PUT", f"{path}/{wanted['metadata']['name']}", wanted)
        if status < 300:
            self._slices[uid] = wanted
        elif status != 404:
            complain(f"slice {orjson.dumps(wanted['metadata']).decode()}: {found}")

    async def _forget(self, there: set[str]) -> None:
        for uid in [one for one in self._slices if one not in there]:
            metadata = self._slices.pop(uid)["metadata"]
            await self._client.remove(f"{_SLICES.format(metadata['namespace'])}/{metadata['name']}")
        for uid in [one for one in self._addresses if one not in there]:
            del self._addresses[uid]


def _selects(service: Any, pod: Pod) -> bool:
    metadata = pod.object["metadata"]
    labels = metadata.get("labels") or {}
    wanted = service["spec"]["selector"].items()
    return metadata["namespace"] == service["metadata"]["namespace"] and all(labels.get(k) == v for k, v in wanted)


def _target(port: Any, pod: Pod) -> Target:
    return pod.address, _number(port, pod)


def _number(port: Any, pod: Pod | None) -> int:
    wanted = port.get("targetPort", port["port"])
    if isinstance(wanted, int):
        return wanted
    named = (
        int(one["containerPort"])
        for container in (pod.containers if pod is not None else ())
        for one in container.get("ports") or ()
        if one.get("name") == wanted
    )
    return next(named, int(port["port"]))


def _slice_of(service: Any, behind: Sequence[Pod]) -> dict[str, Any]:
    metadata, spec = service["metadata"], service["spec"]
    labels = {
        **(metadata.get("labels") or {}),
        "kubernetes.io/service-name": metadata["name"],
        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
    }
    if spec.get("clusterIP") == "None":
        labels["service.kubernetes.io/headless"] = ""
    first = behind[0] if behind else None
    ports = [
        {
            "name": one.get("name", ""), "protocol": one.get("protocol", "TCP"), "port": _number(one, first),
            **({"appProtocol": one["appProtocol"]} if one.get("appProtocol") else {}),
        }
        for one in spec.get("ports") or ()
    ]  # fmt: skip
    return {
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {
            "name": f"{metadata['name'][:240]}-bed", "namespace": metadata["namespace"], "labels": labels,
            "ownerReferences": [owner_reference("v1", "Service", metadata)],
        },
        "endpoints": [_endpoint(pod) for pod in behind],
        "ports": ports,
    }  # fmt: skip


def _endpoint(pod: Pod) -> dict[str, Any]:
    metadata = pod.object["metadata"]
    of = {"kind": "Pod", "name": metadata["name"], "namespace": metadata["namespace"], "uid": metadata["uid"]}
    return {
        "addresses": [pod.address], "conditions": {"ready": True, "serving": True, "terminating": False},
        "nodeName": NODE_NAME, "targetRef": of,
    }  # fmt: skip
