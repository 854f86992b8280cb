"""What the tests do to the real API server, by plain HTTP: not with the client that they test."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import aiohttp
import yaml

from engine.models.kinds import KINDS
from tests.kubernetes.bed.binaries import HERE, crds
from tests.kubernetes.bed.server import TOKEN, ApiServerProcess, deadline

_PLURALS = {(kind.group, kind.name): kind.plural for kind in KINDS}
_OTHERS = {"NetworkPolicy": "networkpolicies"}
"""Of kinds that are not ours: the rest is the name with an s."""
_CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_OURS = HERE.parents[2] / "deploy" / "crds"


class NotNowError(RuntimeError):
    """The API server cannot take it now."""


class Api:
    """A client with all rights."""

    def __init__(self, server: ApiServerProcess) -> None:
        self._server = server
        self._base = f"https://{server.address}:{server.port}"

    async def __aenter__(self) -> Self:
        trusting = ssl.create_default_context()
        trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=trusting), headers={"Authorization": f"Bearer {TOKEN}"}
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def ready(self) -> None:
        """Wait until it serves."""
        until = deadline()
        while True:
            self._server.check()
            try:
                async with self._session.get(f"{self._base}/readyz") as answer:
                    if answer.status == 200:
                        return
            except (aiohttp.ClientError, OSError):
                pass
            assert time.monotonic() < until, "the API server is not ready"
            await asyncio.sleep(0.05)

    async def persist(self, object_: Mapping[str, Any], manager: str) -> None:
        """Apply, again and again while the API server is away or starts."""
        until = deadline()
        while True:
            try:
                await self.apply(object_, manager)
            except (aiohttp.ClientError, OSError, NotNowError):
                assert time.monotonic() < until, "the API server takes no change"
                await asyncio.sleep(0.05)
            else:
                return

    async def call(self, method: str, path: str, body: Any = None, content: str = "application/json") -> Any:
        """An answer as JSON; a refusal is an AssertionError. Raises NotNowError."""
        async with self._session.request(
            method, self._base + path, json=body, headers={"Content-Type": content} if body is not None else {}
        ) as answer:
            found = await answer.json(content_type=None)
            if answer.status >= 429:
                raise NotNowError(found)
            assert answer.status < 300 or (method == "DELETE" and answer.status == 404), (method, path, found)
            return found

    async def answered(self, method: str, path: str, body: Any) -> dict[str, Any]:
        """An answer as JSON, a refusal too: a Status then."""
        async with self._session.request(method, self._base + path, json=body) as answer:
            found: dict[str, Any] = await answer.json()
            return found

    async def create(self, path: str, text: str) -> None:
        """Create an object of text that is too deep for Python to write."""
        json_ = {"Content-Type": "application/json"}
        async with self._session.post(self._base + path, data=text, headers=json_) as answer:
            assert answer.status == 201, await answer.text()

    async def apply(self, object_: Mapping[str, Any], manager: str, subresource: str = "", more: str = "") -> Any:
        """Server-side apply, of fields that the API server knows. `more` is put behind the query."""
        path = f"{_path(object_)}{subresource}?fieldManager={manager}&force=true{more}"
        return await self.call("PATCH", path, dict(object_), "application/apply-patch+yaml")

    async def get(self, object_: Mapping[str, Any]) -> Any:
        """The object as it is now."""
        return await self.call("GET", _path(object_))

    async def replace_status(self, object_: Mapping[str, Any], status: Any) -> None:
        """As a controller that knows nothing of others."""
        await self.call("PATCH", _path(object_) + "/status", {"status": status}, "application/merge-patch+json")

    async def edit_status(self, object_: Mapping[str, Any], field: str, entry: Mapping[str, Any]) -> bool:
        """As a controller that replaces its own entry in a list: read, changed, written; False for a conflict."""
        whole = await self.get(object_)
        status = whole.setdefault("status", {"parents": []})
        others = [one for one in status[field] if one["controllerName"] != entry["controllerName"]]
        status[field] = [*others, dict(entry)]
        async with self._session.put(self._base + _path(object_) + "/status", json=whole) as answer:
            assert answer.status in {200, 409}, await answer.json()
            return answer.status == 200

    async def delete(self, object_: Mapping[str, Any]) -> None:
        """Delete; what is not there is no fault."""
        await self.call("DELETE", _path(object_))

    async def empty(self, namespace: str) -> None:
        """Delete all of a namespace: no controller would, if the namespace were deleted."""
        for kind in KINDS:
            if kind.namespaced:
                root = f"/apis/{kind.group}/{kind.versions[0]}" if kind.group else "/api/v1"
                items = []
                async with self._session.get(f"{self._base}{root}/namespaces/{namespace}/{kind.plural}") as answer:
                    if answer.status == 200:
                        items = (await answer.json())["items"]
                for item in items:
                    await self.call("DELETE", f"{root}/namespaces/{namespace}/{kind.plural}/{item['metadata']['name']}")

    async def install(self, plural: str = "") -> None:
        """The CRDs of the Gateway API and ours, or the one of that plural, until they are served."""
        await self._install([*crds(), *sorted(_OURS.glob("*.yaml"))], plural)

    async def install_gateway_api(self) -> None:
        """The CRDs of the Gateway API alone, until they are served."""
        await self._install(crds())

    async def _install(self, paths: Sequence[Path], plural: str = "") -> None:
        found = [one for path in paths for one in yaml.safe_load_all(path.read_text()) if one]
        crds_ = [one for one in found if one["kind"] == "CustomResourceDefinition" and plural in {"", one["spec"]["names"]["plural"]}]
        for one in crds_:
            await self.apply(one, "bed")
        for one in crds_:
            await self.established(one["metadata"]["name"])

    async def uninstall(self, name: str) -> None:
        """Remove a CRD, and wait until neither it nor what it served is there: the one goes before the other."""
        found = await self.call("GET", f"{_CRDS}/{name}")
        await self.call("DELETE", f"{_CRDS}/{name}")
        for path in [f"{_CRDS}/{name}", *_resources(found)]:
            await self._answers(path, 404)

    async def established(self, name: str) -> None:
        """Wait until what a CRD defines is served."""
        for path in _resources(await self.call("GET", f"{_CRDS}/{name}")):
            await self._answers(path, 200)

    async def _answers(self, path: str, status: int) -> None:
        until = deadline()
        while True:
            async with self._session.get(f"{self._base}{path}?limit=1") as answer:
                if answer.status == status:
                    return
            assert time.monotonic() < until, f"{path} does not answer {status}"
            await asyncio.sleep(0.05)


def _resources(definition: Mapping[str, Any]) -> list[str]:
    spec = definition["spec"]
    versions = [one["name"] for one in spec["versions"] if one["served"]]
    return [f"/apis/{spec['group']}/{version}/{spec['names']['plural']}" for version in versions]


def _path(object_: Mapping[str, Any]) -> str:
    metadata, version = object_["metadata"], str(object_["apiVersion"])
    group = version.rpartition("/")[0]
    root = f"/apis/{version}" if group else f"/api/{version}"
    namespace = f"/namespaces/{metadata['namespace']}" if metadata.get("namespace") else ""
    kind = str(object_["kind"])
    plural = _PLURALS.get((group, kind)) or _OTHERS.get(kind) or f"{kind.lower()}s"
    return f"{root}{namespace}/{plural}/{metadata['name']}"
