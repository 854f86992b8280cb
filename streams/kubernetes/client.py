"""A cluster behind a real API server: the only file that knows the client of kubernetes-asyncio, and the one below it.

Objects are read as plain JSON: the library's models cost more and lose fields that they do not know.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Final, NamedTuple

import aiohttp
import orjson
from kubernetes_asyncio import config
from kubernetes_asyncio.client.api_client import ApiClient
from kubernetes_asyncio.client.configuration import Configuration
from kubernetes_asyncio.client.rest import RESTClientObject
from kubernetes_asyncio.config.config_exception import ConfigException

from streams.kubernetes.access import AccessError
from streams.kubernetes.answer import event_of, lines, page_of, parsed
from streams.kubernetes.cluster import (
    Away,
    Conflict,
    Event,
    Forbidden,
    Gone,
    Invalid,
    Json,
    NoNamespace,
    NotServed,
    Page,
    Served,
    Target,
)
from streams.kubernetes.kubeconfig import Kubeconfig

_CONNECT_SECONDS: Final = 5.0
_ANSWER_SECONDS: Final = 60.0
_WATCH_SECONDS: Final = 300
"""After which the server is asked to end a watch: the API's own advice is to let it end now and then."""
_SILENCE_SECONDS: Final = 90.0
"""Without an event: bookmarks come every minute, so the connection is dead."""
_DISCOVERY: Final = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
_AGENT: Final = "penstock"
_JSON: Final = {"Content-Type": "application/json"}
_APPLY: Final = {"Content-Type": "application/apply-patch+yaml"}


class KubeconfigError(AccessError):
    """The kubeconfig, or the service account of the pod, cannot be used; the message says why."""


class _Request(NamedTuple):
    """What is asked of the API server."""

    path: str
    query: Sequence[tuple[str, str]] = ()
    verb: str = "GET"
    headers: Mapping[str, str] = {}
    body: Json | None = None


class ApiServer:
    """See `Cluster`. Made by `connect`."""

    def __init__(self, client: ApiClient, credentials: Kubeconfig | None = None) -> None:
        self._client = client
        self._credentials = credentials
        """Those of a plugin end after a while."""

    async def page(self, target: Target, token: str, limit: int) -> Page:
        """See `Cluster.page`."""
        query = _selection(target) + [("limit", str(limit))] * bool(limit) + [("continue", token)] * bool(token)
        answer = await self._json(_Request(_path(target), query))
        with _translated():
            return page_of(answer)

    async def watch(self, target: Target, version: str) -> AsyncIterator[Event]:
        """See `Cluster.watch`."""
        query = [
            *_selection(target),
            ("watch", "true"),
            ("resourceVersion", version),
            ("allowWatchBookmarks", "true"),
            ("timeoutSeconds", str(_WATCH_SECONDS)),
        ]
        with _translated():
            response = await self._ask(_Request(_path(target), query), _SILENCE_SECONDS)
            try:
                await self._check(response)
                async for line in lines(_chunks(response)):
                    yield _event(line)
            finally:
                response.close()

    async def served(self) -> frozenset[Served]:
        """See `Cluster.served`."""
        answer = await self._json(_Request("/apis", headers={"Accept": _DISCOVERY}))
        with _translated():
            if answer.get("kind") != "APIGroupDiscoveryList":
                raise Away(
                    "the API server does not tell what it serves in one answer: Kubernetes 1.30 or newer is needed"
                )
            return frozenset(
                Served(str(group["metadata"]["name"]), str(version["version"]), str(resource["resource"]))
                for group in answer.get("items") or ()
                for version in group.get("versions") or ()
                for resource in version.get("resources") or ()
            )

    async def get(self, target: Target) -> Json:
        """See `Writable.get`."""
        found: Json = await self._json(_Request(f"{_path(target)}/{target.name}"))
        return found

    async def apply(self, target: Target, object_: Json, manager: str, subresource: str = "") -> Json:
        """See `Writable.apply`."""
        named = {"apiVersion": target.api_version, "kind": target.kind, **object_}
        named["metadata"] = {**(object_.get("metadata") or {}), "name": target.name}
        path = f"{_path(target)}/{target.name}" + (f"/{subresource}" if subresource else "")
        query = [("fieldManager", manager), ("force", "true")]
        found: Json = await self._json(_Request(path, query, "PATCH", _APPLY, named))
        return found

    async def write(self, target: Target, object_: Json) -> Json:
        """See `Writable.write`."""
        named = {"apiVersion": target.api_version, "kind": target.kind, **object_}
        metadata = named["metadata"] = {**(object_.get("metadata") or {}), "name": target.name}
        is_there = bool(metadata.get("resourceVersion"))
        path, verb = (f"{_path(target)}/{target.name}", "PUT") if is_there else (_path(target), "POST")
        found: Json = await self._json(_Request(path, (), verb, _JSON, named))
        return found

    async def delete(self, target: Target, uid: str) -> None:
        """See `Writable.delete`."""
        options = {"preconditions": {"uid": uid}, "propagationPolicy": "Background"}
        await self._json(_Request(f"{_path(target)}/{target.name}", (), "DELETE", _JSON, options))

    async def _json(self, request: _Request) -> Any:
        with _translated():
            response = await self._ask(request, _ANSWER_SECONDS)
            try:
                await self._check(response, is_write=request.verb != "GET")
                return parsed(await response.read())
            finally:
                response.release()

    async def _check(self, response: aiohttp.ClientResponse, *, is_write: bool = False) -> None:
        if response.status < 300:
            return
        body = await response.read()
        if response.status == 401:
            await self._renew()
        try:
            status = orjson.loads(body)
            message = str(status.get("message"))
        except (orjson.JSONDecodeError, AttributeError):
            status, message = {}, response.reason or "no reason given"
        if response.status == 404 and (status.get("details") or {}).get("kind") == "namespaces":
            raise NoNamespace(message)
        if response.status == 413 or (response.status == 500 and is_write):
            # What fits no schema, or what a webhook fails at: of this object, and no reason to let others wait.
            msg = f"{message} (HTTP {response.status})"
            raise Invalid(msg)
        _raise(response.status, message)

    async def _renew(self) -> None:
        if self._credentials is None:
            return
        configuration = self._client.configuration
        before = self._credentials.certificate
        await self._credentials.load(configuration)
        if self._credentials.certificate != before:
            # A connection keeps the certificate that it was made with.
            with self._credentials.shown(configuration):
                ended, self._client.rest_client = self._client.rest_client, RESTClientObject(configuration)
            await ended.close()

    async def _ask(self, request: _Request, silence: float) -> aiohttp.ClientResponse:
        if self._credentials is not None and self._credentials.is_ending:
            await self._renew()
        response: aiohttp.ClientResponse = await self._client.call_api(
            request.path,
            request.verb,
            query_params=list(request.query),
            header_params={"Accept": "application/json", **request.headers},
            body=request.body,
            auth_settings=["BearerToken"],
            _preload_content=False,
            _request_timeout=aiohttp.ClientTimeout(
                total=None, connect=_CONNECT_SECONDS, sock_connect=_CONNECT_SECONDS, sock_read=silence
            ),
        )
        return response


