"""Compares what Envoy says it runs with what was assembled for it: names, versions, and every field."""

from __future__ import annotations

import json
from typing import Any

from envoy_data_plane.envoy.config.cluster.v3 import Cluster
from envoy_data_plane.envoy.config.endpoint.v3 import ClusterLoadAssignment
from envoy_data_plane.envoy.config.listener.v3 import Listener
from envoy_data_plane.envoy.config.route.v3 import RouteConfiguration
from envoy_data_plane.envoy.extensions.transport_sockets.tls.v3 import Secret

import engine.derived  # noqa: F401  with it come the classes of all that a config may have inside
from engine.fields import fields
from streams.xds.assembly import Assembly
from streams.xds.messages import CLUSTER, ENDPOINTS, LISTENER, ROUTES, SECRET

Said = dict[tuple[str, str], Any]
"""(type, name) -> what is said of a resource."""

_CLASSES = {
    CLUSTER: Cluster,
    LISTENER: Listener,
    ROUTES: RouteConfiguration,
    SECRET: Secret,
    ENDPOINTS: ClusterLoadAssignment,
}


_NOBODY = "-:{SHA}AAAAAAAAAAAAAAAAAAAAAAAAAAA="


def runs(dump: Any) -> tuple[Said, Said]:
    """(bodies, versions) of a config dump's dynamic resources. Endpoints have no version there."""
    bodies: Said = {}
    versions: Said = {}
    for config in dump["configs"]:
        kind = config["@type"].rpartition(".")[2]
        if kind == "ClustersConfigDump":
            found = [
                (CLUSTER, one["version_info"], one["cluster"]) for one in config.get("dynamic_active_clusters", ())
            ]
        elif kind == "ListenersConfigDump":
            states = [one["active_state"] for one in config.get("dynamic_listeners", ())]
            found = [(LISTENER, one["version_info"], one["listener"]) for one in states]
        elif kind == "RoutesConfigDump":
            found = [
                (ROUTES, one["version_info"], one["route_config"]) for one in config.get("dynamic_route_configs", ())
            ]
        elif kind == "SecretsConfigDump":
            found = [(SECRET, one["version_info"], one["secret"]) for one in config.get("dynamic_active_secrets", ())]
        elif kind == "EndpointsConfigDump":
            found = [(ENDPOINTS, "", one["endpoint_config"]) for one in config.get("dynamic_endpoint_configs", ())]
        else:
            continue
        for type_url, version, body in found:
            name = body.get("cluster_name") if type_url == ENDPOINTS else body["name"]
            bodies[type_url, name] = _comparable(type_url, body)
            versions[type_url, name] = version
    return bodies, {at: version for at, version in versions.items() if version}


def wanted(assembly: Assembly) -> tuple[Said, Said]:
    """The same of an assembly: its bytes decoded."""
    bodies: Said = {}
    versions: Said = {}
    for type_url, message in _CLASSES.items():
        for name in assembly.names(type_url):
            resource = assembly.get(type_url, name)
            assert resource is not None
            (packed,) = [value for number, value in fields(b"".join(resource.encoded)) if number == 2]
            (body,) = [value for number, value in fields(packed) if number == 2]  # type: ignore[arg-type]
            bodies[type_url, name] = _comparable(type_url, json.loads(message.parse(body).to_json()))  # type: ignore[attr-defined]
            versions[type_url, name] = resource.version
    return bodies, {at: version for at, version in versions.items() if at[0] != ENDPOINTS}


def _comparable(type_url: str, body: Any) -> Any:
    plain = _plain(json.loads(json.dumps(body).replace(_NOBODY, "[redacted]")))  # as Envoy shows who may come in
    plain.pop("@type", None)
    if type_url == ENDPOINTS:
        return _endpoints(plain)
    if type_url == SECRET:
        # Envoy shows no key: what fits the certificate was checked before.
        plain["tlscertificate"]["privatekey"] = "hidden"
    return plain


def _endpoints(body: Any) -> Any:
    """Envoy prints what it made of an assignment, defaults and all: the addresses, by locality, are what we said."""
    return {
        (str(place.get("locality") or {}), json.dumps(one["endpoint"]["address"], sort_keys=True))
        for place in body.get("endpoints", ())
        for one in place["lbendpoints"]
    }


def _plain(value: Any) -> Any:
    """Field names in one spelling, without what is empty or its type's default: both sides leave out some of it."""
    if isinstance(value, dict):
        found = {key if key == "@type" else key.replace("_", "").lower(): _plain(item) for key, item in value.items()}
        return {key: item for key, item in found.items() if item not in (0, "", False, None)}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    # Numbers of 64 bits are text in protobuf's JSON, but not in the library's where they are wrapped.
    return int(value) if isinstance(value, str) and value.isdecimal() else value
