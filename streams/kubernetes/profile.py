"""How a cluster is reached that a ClusterProfile describes: its address is the profile's, the credentials are ours.

It connects to nothing. Of a profile, somebody else's text, no file, command or token is used: by what command
credentials are had says a file of this process, in the format that the API's own library reads (KEP-5339).
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import orjson

from engine.models.base import Object
from engine.models.kind import Kind
from engine.resolve.cluster import is_name
from streams.kubernetes.access import EXTENSION, AccessError, Way
from streams.kubernetes.cluster import Json

# The older version says all that the newer one does, and what it calls by its older name, too.
KIND: Final = Kind("multicluster.x-k8s.io", "ClusterProfile", "clusterprofiles", ("v1alpha1", "v1alpha2"), Object)
_NAME: Final = "cluster.clusterset.k8s.io"
"""The property that is the name of a cluster among all of its set (KEP-2149)."""
_LARGEST: Final = 64 << 10
"""Bytes of what a profile says of a way: a plugin gets it in one variable, which Linux lets have 128 KiB."""
_VERSIONS: Final = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")
_POLICIES: Final = ("profileSourcedCLIArgsPolicy", "profileSourcedEnvVarsPolicy")
Providers = Mapping[str, Json]
"""By its name the exec plugin of each provider; the first one that a profile has, too, is used."""


class Profile(NamedTuple):
    """What is kept of a ClusterProfile. `cluster` is the cluster's name in the domain, `offers` its ways as JSON."""

    cluster: str
    created: str
    offers: str

    @property
    def misnamed(self) -> str:
        """Why no cluster can have the name."""
        return "" if is_name(self.cluster) else f"{self.cluster[:64]!r} is no name for a cluster: {_REMEDY}"


_REMEDY: Final = f"use at most 63 of a-z, 0-9 and -, in the property {_NAME}, or in metadata.name where there is none"


def profile(object_: Json) -> Profile:
    """What counts of a ClusterProfile, whatever stands in it."""
    metadata, status = _mapping(object_.get("metadata")), _mapping(object_.get("status"))
    named = (one.get("value") for one in _entries(status.get("properties")) if one.get("name") == _NAME)
    # A name twice: the last one counts, of accessProviders, as for the API's library.
    entries = (*_entries(status.get("credentialProviders")), *_entries(status.get("accessProviders")))
    offers = {str(one.get("name")): _mapping(one.get("cluster")) for one in entries}
    name = str(next(named, None) or metadata.get("name") or "")
    return Profile(name, str(metadata.get("creationTimestamp") or ""), _written(offers))


def providers(text: bytes, where: str) -> Providers:
    """The exec plugins of a file. Raises AccessError."""
    try:
        said = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        msg = f"{where} is no JSON ({error}): write it as {_FORMAT}"
        raise AccessError(msg) from None
    entries = _mapping(said).get("providers")
    if not isinstance(entries, list) or not all(isinstance(one, Mapping) for one in entries):
        msg = f"{where} has no list of providers: write it as {_FORMAT}"
        raise AccessError(msg)
    found: dict[str, Json] = {}
    for number, one in enumerate(entries):
        for problem in _amiss(one):
            msg = f"{where}: providers[{number}]{problem}"
            raise AccessError(msg)
        found.setdefault(str(one["name"]), one["execConfig"])
    return found


_FORMAT: Final = '{"providers": [{"name": ..., "execConfig": {"apiVersion": ..., "command": ...}}]}'


def _amiss(provider: Json) -> Iterator[str]:
    plugin = provider.get("execConfig")
    if not _is_text(provider.get("name")):
        yield ".name: say which provider of ClusterProfiles is meant"
    if not isinstance(plugin, Mapping) or not _is_text(plugin.get("command")):
        yield ".execConfig.command: say what gives its credentials"
        return
    if plugin.get("apiVersion") not in _VERSIONS:
        yield f".execConfig.apiVersion: use {' or '.join(_VERSIONS)}"
    words, more = (plugin.get(one) or [] for one in ("args", "env"))
    if not isinstance(words, list) or not all(isinstance(one, str) for one in words):
        yield ".execConfig.args: is no list of texts"
    pairs = [_mapping(one) for one in more] if isinstance(more, list) else [{}]
    if not all(_is_text(one.get("name")) and isinstance(one.get("value"), str) for one in pairs):
        yield ".execConfig.env: is no list of {name, value}"
    for one in _POLICIES:
        if provider.get(one) not in (None, "", "Ignore"):
            yield f".{one}: is Ignore: words of a profile enter no command line and no environment, only {EXTENSION}"


