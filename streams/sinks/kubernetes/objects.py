"""A cluster as its deployer writes it: a small protocol with a twin in memory and one that asks an API server.

No client library's type or exception passes through here.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, Final, NamedTuple, Protocol

Json = Mapping[str, Any]

FIELD_MANAGER: Final = "penstock"


class Kind(NamedTuple):
    """A kind that is written, as the one version that we write."""

    group: str
    version: str
    name: str
    plural: str

    @property
    def api_version(self) -> str:
        """`apiVersion` of its objects."""
        return f"{self.group}/{self.version}" if self.group else self.version


GATEWAY: Final = Kind("gateway.networking.k8s.io", "v1", "Gateway", "gateways")
SECRET: Final = Kind("", "v1", "Secret", "secrets")
WATCHED: Final = (
    Kind("", "v1", "ConfigMap", "configmaps"),
    Kind("", "v1", "ServiceAccount", "serviceaccounts"),
    Kind("", "v1", "Service", "services"),
    Kind("apps", "v1", "Deployment", "deployments"),
    Kind("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets"),
    Kind("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers"),
    Kind("autoscaling.k8s.io", "v1", "VerticalPodAutoscaler", "verticalpodautoscalers"),
)
"""Kinds whose objects are followed by label. Not Secrets: who may follow some of them may read all."""
WRITTEN: Final = (*WATCHED, SECRET)
_BY_NAME: Final = {kind.name: kind for kind in (*WRITTEN, GATEWAY)}


class Target(NamedTuple):
    """One object."""

    kind: Kind
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind.name} {self.namespace}/{self.name}"


def target_of(object_: Json) -> Target:
    """Which object a manifest is of; its kind is one that is written."""
    metadata = object_["metadata"]
    return Target(_BY_NAME[str(object_["kind"])], str(metadata["namespace"]), str(metadata["name"]))


class Listed(NamedTuple):
    """All objects of a kind."""

    objects: tuple[Json, ...]


class Seen(NamedTuple):
    """An object as it is now; `is_gone`: as it was when it was deleted."""

    object: Json
    is_gone: bool = False


class ObjectsError(Exception):
    """What the caller must act on; the message is for people."""


class Away(ObjectsError):  # noqa: N818
    """The API server cannot be reached, or cannot answer now."""


class Forbidden(ObjectsError):  # noqa: N818
    """The API server does not let us (HTTP 401, 403); the message says what."""


class NotServed(ObjectsError):  # noqa: N818
    """There is no such kind (HTTP 404)."""


class NoNamespace(NotServed):
    """There is no such namespace, which is not made for what is written."""


class Rejected(ObjectsError):  # noqa: N818
    """The API server does not take what we write (HTTP 400, 409, 413, 422, 500): it says why."""


class Objects(Protocol):
    """Every call may raise NotServed, Forbidden or Away."""

    async def find(self, target: Target) -> Json | None:
        """The object as it is, None when it is absent."""

    async def apply(self, manifest: Json) -> Json:
        """Server-side apply of all that we want of an object, whoever owns it; answers the object. Raises Rejected."""

    async def remove(self, object_: Json) -> None:
        """Delete an object, with what it owns; neither one that is gone nor another of its name is a fault.

        Raises Rejected.
        """

    def follow(self, kind: Kind, selector: str) -> AsyncIterator[Listed | Seen]:
        """All objects of a kind with these labels (`key=value,…`), then what becomes of them. It ends now and then.

        One that loses its labels is gone. At each beginning all that is wanted is looked at: so are Secrets renewed.
        """
