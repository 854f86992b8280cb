"""GCP: the service's own name over TLS, and for the filter that fetches tokens, for whom the token is."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from envoy_data_plane.envoy.config.cluster.v3 import Cluster
from envoy_data_plane.envoy.extensions.filters.http.gcp_authn.v3 import (
    Audience,
    GcpAuthnFilterConfig,
    TokenCacheConfig,
)

from engine.envoy.named_host import dns_cluster, named_host
from engine.envoy.shape import Shape
from engine.envoy.type_filter import TypeFilter
from engine.envoy.typed import packed
from engine.envoy.wire import construct
from engine.resolve.backends.gcp import METADATA_SERVER, Gcp
from engine.resolve.values import Backend
from engine.seal import Sealer

NATURE: Final = Gcp
TYPE: Final = "gcp"
_FILTER: Final = "envoy.filters.http.gcp_authn"
_AUDIENCE: Final = "envoy.extensions.filters.http.gcp_authn.v3.Audience"
_HTTPS: Final = 443
_TOKENS: Final = 100
"""Tokens that are kept until they expire: without, each request would ask for one."""

FILTER: Final = TypeFilter(
    _FILTER,
    "envoy.extensions.filters.http.gcp_authn.v3.GcpAuthnFilterConfig",
    construct(
        GcpAuthnFilterConfig,
        cluster=METADATA_SERVER,
        timeout=timedelta(seconds=10),
        cache_config=construct(TokenCacheConfig, cache_size=_TOKENS),
    ),
)


def _metadata_server() -> Cluster:
    """Who gives the proxy's service account its tokens."""
    where = named_host(METADATA_SERVER, "metadata.google.internal", 80, respect_dns_ttl=True)
    fields = {**where.fields, "cluster_type": dns_cluster(where.dns)}
    return construct(Cluster, name=METADATA_SERVER, connect_timeout=timedelta(seconds=5), **fields)


COMPANIONS: Final = {METADATA_SERVER: _metadata_server}


def said(nature: Gcp, backend: Backend, name: str, sealer: Sealer | None) -> Shape:  # noqa: ARG001
    """The service's endpoint."""
    audience = packed(_AUDIENCE, construct(Audience, url=nature.audience))
    whom = Shape(metadata={"typed_filter_metadata": {_FILTER: audience}})
    return whom.over(named_host(name, nature.host, _HTTPS))
