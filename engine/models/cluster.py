"""Cluster (penstock.dev/v1alpha1): what a domain knows of one of its clusters; the configuration cluster says it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field

from engine.models.backend import Condition
from engine.models.base import Model, Object
from engine.models.duration import Span
from engine.models.kind import Column, CustomResource, Kind
from engine.models.rules import ListMap, Rule, Ruled, exactly_one
from engine.models.texts import DataKey, LabelValue, Namespace, ObjectName, Port, is_address
from engine.signature import KEY_BYTES, is_key

GROUP: Final = "penstock.dev"


class RemoteGateway(Ruled):
    """Where requests from other networks enter the cluster."""

    address: Annotated[str, Field(min_length=1, max_length=253, description="Its IP address.")]
    port: Annotated[Port, Field(description="Its TCP port.")]

    def beyond(self) -> Iterator[tuple[str, str]]:
        """What Envoy could not connect to."""
        if not is_address(self.address):
            yield "address", f"{self.address[:64]!r} is no IP address: endpoints of Envoy have no names"


class KubeconfigReference(Model):
    """A Secret of the configuration cluster with a kubeconfig."""

    namespace: Namespace
    name: ObjectName
    key: Annotated[DataKey, Field(description="The key of its data.")] = "kubeconfig"


class Access(Ruled):
    """How the cluster's API server is reached."""

    RULES: ClassVar[tuple[Rule, ...]] = (exactly_one(("context", "context"), ("kubeconfig", "kubeconfig")),)

    context: Annotated[
        str | None,
        Field(min_length=1, max_length=253, description="A context of the kubeconfig of the process that watches."),
    ] = None
    kubeconfig: KubeconfigReference | None = None


class WhenUnreachable(Ruled):
    """What becomes of what the cluster exports while its API server does not answer."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self.action != 'Keep' || !has(self.after)",
            "after is only for Drain and Drop",
            lambda self: self.action != "Keep" or self.after is None,
        ),
    )

    action: Annotated[
        Literal["Keep", "Drain", "Drop"],
        Field(description="Keep its endpoints; use them only where no other cluster has any; or take them away."),
    ] = "Keep"
    after: Annotated[Span | None, Field(description="How long it has to be unreachable first; at once without it.")] = (
        None
    )


class ClusterSpec(Ruled):
    """What the domain knows of a cluster."""

    region: Annotated[
        LabelValue | None,
        Field(description="Its endpoints are preferred to those of other regions, after those of the own cluster."),
    ] = None
    network: Annotated[
        LabelValue | None,
        Field(description="Pods of clusters of one network reach one another directly."),
    ] = None
    remote_gateway: RemoteGateway | None = None
    access: Access | None = None
    when_unreachable: WhenUnreachable | None = None
    public_keys: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=64)], ...],
        Field(max_length=8, description="ed25519 public keys in base64 of those who sign for the cluster."),
    ] = ()

    def beyond(self) -> Iterator[tuple[str, str]]:
        """Keys that could not sign anything."""
        for number, text in enumerate(self.public_keys):
            if not is_key(text):
                yield f"publicKeys[{number}]", f"is no ed25519 public key: write its {KEY_BYTES} bytes in base64"
            elif text in self.public_keys[:number]:
                yield f"publicKeys[{number}]", "is there twice"


class ClusterStatus(Model):
    """What became of it."""

    conditions: Annotated[tuple[Condition, ...], Field(max_length=8), ListMap("type")] = ()


class Cluster(Object):
    """A cluster, by the name that all refs in the log have."""

    spec: ClusterSpec | None = None


def _column(kind: str, text: str) -> Column:
    return Column(kind, f".status.conditions[?(@.type=='{kind}')].status", text)


KINDS = (
    Kind(
        GROUP,
        "Cluster",
        "clusters",
        ("v1alpha1",),
        Cluster,
        namespaced=False,
        guards=True,
        crd=CustomResource(
            (
                Column("Region", ".spec.region", "The region."),
                Column("Network", ".spec.network", "The network."),
                _column("Accepted", "Whether it counts"),
                _column("Reachable", "Whether its API server answers"),
                Column("Age", ".metadata.creationTimestamp", "The age of the object.", "date"),
            ),
            ClusterStatus,
        ),
    ),
)
