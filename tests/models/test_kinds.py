"""The kinds are found, named as kubectl names them, and their durations are read."""

from __future__ import annotations

import pytest

from engine.models.duration import milliseconds
from engine.models.kinds import BY_NAME, KINDS, NAMESPACED, find_kind, is_known


def test_the_kinds_are_found_in_order() -> None:
    assert [(kind.group, kind.name) for kind in KINDS] == [
        ("", "ConfigMap"),
        ("", "Namespace"),
        ("", "Secret"),
        ("", "Service"),
        ("discovery.k8s.io", "EndpointSlice"),
        ("gateway.kgateway.dev", "Backend"),
        ("gateway.kgateway.dev", "BackendConfigPolicy"),
        ("gateway.kgateway.dev", "DirectResponse"),
        ("gateway.kgateway.dev", "GatewayExtension"),
        ("gateway.kgateway.dev", "GatewayParameters"),
        ("gateway.kgateway.dev", "HTTPListenerPolicy"),
        ("gateway.kgateway.dev", "ListenerPolicy"),
        ("gateway.kgateway.dev", "TrafficPolicy"),
        ("gateway.networking.k8s.io", "BackendTLSPolicy"),
        ("gateway.networking.k8s.io", "GRPCRoute"),
        ("gateway.networking.k8s.io", "Gateway"),
        ("gateway.networking.k8s.io", "GatewayClass"),
        ("gateway.networking.k8s.io", "HTTPRoute"),
        ("gateway.networking.k8s.io", "ListenerSet"),
        ("gateway.networking.k8s.io", "ReferenceGrant"),
        ("gateway.networking.k8s.io", "TCPRoute"),
        ("gateway.networking.k8s.io", "TLSRoute"),
        ("gateway.networking.k8s.io", "UDPRoute"),
        ("multicluster.x-k8s.io", "ServiceExport"),
        ("multicluster.x-k8s.io", "ServiceImport"),
        ("penstock.dev", "Cluster"),
    ]


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("gtw", "Gateway"),
        ("gw", "Gateway"),
        ("Gateways", "Gateway"),
        ("gc", "GatewayClass"),
        ("httproutes.gateway.networking.k8s.io", "HTTPRoute"),
        ("svc", "Service"),
        ("refgrant", "ReferenceGrant"),
        ("lset", "ListenerSet"),
        ("btlspolicy", "BackendTLSPolicy"),
        ("grpcroute", "GRPCRoute"),
        ("backend.gateway.kgateway.dev", "Backend"),
    ],
)
def test_a_kind_has_several_names(word: str, name: str) -> None:
    kind = find_kind(word)
    assert kind is not None
    assert kind.name == name


def test_other_words_name_no_kind() -> None:
    assert find_kind("deployments") is None
    assert find_kind("backend.example.com") is None
    assert not is_known("apps", "Deployment")


def test_kinds_without_namespace() -> None:
    assert {names for names, namespaced in NAMESPACED.items() if not namespaced} == {
        ("", "Namespace"),
        ("gateway.networking.k8s.io", "GatewayClass"),
        ("penstock.dev", "Cluster"),
    }
    assert BY_NAME["", "Service"].status_read == ("loadBalancer",)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("0s", 0),
        ("1h30m", 5_400_000),
        ("1h1m1s1ms", 3_661_001),
        ("500ms", 500),
        ("99999h", 359_996_400_000),
        ("10s10s", 20_000),
        ("", None),
        ("1", None),
        ("-1s", None),
        ("1.5s", None),
        ("100000s", None),
        ("1s\n", None),
        ("1s1s1s1s1s", None),
        ("1us", None),
        (1, None),
        (None, None),
    ],
)
def test_durations_are_those_of_gep_2257(text: object, wanted: int | None) -> None:
    assert milliseconds(text) == wanted


def test_every_kind_of_kgateways_is_read() -> None:
    """Those of kgateway 2.4."""
    assert {kind.name for kind in KINDS if kind.group == "gateway.kgateway.dev"} == {
        "Backend", "BackendConfigPolicy", "DirectResponse", "GatewayExtension", "GatewayParameters", "HTTPListenerPolicy",
        "ListenerPolicy", "TrafficPolicy",
    }  # fmt: skip
