"""A cluster behind a real API server, as its deployer writes it: the only file here that knows kubernetes-asyncio.

Objects are plain JSON: the library's models cost more and lose fields that they do not know.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import aiohttp
import orjson
from kubernetes_asyncio.client.api_client import ApiClient

from streams.sinks.kubernetes.objects import (
    FIELD_MANAGER,
    Away,
    Forbidden,
    Json,
    Kind,
    Listed,
    NotServed,
    Rejected,
    Seen,
    Target,
    target_of,
)

_CONNECT_SECONDS: Final = 5.0
_ANSWER_SECONDS: Final = 30.0
_WATCH_SECONDS: Final = 300
_SILENCE_SECONDS: Final = 90.0
"""Without an event: bookmarks come every minute, so the connection is dead."""
_REJECTED: Final = {400, 409, 422}
_GONE: Final = 410


class ApiServerObjects:
    """See `Objects`."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client

    async def find(self, target: Target) -> Json | None:
        """See `Objects.find`."""
        try:
            found: Json = await self._json("GET", _path(target.kind, target.namespace, target.name))
        except NotServed:
            return None
        return found

    async def apply(self, manifest: Json) -> Json:
        """See `Objects.apply`."""
        target = target_of(manifest)
        query = {"fieldManager": FIELD_MANAGER, "force": "true"}
        answer: Json = await self._json("PATCH", _path(*target), query, manifest)
        return answer

    async def remove(self, object_: Json) -> None:
        """See `Objects.remove`."""
        target = target_of(object_)
        options = {"propagationPolicy": "Background", "preconditions": {"uid": object_["metadata"]["uid"]}}
        try:
            await self._json("DELETE", _path(*target), {}, options)
        except (NotServed, Rejected):
            # Gone, or another one by now.
            return

    async def follow(self, kind: Kind, selector: str) -> AsyncIterator[Listed | Seen]:
        """See `Objects.follow`."""
        path = _path(kind)
        answer = await self._json("GET", path, {"labelSelector": selector})
        # In a list objects do not say what they are.
        head = {"apiVersion": kind.api_version, "kind": kind.name}
        yield Listed(tuple({**one, **head} for one in answer.get("items") or ()))
        query = {
            "labelSelector": selector,
            "watch": "true",
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(_WATCH_SECONDS),
            "resourceVersion": str(answer["metadata"]["resourceVersion"]),
        }
        with _translated():
            response = await self._call("GET", path, query, None, _SILENCE_SECONDS)
            try:
                await _check(response)
                async for line in _lines(response):
                    event = orjson.loads(line)
                    if event["type"] == "ERROR":
                        if event["object"].get("code") == _GONE:
                            return
                        _raise(int(event["object"].get("code") or 0), str(event["object"].get("message")))
                    if event["type"] != "BOOKMARK":
                        yield Seen(event["object"], event["type"] == "DELETED")
            finally:
                response.close()

    async def _json(
        self, method: str, path: str, query: Mapping[str, str] | None = None, body: Json | None = None
    ) -> Any:
        with _translated():
            response = await self._call(method, path, query or {}, body, _ANSWER_SECONDS)
            try:
                await _check(response)
                return orjson.loads(await response.read())
            finally:
                response.release()

    async def _call(
        self, method: str, path: str, query: Mapping[str, str], body: Json | None, silence: float
    ) -> aiohttp.ClientResponse:
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/apply-patch+yaml" if method == "PATCH" else "application/json"
        response: aiohttp.ClientResponse = await self._client.call_api(
            path,
            method,
            query_params=list(query.items()),
            header_params=headers,
            body=body,
            auth_settings=["BearerToken"],
            _preload_content=False,
            _request_timeout=aiohttp.ClientTimeout(
                total=None, connect=_CONNECT_SECONDS, sock_connect=_CONNECT_SECONDS, sock_read=silence
            ),
        )
        return response


async def _lines(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """Lines until the end, or until the connection is lost: who asks again finds out what is the matter."""
    try:
        async for line in response.content:
            yield line
    except (aiohttp.ClientError, TimeoutError, OSError):
        return


def _path(kind: Kind, namespace: str = "", name: str = "") -> str:
    root = f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"
    within = f"/namespaces/{namespace}" if namespace else ""
    return f"{root}{within}/{kind.plural}{f'/{name}' if name else ''}"


async def _check(response: aiohttp.ClientResponse) -> None:
    if response.status < 300:
        return
    body = await response.read()
    try:
        message = str(orjson.loads(body).get("message"))
    except (orjson.JSONDecodeError, AttributeError):
        message = response.reason or "no reason given"
    _raise(response.status, message)


def _raise(code: int, message: str) -> None:
    if code == 404:
        raise NotServed(message)
    if code in {401, 403}:
        msg = f"{message} (HTTP {code})"
        raise Forbidden(msg)
    if code in _REJECTED:
        raise Rejected(message)
    msg = f"{message} (HTTP {code})"
    raise Away(msg)


@contextmanager
def _translated() -> Iterator[None]:
    """No exception of the client leaves."""
    try:
        yield
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        msg = f"the API server cannot be reached: {error or type(error).__name__}"
        raise Away(msg) from None
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        msg = f"the API server's answer cannot be read: {type(error).__name__}"
        raise Away(msg) from None
