"""The models have every field and limit of the Gateway API's and kgateway's CRDs."""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

import pytest

from engine.models.kinds import KINDS
from engine.models.schema import field_names, structural
from tests.models.fields import flattened

FIELDS = Path(__file__).parent / "gateway_api_fields.tsv"
"""Fields of the CRDs of sigs.k8s.io/gateway-api v1.6.3 (experimental channel) and kgateway v2.4.0, by `flattened`."""

OTHERWISE = {
    # Envoy takes no other port, and kgateway's CRD leaves it open.
    ("Backend", "spec.static.hosts[].port"): (
        '{"type":"integer","format":"int32","minimum":1,"maximum":65535,"required":true}'
    ),
} | {
    # As in v1alpha2, in which they may have been written, and which has more than one.
    (kind, "spec.rules"): '{"type":"array","minItems":1,"maxItems":16,"required":true,"cel":["b9632356db7e"]}'
    for kind in ("TCPRoute", "TLSRoute", "UDPRoute")
}


def _wanted() -> dict[str, dict[str, str]]:
    wanted: dict[str, dict[str, str]] = defaultdict(dict)
    with FIELDS.open(newline="") as lines:
        for kind, path, limits in csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE):
            wanted[kind][path] = OTHERWISE.get((kind, path), limits)
    return wanted

PARAMETERS = Path(__file__).parent / "gateway_parameters_fields.txt"
"""Fields of kgateway v2.4.0's GatewayParameters. Those of Kubernetes' own types are not told apart further."""
TRAFFIC = Path(__file__).parent / "traffic_policy_fields.txt"
"""Fields of its TrafficPolicy."""
BACKEND_CONFIG = Path(__file__).parent / "backend_config_policy_fields.txt"
"""Fields of kgateway v2.4's BackendConfigPolicy, and behind them those of its sources since."""
EXTENSION = Path(__file__).parent / "gateway_extension_fields.txt"
"""Fields of its GatewayExtension."""
LISTENER_POLICIES = Path(__file__).parent / "listener_policy_fields.txt"
"""Fields of kgateway v2.4's listener policies, from its API page."""


@pytest.mark.parametrize(("name", "wanted"), _wanted().items())
def test_a_model_has_the_fields_and_limits_of_its_crd(name: str, wanted: dict[str, str]) -> None:
    model = next(kind.model for kind in KINDS if kind.name == name)
    assert flattened(structural(model)["properties"]["spec"]) == wanted


def test_the_list_of_fields_is_whole() -> None:
    counts = {kind: len(fields) for kind, fields in _wanted().items()}
    assert counts == {
        "GatewayClass": 8, "Gateway": 89, "HTTPRoute": 223, "ReferenceGrant": 11, "Backend": 43, "GRPCRoute": 120,
        "TLSRoute": 23, "TCPRoute": 21, "UDPRoute": 21, "ListenerSet": 38, "BackendTLSPolicy": 22,
        "DirectResponse": 7,
    }  # fmt: skip


def test_every_kind_of_the_two_apis_is_compared() -> None:
    ours = {kind.name for kind in KINDS if kind.group.startswith("gateway.")}
    assert ours == {*_wanted(), "GatewayExtension", "GatewayParameters", "HTTPListenerPolicy", "ListenerPolicy", "TrafficPolicy",
                    "BackendConfigPolicy"}  # fmt: skip


@pytest.mark.parametrize("name", ["HTTPListenerPolicy", "ListenerPolicy"])
def test_listener_policies_have_the_fields_of_kgateways(name: str) -> None:
    model = next(kind.model for kind in KINDS if kind.name == name)
    schema = structural(model)["properties"]["spec"]
    found = {path.replace("[]", "").removesuffix("{}") for path in flattened(schema)}
    rows = [line.split() for line in LISTENER_POLICIES.read_text().splitlines()]
    assert found == {path.replace("[]", "") for kind, path in rows if kind == name}


def test_gateway_parameters_have_the_fields_of_kgateways() -> None:
    model = next(kind.model for kind in KINDS if kind.name == "GatewayParameters")
    found = {path for path in flattened(structural(model)["properties"]["spec"]) if not path.endswith("{}")}
    lists = {path.removesuffix("[]") for path in found if path.endswith("[]")}
    assert found - lists == set(PARAMETERS.read_text().split())


def test_traffic_policy_has_the_fields_of_kgateways() -> None:
    model = next(kind.model for kind in KINDS if kind.name == "TrafficPolicy")
    found = {path.replace("[]", "") for path in flattened(structural(model)["properties"]["spec"]) if not path.endswith("{}")}
    wanted = {f"spec.{one}" for one in TRAFFIC.read_text().split()}
    assert found - {"spec"} == wanted


def test_gateway_extension_has_the_fields_of_kgateways() -> None:
    model = next(kind.model for kind in KINDS if kind.name == "GatewayExtension")
    found = {path.replace("[]", "") for path in flattened(structural(model)["properties"]["spec"]) if not path.endswith("{}")}
    wanted = {f"spec.{one}" for one in EXTENSION.read_text().split()}
    assert found - {"spec"} == wanted


def test_a_backend_config_policy_has_the_fields_of_kgateways() -> None:
    model = next(kind.model for kind in KINDS if kind.name == "BackendConfigPolicy")
    paths = flattened(structural(model)["properties"]["spec"])
    found = {path.replace("[]", "") for path in paths if not path.endswith("{}")}
    assert found == set(BACKEND_CONFIG.read_text().split())


def test_field_names_follow_a_path() -> None:
    model = next(kind.model for kind in KINDS if kind.name == "HTTPRoute")
    assert field_names(model, ("spec", "rules", 0, "retry")) == ["attempts", "backoff", "codes"]
    assert field_names(model, ("spec", "nowhere", 0)) == []
