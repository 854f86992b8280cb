"""The way of a ClusterProfile: address from the profile, credentials by the plugins of a file of ours, nothing else."""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from typing import Any

import orjson
import pytest

from streams.kubernetes.access import EXTENSION, AccessError
from streams.kubernetes.profile import profile, providers, way

_V1 = "client.authentication.k8s.io/v1"
_CA = base64.b64encode(b"-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n").decode()
_EXEC = {"apiVersion": _V1, "command": "/plugins/fleet", "args": ["--quiet"], "provideClusterInfo": True}


def file(*entries: Any) -> bytes:
    return orjson.dumps({"providers": list(entries)})


def fleet(*names: str, **more: Any) -> Any:
    return providers(file(*({"name": name, "execConfig": {**_EXEC, **more}} for name in names)), "providers.json")


def offer(name: str = "fleet", **cluster: Any) -> dict[str, Any]:
    return {"name": name, "cluster": {"server": "https://west:6443", "certificate-authority-data": _CA, **cluster}}


def said(*offers: Any, name: str = "west", **status: Any) -> dict[str, Any]:
    metadata = {"namespace": "fleet", "name": name, "creationTimestamp": "2026-11-27T10:00:00Z"}
    return {"metadata": metadata, "spec": {}, "status": {"accessProviders": list(offers), **status}}


def reached(object_: Any, plugins: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Cluster and user of the one context."""
    found = json.loads(way(profile(object_), plugins).kubeconfig)
    ((one,), (user,)) = found["clusters"], found["users"]
    return one["cluster"], user["user"]


def test_the_address_is_the_profiles_and_the_command_is_ours() -> None:
    config = {"name": EXTENSION, "extension": {"project": "p"}}
    hostile = {"exec": {"command": "sh"}, "token": "t", "tokenFile": "/etc/passwd"}
    cluster, user = reached(said(offer(extensions=[{"name": "x", "extension": {}}, config], **hostile)), fleet("fleet"))
    assert cluster == {"server": "https://west:6443", "certificate-authority-data": _CA, "extensions": [config]}
    assert user == {"exec": {**_EXEC, "interactiveMode": "Never"}}


def test_our_order_of_providers_counts_and_the_older_field_is_read() -> None:
    object_ = said(offer("b", server="https://b"), offer("a", server="https://a"), credentialProviders=[offer("c"), offer("b", server="https://old")])  # fmt: skip
    assert reached(object_, fleet("z", "a", "b"))[0]["server"] == "https://a"
    assert reached(object_, fleet("b", "a"))[0]["server"] == "https://b"
    assert reached(object_, fleet("c"))[0]["server"] == "https://west:6443"
    with pytest.raises(AccessError, match="has 'a', 'b', 'c', of which PENSTOCK_MEMBERS_PROVIDERS names none"):
        way(profile(object_), fleet("z"))
    with pytest.raises(AccessError, match="has none"):
        way(profile({"metadata": {"name": "west"}, "status": None}), fleet("z"))


@pytest.mark.parametrize(
    ("cluster", "words"),
    [
        ({"server": "http://west:6443"}, "server is no https"),
        ({"server": "https://"}, "server is no https"),
        ({"server": "https://user:word@west"}, "server is no https"),
        ({"server": "https://west:99999"}, "server is no https"),
        ({"server": "https://west/?a=b"}, "server is no https"),
        ({"server": "https://we\nst"}, "server is no https"),
        ({"server": ["https://west"]}, "server is no https"),
        ({"server": "file:///etc/passwd"}, "server is no https"),
        ({"insecure-skip-tls-verify": True}, "give the CA"),
        ({"certificate-authority": "/etc/tls.crt"}, "names a file of this process"),
        ({"certificate-authority-data": "%%"}, "is no PEM certificate"),
        ({"certificate-authority-data": "aGVsbG8="}, "is no PEM certificate"),
        ({"tls-server-name": 7}, "tls-server-name is no text"),
        ({"proxy-url": "socks5://p:1"}, "proxy-url is no http"),
        ({"extensions": [{"name": "x", "extension": "x" * 70_000}]}, "more than 64 KiB"),
    ],
)
def test_what_could_read_here_or_proves_nothing_is_refused(cluster: dict[str, Any], words: str) -> None:
    with pytest.raises(AccessError, match=words):
        way(profile(said(offer(**cluster))), fleet("fleet"))


def test_what_is_odd_harms_nothing() -> None:
    deep: Any = {}
    for depth in range(1_000):
        deep = {"a": deep}
        with suppress(AccessError):  # At whatever depth one of ours cannot be written any more.
            way(profile(said(offer(extensions=[{"name": EXTENSION, "extension": deep}]))), fleet("fleet"))
            assert depth < 300
    for status in (
        {"accessProviders": {"a": 1}},
        {"accessProviders": [None, "x", {"name": "fleet", "cluster": []}]},
        {"properties": "x"},
    ):
        with pytest.raises(AccessError):
            way(profile(said(**status)), fleet("fleet"))


def test_the_name_is_that_of_the_cluster_set_if_it_has_one() -> None:
    named = [{"name": "other", "value": "x"}, {"name": "cluster.clusterset.k8s.io", "value": "eu-west"}]
    assert profile(said(properties=named)).cluster == "eu-west"
    assert profile(said()).cluster == "west"
    assert profile(said()).misnamed == ""
    assert "'a.b' is no name for a cluster" in profile(said(name="a.b")).misnamed


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"{", "is no JSON"),
        (b"[]", "no list of providers"),
        (b'{"providers": [7]}', "no list of providers"),
        (file({"execConfig": _EXEC}), r"providers\[0\].name"),
        (file({"name": "a"}), r"providers\[0\].execConfig.command"),
        (file({"name": "a", "execConfig": {"apiVersion": _V1}}), "execConfig.command"),
        (file({"name": "a", "execConfig": {"command": "x"}}), "execConfig.apiVersion: use"),
        (file({"name": "a", "execConfig": {**_EXEC, "args": "x"}}), "args: is no list"),
        (file({"name": "a", "execConfig": {**_EXEC, "env": [{"name": "X"}]}}), "env: is no list"),
        (file({"name": "a", "execConfig": _EXEC, "profileSourcedCLIArgsPolicy": "Append"}), "is Ignore"),
        (file({"name": "a", "execConfig": _EXEC, "profileSourcedEnvVarsPolicy": "Replace"}), "is Ignore"),
    ],
)
def test_a_file_that_says_too_little_is_refused_with_the_place(text: bytes, words: str) -> None:
    with pytest.raises(AccessError, match=words):
        providers(text, "providers.json")
