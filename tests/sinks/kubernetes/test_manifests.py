"""What is deployed for a Gateway, golden; and that the real Envoy starts with it."""

from __future__ import annotations

import os
import re
import subprocess
from base64 import b64encode
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.resolve.proxy import label_value, proxy_name
from engine.seal import KEY_BYTES
from streams.sinks.kubernetes.bootstrap import RESERVED_PORTS
from streams.sinks.kubernetes.manifests import APPLIED, manifests
from streams.sinks.kubernetes.proxy import MANAGED_BY, read_proxy
from streams.sinks.local_envoy import envoy_binary
from streams.xds.authority import Authority
from tests.sinks.kubernetes.case import CASES, UID, deployed, proxy, rows, template

UPDATE = os.environ.get("UPDATE_GOLDEN") == "1"
_AUTHORITY = Authority(bytes(KEY_BYTES))
FILES = {"input.yaml", "template.yaml", "infra.yaml", "manifests.yaml"}
NAMES = sorted(one.name for one in CASES.iterdir())
_LABEL = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?")


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(values: list[Any]) -> str:
    return str(yaml.dump_all(values, Dumper=_Dumper, sort_keys=True, width=120))


@pytest.mark.parametrize("name", NAMES)
def test_rows_and_manifests_are_those_written(name: str) -> None:
    for file, text in (("infra.yaml", _text(list(rows(name).values()))), ("manifests.yaml", _text(deployed(name)))):
        path = CASES / name / file
        if UPDATE:
            path.write_text(text)
        assert path.read_text() == text, f"{path} differs: UPDATE_GOLDEN=1, then read the difference"
    assert {one.name for one in (CASES / name).iterdir()} <= FILES


@pytest.mark.parametrize("name", NAMES)
def test_labels_and_names_are_ones_that_kubernetes_takes(name: str) -> None:
    for one in deployed(name):
        metadata = one["metadata"]
        assert len(metadata["name"]) <= (253 if one["kind"] == "Secret" else 63)
        assert re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", metadata["name"])
        inner = one.get("spec", {}).get("template", {}).get("metadata", {}).get("labels", {})
        for value in (*metadata["labels"].values(), *inner.values()):
            assert len(value) <= 63
            assert _LABEL.fullmatch(value)


