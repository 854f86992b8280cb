"""What the node says to the API server, by plain HTTP, and its mirrors of kinds."""

from __future__ import annotations

import asyncio
import ssl
import sys
from collections.abc import Mapping
from typing import Any, Self

import aiohttp
import orjson

from tests.kubernetes.bed.server import TOKEN, ApiServerProcess

_MERGE = "application/merge-patch+json"
_LINE_BYTES = 1 << 22


class Client:
    """Answers are (HTTP status, JSON): a refusal is the caller's business."""

    def __init__(self, server: ApiServerProcess) -> None:
        self._base = f"https://127.0.0.1:{server.port}"
        self.authority = server.authority

    async def __aenter__(self) -> Self:
        trusting = ssl.create_default_context()
        trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
        self.session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=trusting, limit=0),
            headers={"Authorization": f"Bearer {TOKEN}"},
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=5),
            read_bufsize=_LINE_BYTES,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.session.close()

    async def ask(self, method: str, path: str, body: Any = None, content: str = "application/json") -> tuple[int, Any]:
        """One request. Raises aiohttp.ClientError."""
        data = None if body is None else orjson.dumps(body)
        async with self.session.request(
            method, self._base + path, data=data, headers={"Content-Type": content}
        ) as answer:
            return answer.status, orjson.loads(await answer.read() or b"null")

    async def get(self, path: str) -> Any:
        """An object, None when there is none."""
        status, found = await self.ask("GET", path)
        return found if status == 200 else None

    async def remove(self, path: str) -> None:
        """Delete at once; what is gone is no fault."""
        await self.ask("DELETE", path, {"gracePeriodSeconds": 0})

    async def set_status(self, path: str, status: Mapping[str, Any]) -> Any:
        """Merge into the status; answers the object, None when it was refused."""
        code, found = await self.ask("PATCH", f"{path}/status", {"status": status}, _MERGE)
        if code == 200:
            return found
        if code != 404:
            complain(f"status of {path}: {found}")
        return None

    async def follow(self, path: str, items: dict[str, Any], changed: asyncio.Event) -> None:
        """Keep `items`, by uid, as the API server has them, until the watch ends."""
        listed = await self.get(path)
        if listed is None:
            return
        items.clear()
        items.update({one["metadata"]["uid"]: one for one in listed["items"]})
        changed.set()
        version = listed["metadata"]["resourceVersion"]
        async with self.session.get(f"{self._base}{path}?watch=1&resourceVersion={version}") as answer:
            async for line in answer.content:
                event = orjson.loads(line)
                if event["type"] == "ERROR":
                    return
                found = event["object"]
                if event["type"] == "DELETED":
                    items.pop(found["metadata"]["uid"], None)
                else:
                    items[found["metadata"]["uid"]] = found
                changed.set()


class Mirror:
    """All objects of a kind, by uid, as last heard."""

    def __init__(self, client: Client, path: str, changed: asyncio.Event) -> None:
        self._client, self._path, self._changed = client, path, changed
        self.items: dict[str, Any] = {}

    async def run(self) -> None:
        """For ever: what fails is tried again."""
        while True:
            try:
                await self._client.follow(self._path, self.items, self._changed)
            except (aiohttp.ClientError, OSError, ValueError) as error:
                complain(f"watch of {self._path}: {error!r}")
            await asyncio.sleep(0.2)

    def living(self) -> list[Any]:
        """Those that are not being deleted."""
        return [one for one in self.items.values() if not one["metadata"].get("deletionTimestamp")]


def complain(what: str) -> None:
    """A line in the node's log, which is the runner's standard error's."""
    sys.stderr.write(f"node: {what[:400]}\n")
