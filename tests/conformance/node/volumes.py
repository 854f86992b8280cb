"""A pod's volumes and environment, made of Secrets, ConfigMaps and tokens of its ServiceAccount."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tests.conformance.network import NODE
from tests.conformance.node.client import Client

_REFERENCE = re.compile(r"\$\((\w+)\)")
_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
_ACCOUNT_SECONDS = 3607
_KEYED = re.compile(r"metadata\.(labels|annotations)\['(.+)'\]")


class _Source(NamedTuple):
    plural: str
    name: str
    items: list[dict[str, str]]
    optional: bool


def _sources(volume: dict[str, Any]) -> Iterator[_Source]:
    for one in (volume, *(volume.get("projected") or {}).get("sources", ())):
        if "secret" in one:
            given = one["secret"]
            name = given.get("secretName") or given["name"]
            yield _Source("secrets", name, given.get("items") or [], bool(given.get("optional")))
        if "configMap" in one:
            given = one["configMap"]
            yield _Source("configmaps", given["name"], given.get("items") or [], bool(given.get("optional")))


async def write_volumes(client: Client, pod: Any, folder: Path) -> dict[str, Path] | None:
    """Every volume as a folder, by name; None while something that it needs is not there."""
    found: dict[str, Path] = {}
    for volume in pod["spec"].get("volumes") or ():
        target = found[volume["name"]] = folder / "volumes" / volume["name"]
        target.mkdir(parents=True, exist_ok=True)
        for source in _sources(volume):
            path = f"/api/v1/namespaces/{pod['metadata']['namespace']}/{source.plural}/{source.name}"
            object_ = await client.get(path)
            if object_ is None and not source.optional:
                return None
            _write(object_ or {}, source, target)
        for given in _tokens(volume):
            if (token := await _token(client, pod, given)) is None:
                return None
            (target / given["path"]).write_text(token)
    return found


def _tokens(volume: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for one in (volume.get("projected") or {}).get("sources", ()):
        if "serviceAccountToken" in one:
            yield one["serviceAccountToken"]


async def _token(client: Client, pod: Any, given: Mapping[str, Any]) -> str | None:
    """A token of the pod's ServiceAccount that is of this pod alone; None while there is no such account."""
    metadata, name = pod["metadata"], pod["spec"].get("serviceAccountName") or "default"
    audiences = {"audiences": [given["audience"]]} if given.get("audience") else {}
    bound = {"apiVersion": "v1", "kind": "Pod", "name": metadata["name"], "uid": metadata["uid"]}
    path = f"/api/v1/namespaces/{metadata['namespace']}/serviceaccounts/{name}/token"
    seconds = given.get("expirationSeconds", _ACCOUNT_SECONDS)
    spec = {**audiences, "expirationSeconds": seconds, "boundObjectRef": bound}
    asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
    status, found = await client.ask("POST", path, asked)
    return str(found["status"]["token"]) if status < 300 else None


async def account(client: Client, pod: Any, folder: Path) -> list[str] | None:
    """What a pod knows of its ServiceAccount where it wants to, as mounts; None while there is no such account."""
    spec = pod["spec"]
    if not spec.get("serviceAccountName") or spec.get("automountServiceAccountToken") is False:
        return []
    if (token := await _token(client, pod, {})) is None:
        return None
    target = folder / "account"
    target.mkdir(parents=True, exist_ok=True)
    (target / "token").write_text(token)
    (target / "namespace").write_text(pod["metadata"]["namespace"])
    (target / "ca.crt").write_bytes(client.authority.read_bytes())
    return [f"{target} {_ACCOUNT}"]


def _write(object_: dict[str, Any], source: _Source, target: Path) -> None:
    data = object_.get("data") or {}
    for key, path in [(one["key"], one["path"]) for one in source.items] or [(key, key) for key in data]:
        if key in data:
            value = base64.b64decode(data[key]) if source.plural == "secrets" else data[key].encode()
            (target / path).parent.mkdir(parents=True, exist_ok=True)
            (target / path).write_bytes(value)


def mounts(container: Any, volumes: dict[str, Path]) -> list[str]:
    """The container's mounts as `SOURCE TARGET`."""
    return [
        f"{volumes[one['name']] / one.get('subPath', '')} {one['mountPath']}"
        for one in container.get("volumeMounts") or ()
        if one["name"] in volumes
    ]


def environment(pod: Any, container: Any, address: str) -> dict[str, str]:
    """The container's variables, with references to one another and to fields of the pod."""
    found: dict[str, str] = {}
    for one in container.get("env") or ():
        path = ((one.get("valueFrom") or {}).get("fieldRef") or {}).get("fieldPath")
        found[one["name"]] = one.get("value", "") if path is None else _field(pod, path, address)
    return {name: expanded(value, found) for name, value in found.items()}


def expanded(text: str, variables: dict[str, str]) -> str:
    """`$(NAME)` replaced by the variable, where there is one."""
    return _REFERENCE.sub(lambda match: variables.get(match[1], match[0]), text)


def _field(pod: Any, path: str, address: str) -> str:
    metadata = pod["metadata"]
    if match := _KEYED.fullmatch(path):
        return str((metadata.get(match[1]) or {}).get(match[2], ""))
    return {
        "metadata.name": metadata["name"],
        "metadata.namespace": metadata["namespace"],
        "metadata.uid": metadata["uid"],
        "status.podIP": address,
        "status.hostIP": NODE,
        "spec.nodeName": pod["spec"].get("nodeName", ""),
        "spec.serviceAccountName": pod["spec"].get("serviceAccountName", "default"),
    }.get(path, "")
