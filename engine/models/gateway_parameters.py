"""GatewayParameters (gateway.kgateway.dev/v1alpha1), field for field kgateway's: how the proxies of a Gateway are run.

Blocks of Kubernetes' own types are passed on as they are written: an API server judges them when they are applied.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from engine.models.base import Model, Object
from engine.models.kind import CustomResource, Kind
from engine.models.rules import Rule, Ruled, exactly_one
from engine.models.string_matcher import StringMatcher
from engine.models.texts import INT32, AnnotationKey, LabelKey, LabelValue, Port

_ANY = {"x-kubernetes-preserve-unknown-fields": True}
Block = Annotated[dict[str, Any], Field(json_schema_extra=_ANY)]
"""A block of one of Kubernetes' own types."""
_Seconds = Annotated[int, Field(ge=0, le=31_536_000, json_schema_extra={"format": "int64"})]
_Count = Annotated[int, Field(ge=0, le=INT32, json_schema_extra={"format": "int32"})]
_Labels = dict[LabelKey, LabelValue]
_Annotations = dict[AnnotationKey, str]


class Image(Model):
    """A container image; a digest goes before a tag."""

    registry: str | None = None
    repository: str | None = None
    tag: str | None = None
    digest: str | None = None
    pull_policy: Literal["Always", "Never", "IfNotPresent"] | None = None


class ProxyDeployment(Model):
    """How many proxies there are, and how they are replaced."""

    replicas: _Count | None = None
    strategy: Block | None = None


class LogFormat(Ruled):
    """How Envoy writes its own log."""

    RULES: ClassVar[tuple[Rule, ...]] = (exactly_one(("json", "json_"), ("text", "text")),)

    json_: Annotated[Block | None, Field(alias="json")] = None
    text: str | None = None


class DnsResolver(Model):
    """How Envoy resolves names."""

    udp_max_queries: _Count | None = None


class EnvoyBootstrap(Model):
    """What Envoy starts with."""

    log_level: str | None = None
    log_format: LogFormat | None = None
    component_log_levels: dict[str, str] = {}
    dns_resolver: DnsResolver | None = None
    enable_readiness_probe_proxy_protocol: bool | None = None


class EnvoyContainer(Model):
    """The container that Envoy runs in."""

    bootstrap: EnvoyBootstrap | None = None
    image: Image | None = None
    security_context: Block | None = None
    resources: Block | None = None
    extra_args: Annotated[tuple[str, ...], Field(min_length=1, max_length=32)] | None = None
    env: tuple[Block, ...] = ()
    extra_volume_mounts: tuple[Block, ...] = ()


class SdsBootstrap(Model):
    """What the SDS server starts with."""

    log_level: str | None = None


class SdsContainer(Model):
    """The container of the SDS server of Istio's mTLS."""

    image: Image | None = None
    security_context: Block | None = None
    resources: Block | None = None
    bootstrap: SdsBootstrap | None = None


class GracefulShutdown(Model):
    """How a proxy lets go of its connections."""

    enabled: bool | None = None
    sleep_time_seconds: _Seconds | None = None


class PullSecret(Model):
    """LocalObjectReference of core/v1."""

    name: str = ""


class PodTemplate(Model):
    """The pods of the proxies."""

    extra_labels: _Labels = {}
    extra_annotations: _Annotations = {}
    security_context: Block | None = None
    image_pull_secrets: tuple[PullSecret, ...] = ()
    node_selector: dict[str, str] = {}
    affinity: Block | None = None
    tolerations: tuple[Block, ...] = ()
    graceful_shutdown: GracefulShutdown | None = None
    termination_grace_period_seconds: _Seconds | None = None
    startup_probe: Block | None = None
    readiness_probe: Block | None = None
    liveness_probe: Block | None = None
    topology_spread_constraints: tuple[Block, ...] = ()
    extra_volumes: tuple[Block, ...] = ()
    priority_class_name: str | None = None


