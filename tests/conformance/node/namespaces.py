"""Empties and finalizes a namespace that is deleted: without it, its name could not be used again."""

from __future__ import annotations

from typing import Any

from tests.conformance.node.client import Client


async def finalize(client: Client, namespace: str) -> bool:
    """Delete all that is in it, then the namespace itself; True: something was done."""
    for root in await _groups(client):
        listed = await client.get(root)
        for kind in (listed or {}).get("resources", ()):
            if kind["namespaced"] and "/" not in kind["name"]:
                await _empty(client, f"{root}/namespaces/{namespace}/{kind['name']}", kind)
    found = await client.get(f"/api/v1/namespaces/{namespace}")
    if found is not None:
        found["spec"]["finalizers"] = []
        await client.ask("PUT", f"/api/v1/namespaces/{namespace}/finalize", found)
    return True


async def _groups(client: Client) -> list[str]:
    found = await client.get("/apis") or {}
    names = [one["groupVersion"] for group in found.get("groups", ()) for one in group["versions"]]
    # Access reviews and the like answer to POST alone.
    return ["/api/v1", *(f"/apis/{name}" for name in names)]


async def _empty(client: Client, path: str, kind: Any) -> None:
    if "deletecollection" in kind["verbs"]:
        await client.remove(path)
    elif "delete" in kind["verbs"]:
        for one in (await client.get(path) or {}).get("items", ()):
            await client.remove(f"{path}/{one['metadata']['name']}")
