"""A cluster as its source sees it: a small protocol with a twin in memory and one that asks an API server.

No client library's type or exception passes through here.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

Json = Mapping[str, Any]


class Target(NamedTuple):
    """What is listed and watched: all objects of a kind, as one version serves them, or the one object named."""

    group: str
    kind: str
    plural: str
    version: str
    namespace: str = ""
    name: str = ""
    labels: str = ""
    """A label selector; empty: whatever labels."""

    @property
    def api_version(self) -> str:
        """`apiVersion` of its objects."""
        return f"{self.group}/{self.version}" if self.group else self.version


class Page(NamedTuple):
    """Some of a listing. `version` is the resourceVersion of the whole; an empty `token` says that it is the last."""

    objects: tuple[Json, ...]
    version: str
    token: str = ""


class Verb(StrEnum):
    """What a watch says of an object, in the API's words."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"
    BOOKMARK = "BOOKMARK"


class Event(NamedTuple):
    """One event of a watch. A bookmark's object has a resourceVersion and nothing else that counts."""

    verb: Verb
    object: Json


class Served(NamedTuple):
    """A resource that the API server serves."""

    group: str
    version: str
    plural: str


class ClusterError(Exception):
    """What the caller must act on; the message is for people."""


class Gone(ClusterError):  # noqa: N818  the API's word
    """The version or the page's token is too old (HTTP 410): list again."""


class NotServed(ClusterError):  # noqa: N818
    """There is no such resource, as long as its CRD is not there (HTTP 404)."""


class NoNamespace(NotServed):
    """There is no such namespace (HTTP 404)."""


class Forbidden(ClusterError):  # noqa: N818
    """The API server does not let us (HTTP 401, 403); the message says what."""


class Conflict(ClusterError):  # noqa: N818
    """The object is not, or no longer, as the write takes it to be (HTTP 409): read it again."""


class Invalid(ClusterError):  # noqa: N818
    """The API server does not take this object (HTTP 400, 413, 422, or 500 to a write); the message says why.

    The same again is mostly in vain.
    """


class Away(ClusterError):  # noqa: N818
    """The API server cannot be reached, or cannot answer now."""


class Cluster(Protocol):
    """Every call may raise NotServed, Forbidden or Away."""

    async def page(self, target: Target, token: str, limit: int) -> Page:
        """A page of at most `limit` objects, all for 0: the first for an empty token. Raises Gone."""

    def watch(self, target: Target, version: str) -> AsyncIterator[Event]:
        """What happens after `version`. Raises Gone.

        It ends when the server ends it, as it does now and then without a fault, or can be reached no longer.
        """

    async def served(self) -> frozenset[Served]:
        """The resources of all groups but the core one."""


class Writable(Protocol):
    """A cluster that is written to. Every call may raise NotServed, when there is no such object, Forbidden or Away."""

    async def get(self, target: Target) -> Json:
        """The object that the target names."""

    async def apply(self, target: Target, object_: Json, manager: str, subresource: str = "") -> Json:
        """Server-side apply to the object that the target names, as the field manager; answers what it is then.

        What others manage is taken over. With `metadata.resourceVersion` only while the object has it. Raises Conflict
        or Invalid.
        """

    async def write(self, target: Target, object_: Json) -> Json:
        """Replace the object that the target names, or without `metadata.resourceVersion` create it; answers it.

        Raises Conflict or Invalid.
        """

    async def delete(self, target: Target, uid: str) -> None:
        """Delete the object that the target names, if it is still the one with that uid. Raises Conflict."""


def is_older(version: str, than: str) -> bool:
    """Whether a resourceVersion comes before another one of its kind.

    They may be compared since Kubernetes 1.35 (KEP-5504); before, they were numbers all the same.
    """
    return version.isdecimal() and than.isdecimal() and int(version) < int(than)