@asynccontextmanager
async def connect(kubeconfig: Path | Json | None, context: str = "") -> AsyncIterator[ApiServer]:
    """The cluster of a kubeconfig's context, or without one that of the pod we run in. Raises KubeconfigError.

    A kubeconfig is a file, or what one says.
    """
    configuration = Configuration()
    credentials: Kubeconfig | None = None
    if isinstance(kubeconfig, Path):
        _check_file(kubeconfig)
    try:
        if kubeconfig is None:
            config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
        else:
            credentials = Kubeconfig(kubeconfig, context)
            await credentials.load(configuration)
        # Each watch keeps a connection.
        configuration.connection_pool_maxsize = 0
        with credentials.shown(configuration) if credentials is not None else nullcontext():
            opened = ApiClient(configuration)
    except Exception as error:  # noqa: BLE001  the library raises whatever its parsers do, with what they quote
        what = kubeconfig if isinstance(kubeconfig, Path) else "the kubeconfig"
        if kubeconfig is None:
            what = "no --kubeconfig is given, and the service account of a pod"
        why = str(error) if isinstance(error, ConfigException | OSError) else "it is no kubeconfig"
        msg = f"{what} cannot be used: {why}"
        raise KubeconfigError(msg) from None
    async with opened as client:
        client.user_agent = _AGENT
        yield ApiServer(client, credentials)


async def _chunks(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """What comes until the end, or until the connection is lost: who asks again finds out what is the matter."""
    try:
        async for chunk in response.content.iter_any():
            yield chunk
    except (aiohttp.ClientError, TimeoutError, OSError):
        return


def _check_file(kubeconfig: Path) -> None:
    # Of one that is missing the library would print words of its own.
    if not kubeconfig.is_file():
        msg = f"{kubeconfig} is not there: name the kubeconfig of the cluster"
        raise KubeconfigError(msg)


def _path(target: Target) -> str:
    root = f"/apis/{target.group}/{target.version}" if target.group else f"/api/{target.version}"
    namespace = f"/namespaces/{target.namespace}" if target.namespace else ""
    return f"{root}{namespace}/{target.plural}"


def _selection(target: Target) -> list[tuple[str, str]]:
    by_name = [("fieldSelector", f"metadata.name={target.name}")] * bool(target.name)
    return by_name + [("labelSelector", target.labels)] * bool(target.labels)


def _event(line: bytes) -> Event:
    event = parsed(line)
    if event["type"] == "ERROR":
        _raise(int(event["object"].get("code") or 0), str(event["object"].get("message") or "no reason given"))
    return event_of(event)


def _raise(code: int, message: str) -> None:
    if code == 410:
        raise Gone(message)
    if code == 404:
        raise NotServed(message)
    if code == 409:
        raise Conflict(message)
    if code in {400, 422}:
        raise Invalid(message)
    if code in {401, 403}:
        msg = f"{message} (HTTP {code}): grant what is refused to the role that asks"
        raise Forbidden(msg)
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
    except ConfigException as error:
        msg = f"the credentials cannot be renewed: {error}"
        raise Forbidden(msg) from None
    except (orjson.JSONDecodeError, ValueError, KeyError, TypeError, AttributeError) as error:
        msg = f"the API server's answer cannot be read: {type(error).__name__}"
        raise Away(msg) from None
