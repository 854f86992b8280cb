"""A cluster behind a real API server, as its deployer writes it: in its words, what the one client of it does."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress

from streams.kubernetes import cluster
from streams.kubernetes.client import ApiServer
from streams.sinks.kubernetes.objects import (
    FIELD_MANAGER,
    Away,
    Forbidden,
    Json,
    Kind,
    Listed,
    NoNamespace,
    NotServed,
    Rejected,
    Seen,
    Target,
    target_of,
)


class ApiServerObjects:
    """See `Objects`."""

    def __init__(self, server: ApiServer) -> None:
        self._server = server

    async def find(self, target: Target) -> Json | None:
        """See `Objects.find`."""
        try:
            with _translated():
                return await self._server.get(_target(*target))
        except NotServed:
            return None

    async def apply(self, manifest: Json) -> Json:
        """See `Objects.apply`."""
        with _translated():
            return await self._server.apply(_target(*target_of(manifest)), manifest, FIELD_MANAGER)

    async def remove(self, object_: Json) -> None:
        """See `Objects.remove`."""
        # Gone, or another one by now.
        with _translated(), suppress(cluster.NotServed, cluster.Conflict):
            await self._server.delete(_target(*target_of(object_)), str(object_["metadata"]["uid"]))

    async def follow(self, kind: Kind, selector: str) -> AsyncIterator[Listed | Seen]:
        """See `Objects.follow`."""
        target = _target(kind)._replace(labels=selector)
        # In a list objects do not say what they are.
        head = {"apiVersion": kind.api_version, "kind": kind.name}
        with _translated():
            page = await self._server.page(target, "", 0)
            yield Listed(tuple({**one, **head} for one in page.objects))
            try:
                async for verb, object_ in self._server.watch(target, page.version):
                    if verb is not cluster.Verb.BOOKMARK:
                        yield Seen(object_, verb is cluster.Verb.DELETED)
            except cluster.Gone:
                return


def _target(kind: Kind, namespace: str = "", name: str = "") -> cluster.Target:
    return cluster.Target(kind.group, kind.name, kind.plural, kind.version, namespace, name)


@contextmanager
def _translated() -> Iterator[None]:
    """The port's errors as the deployer knows them."""
    try:
        yield
    except cluster.NoNamespace as error:
        raise NoNamespace(str(error)) from None
    except cluster.NotServed as error:
        raise NotServed(str(error)) from None
    except cluster.Forbidden as error:
        raise Forbidden(str(error)) from None
    except (cluster.Conflict, cluster.Invalid) as error:
        raise Rejected(str(error)) from None
    except cluster.ClusterError as error:
        raise Away(str(error)) from None