@pytest.mark.parametrize("name", NAMES)
def test_every_object_is_owned_marked_and_found_again(name: str) -> None:
    for one in deployed(name):
        (owner,) = one["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["uid"]) == ("Gateway", UID)
        assert one["metadata"]["labels"][MANAGED_BY] == "penstock"
        assert one["metadata"]["annotations"][APPLIED]


def test_another_listener_replaces_no_pod() -> None:
    row = next(iter(rows("simple").values()))
    one, other = (
        manifests(read_proxy({**row, "ports": ports}), template("simple"), UID)
        for ports in ([], [{"port": 1, "protocol": "TCP"}, {"port": 2, "protocol": "UDP"}])
    )
    (before,), (after,) = ([each for each in found if each["kind"] == "Deployment"] for found in (one, other))
    assert before == after
    assert {each["kind"] for each in other} - {each["kind"] for each in one} == {"Service"}


def test_another_bootstrap_replaces_pods() -> None:
    row = next(iter(rows("simple").values()))
    changed = {**row, "parameters": {"stats": {"enableStatsRoute": True}}}
    one, other = (manifests(read_proxy(each), template("simple"), UID) for each in (row, changed))
    (before,), (after,) = (
        [each["spec"]["template"]["metadata"] for each in found if each["kind"] == "Deployment"]
        for found in (one, other)
    )
    assert before != after


@pytest.mark.parametrize(("name", "secret"), [("simple", "key of"), ("in-clear", "token of")])
def test_what_proves_a_proxys_gateway_stands_in_the_secret_alone(name: str, secret: str) -> None:
    for one in deployed(name):
        assert secret not in _text([one])
        there = b64encode(secret.encode()).decode()[:8] in _text([one])
        assert (one["kind"] == "Secret") == there


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("self-managed", "held")])
@pytest.mark.envoy
def test_envoy_starts_with_it(name: str, tmp_path: Path) -> None:
    """Envoy judges its own bootstrap; only the paths are the test's."""
    config = next(one for one in deployed(name) if one["kind"] == "ConfigMap")["data"]
    pair = _AUTHORITY.proxy("gateway")
    for file, value in (("token", b"token"), ("tls.crt", pair.certificate), ("tls.key", pair.key)):
        (tmp_path / file).write_bytes(value)
    for file, text in config.items():
        moved = text.replace("/etc/envoy", str(tmp_path)).replace("/var/run/secrets/xds", str(tmp_path))
        (tmp_path / file).write_text(_AUTHORITY.certificate.decode() if file == "ca.crt" else moved)
    (pods,) = (one["spec"]["template"]["spec"] for one in deployed(name) if one["kind"] == "Deployment")
    given = next(one for one in pods["containers"] if one["name"] == "kgateway-proxy")["args"]
    arguments = [one.replace("/etc/envoy", str(tmp_path)) for one in given]
    command = [str(envoy_binary(None)), "--mode", "validate", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def test_names_are_kept_where_they_can_be() -> None:
    assert proxy_name("gw") == label_value("gw") == "gw"
    assert label_value("my.gw") == "my.gw"
    assert proxy_name("my.gw") != proxy_name("my-gw")
    assert proxy_name("a" * 63) == "a" * 63
    assert len({proxy_name("a" * 64), proxy_name("a" * 65), proxy_name("a" * 63)}) == 3
    assert proxy("long-name").name != proxy("simple").name


@pytest.mark.parametrize(
    "text", ["a.b/c", "a.b-c", "example.com/" + "x" * 300, "a.b/!$%&'()*", "./-", "-./é", "a" * 49 + "//", "A" * 64]
)
def test_whatever_is_labelled_has_a_label_of_its_own(text: str) -> None:
    value = label_value(text)
    assert len(value) <= 63
    assert _LABEL.fullmatch(value)
    assert value not in (label_value(text.replace("/", "-") + "-"), label_value(f"{text}/"))


@pytest.mark.parametrize("value", [{}, {"gateway": 7}, {"gateway": "a/b"}, {"gateway": "a/b/c/d/e", "ports": 1}])
def test_a_row_of_somebody_else_is_refused(value: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"ref|row"):
        read_proxy(value)


@pytest.mark.parametrize(
    ("default", "given", "wanted"),
    [
        ("docker.io/envoyproxy/envoy:v1", {}, "docker.io/envoyproxy/envoy:v1"),
        ("envoy", {"pullPolicy": "Always"}, "envoy"),
        ("envoy", {"tag": "v2"}, "envoy:v2"),
        ("localhost:5000/envoy", {"tag": "v2"}, "localhost:5000/envoy:v2"),
        ("localhost:5000/envoy:v1", {"registry": "r.example.com"}, "r.example.com/envoy:v1"),
        ("docker.io/envoyproxy/envoy:v1", {"repository": "mine/envoy"}, "docker.io/mine/envoy:v1"),
        ("docker.io/envoyproxy/envoy@sha256:1", {"tag": "v2"}, "docker.io/envoyproxy/envoy:v2"),
        ("docker.io/envoyproxy/envoy:v1", {"digest": "sha256:2"}, "docker.io/envoyproxy/envoy@sha256:2"),
    ],
)
def test_parts_of_an_image_are_replaced_alone(default: str, given: dict[str, str], wanted: str) -> None:
    row = {**next(iter(rows("simple").values())), "parameters": {"envoyContainer": {"image": given}}}
    found = manifests(read_proxy(row), replace(template("simple"), image=default), UID)
    (pods,) = (one["spec"]["template"]["spec"] for one in found if one["kind"] == "Deployment")
    assert pods["containers"][0]["image"] == wanted


def test_the_ports_that_a_pod_takes_are_those_that_no_listener_may_have() -> None:
    config = yaml.safe_load(next(one for one in deployed("simple") if one["kind"] == "ConfigMap")["data"]["envoy.yaml"])
    taken = [config["admin"], *config["static_resources"]["listeners"]]
    assert {one["address"]["socket_address"]["port_value"] for one in taken} == set(RESERVED_PORTS)