class ServicePort(Model):
    """The port of a node that stands for a listener's."""

    port: Port
    node_port: Port | None = None


class ProxyService(Model):
    """The Service before the proxies."""

    type: Literal["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"] | None = None
    cluster_ip: Annotated[str | None, Field(alias="clusterIP")] = None
    extra_labels: _Labels = {}
    extra_annotations: _Annotations = {}
    ports: tuple[ServicePort, ...] = ()
    external_traffic_policy: str | None = None
    load_balancer_class: str | None = None
    load_balancer_source_ranges: tuple[str, ...] = ()


class ProxyServiceAccount(Model):
    """The ServiceAccount of the proxies."""

    extra_labels: _Labels = {}
    extra_annotations: _Annotations = {}


class IstioContainer(Model):
    """The container of Istio's agent."""

    image: Image | None = None
    security_context: Block | None = None
    resources: Block | None = None
    log_level: str | None = None
    istio_discovery_address: str | None = None
    istio_meta_mesh_id: str | None = None
    istio_meta_cluster_id: str | None = None


class IstioIntegration(Model):
    """Proxies with Istio's agent beside them."""

    istio_proxy_container: IstioContainer | None = None
    custom_sidecars: tuple[Block, ...] = ()


class StatsMatcher(Ruled):
    """Which statistics there are."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        exactly_one(("inclusionList", "inclusion_list"), ("exclusionList", "exclusion_list")),
    )

    inclusion_list: Annotated[tuple[StringMatcher, ...], Field(max_length=16)] | None = None
    exclusion_list: Annotated[tuple[StringMatcher, ...], Field(max_length=16)] | None = None


class Stats(Model):
    """How statistics are served."""

    enabled: bool | None = None
    route_prefix_rewrite: str | None = None
    enable_stats_route: bool | None = None
    stats_route_prefix_rewrite: str | None = None
    matcher: StatsMatcher | None = None


class OverlayMetadata(Model):
    """Labels and annotations that are added."""

    labels: _Labels = {}
    annotations: _Annotations = {}


class Overlay(Model):
    """A strategic merge patch of an object."""

    metadata: OverlayMetadata | None = None
    spec: Block | None = None


class Kube(Model):
    """Proxies that are run as a Deployment."""

    deployment: ProxyDeployment | None = None
    envoy_container: EnvoyContainer | None = None
    sds_container: SdsContainer | None = None
    pod_template: PodTemplate | None = None
    service: ProxyService | None = None
    service_account: ProxyServiceAccount | None = None
    istio: IstioIntegration | None = None
    stats: Stats | None = None
    omit_default_security_context: bool | None = None
    deployment_overlay: Overlay | None = None
    service_overlay: Overlay | None = None
    service_account_overlay: Overlay | None = None
    pod_disruption_budget: Overlay | None = None
    horizontal_pod_autoscaler: Overlay | None = None
    vertical_pod_autoscaler: Overlay | None = None


class SelfManaged(Model):
    """Proxies that somebody else runs."""


class GatewayParametersSpec(Ruled):
    """Whether and how proxies are run."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "[has(self.kube),has(self.selfManaged)].filter(x,x==true).size() <= 1",
            "at most one of the fields in [kube selfManaged] may be set",
            lambda self: self.kube is None or self.self_managed is None,
        ),
    )

    kube: Kube | None = None
    self_managed: SelfManaged | None = None


class GatewayParametersStatus(Model):
    """Nothing is told here: what is wrong is told at the Gateway and the GatewayClass."""


class GatewayParameters(Object):
    """How the proxies of a Gateway are run."""

    spec: GatewayParametersSpec | None = None


KINDS = (
    Kind(
        "gateway.kgateway.dev",
        "GatewayParameters",
        "gatewayparameters",
        ("v1alpha1",),
        GatewayParameters,
        crd=CustomResource((), GatewayParametersStatus, ("kgateway",)),
    ),
)