def way(said: Profile, plugins: Providers) -> Way:
    """The way of a profile. Raises AccessError; of what the profile says only names of fields are in its words."""
    if not said.offers:
        raise AccessError(_DEEP)
    offers: Mapping[str, Json] = orjson.loads(said.offers)
    name = next((one for one in plugins if one in offers), None)
    if name is None:
        has = f"has {', '.join(map(repr, sorted(offers)))[:200]}" if offers else "has none"
        msg = f"status.accessProviders {has}, of which PENSTOCK_MEMBERS_PROVIDERS names none"
        raise AccessError(msg)
    cluster = offers[name]
    for problem in _refused(cluster):
        msg = f"accessProviders[{name[:64]}].cluster{problem}"
        raise AccessError(msg)
    kept = {one: cluster[one] for one in ("server", "certificate-authority-data", *_TEXTS) if cluster.get(one)}
    config = [one for one in _entries(cluster.get("extensions")) if one.get("name") == EXTENSION]
    found = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "member",
        "contexts": [{"name": "member", "context": {"cluster": "member", "user": "member"}}],
        "clusters": [{"name": "member", "cluster": kept | ({"extensions": config[:1]} if config else {})}],
        "users": [{"name": "member", "user": {"exec": {**plugins[name], "interactiveMode": "Never"}}}],
    }
    text = _written(found)
    if not text:
        raise AccessError(_DEEP)
    return Way(kubeconfig=text)


_DEEP: Final = "status.accessProviders is nested too deep"


def _written(value: Json) -> str:
    """As JSON; empty for what is nested deeper than can be written."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
    except orjson.JSONEncodeError:
        return ""


_TEXTS: Final = ("tls-server-name", "proxy-url")


def _refused(cluster: Json) -> Iterator[str]:
    """What cannot be used, and what would read here or prove nothing."""
    if len(orjson.dumps(cluster)) > _LARGEST:
        yield f" has more than {_LARGEST >> 10} KiB"
    if not _is_url(cluster.get("server"), "https"):
        yield ".server is no https://HOST[:PORT][/PATH]"
    if cluster.get("insecure-skip-tls-verify"):
        yield ".insecure-skip-tls-verify: credentials go to nobody who does not prove who he is; give the CA"
    if cluster.get("certificate-authority"):
        yield ".certificate-authority names a file of this process: give certificate-authority-data"
    if cluster.get("certificate-authority-data") and not _is_certificate(cluster["certificate-authority-data"]):
        yield ".certificate-authority-data is no PEM certificate in base64"
    if cluster.get("tls-server-name") and not _is_text(cluster["tls-server-name"]):
        yield ".tls-server-name is no text"
    if cluster.get("proxy-url") and not _is_url(cluster["proxy-url"], "http", "https"):
        yield ".proxy-url is no http:// or https:// URL"


def _is_url(value: object, *schemes: str) -> bool:
    if not _is_text(value) or any(not one.isprintable() or one.isspace() for one in str(value)):
        return False
    try:
        found = urlsplit(str(value))
        is_whole = bool(found.hostname) and found.port != 0
    except ValueError:
        return False
    return (
        is_whole and found.scheme in schemes and not (found.username or found.password or found.query or found.fragment)
    )


def _is_certificate(value: object) -> bool:
    try:
        return b"-----BEGIN CERTIFICATE-----" in base64.b64decode(str(value), validate=True)
    except ValueError:
        return False


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value) and "\0" not in value


def _entries(value: object) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
