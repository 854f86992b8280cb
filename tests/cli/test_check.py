"""`penstock check` tells what would not be accepted, and its exit code says so."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from engine import derived
from engine.graph.reader import Outputs, Reader
from engine.ref import Ref
from engine.resolve.manifest import GATEWAY_API
from streams.cli import app

_GATEWAY = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw}
spec:
  gatewayClassName: penstock
  listeners: [{name: http, port: 8080, protocol: HTTP}]
"""
_ROUTE = """
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r}
spec:
  parentRefs: [{name: gw}]
  rules: [{backendRefs: [{name: nobody, port: 80}]}]
"""


def _check(directory: Path, *more: str, **env: str) -> tuple[int, str]:
    result = CliRunner(env=env).invoke(app, ["check", str(directory), *more])
    return result.exit_code, result.output


def test_a_good_directory_is_accepted(tmp_path: Path) -> None:
    (tmp_path / "gateway.yaml").write_text(_GATEWAY)
    assert _check(tmp_path) == (0, "1 objects, 0 problems\n")


def test_what_cannot_be_computed_is_no_success(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the Gateway would be served, and no status would say so."""

    def defective(_graph: Reader, ref: Ref) -> Outputs:
        raise ValueError(ref.name)

    monkeypatch.setitem(derived.ROOTS, (GATEWAY_API, "Gateway"), (defective,))
    (tmp_path / "gateway.yaml").write_text(_GATEWAY)
    code, output = _check(tmp_path)
    assert code == 1
    assert "a defect of penstock's own: cannot compute defective of local/gateway.networking.k8s.io/Gateway/default/gw" in output
    assert "1 objects, 1 problems" in output


def test_a_missing_backend_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "gateway.yaml").write_text(_GATEWAY)
    (tmp_path / "route.yaml").write_text(_ROUTE)
    code, output = _check(tmp_path)
    assert code == 1
    told = "ResolvedRefs=False BackendNotFound: Service default/nobody does not exist"
    assert f"route.yaml:2: HTTPRoute default/r: parent gw: {told}" in output


def test_an_unknown_field_is_named_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "gateway.yaml").write_text(_GATEWAY.replace("port: 8080", "port: 8080, prot: x"))
    code, output = _check(tmp_path)
    assert code == 1
    assert "gateway.yaml" in output
    assert "spec.listeners[0].prot" in output


def test_broken_yaml_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "gateway.yaml").write_text("apiVersion: v1\nkind: {\n")
    code, output = _check(tmp_path, "-o", "json")
    assert code == 1
    assert '"location": "gateway.yaml:' in output


def test_an_expired_certificate_is_a_problem(tmp_path: Path) -> None:
    """Only time that is told lets a deadline pass: the command tells it."""
    case = Path(__file__).parents[1] / "golden/cases/https-secret-expired/input.yaml"
    (tmp_path / "manifests.yaml").write_text(case.read_text())
    code, said = _check(tmp_path)
    assert code == 1
    assert "expired at" in said


def test_what_a_policy_says_of_its_gateway_is_told(tmp_path: Path) -> None:
    """A status of a policy has its conditions by ancestor."""
    case = Path(__file__).parents[1] / "golden/cases/backend-tls-authority-missing/input.yaml"
    (tmp_path / "manifests.yaml").write_text(case.read_text())
    code, said = _check(tmp_path)
    assert code == 1
    assert "BackendTLSPolicy default/p: ancestor default/gw: ResolvedRefs=False InvalidCACertificateRef" in said


_CLASS = """
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: kgateway}
spec: {controllerName: kgateway.dev/kgateway}
"""


def test_it_judges_by_the_settings_of_what_would_serve(tmp_path: Path) -> None:
    """A class that is ours by configuration is ours here, too."""
    (tmp_path / "all.yaml").write_text("---".join([_CLASS, _GATEWAY.replace("penstock", "kgateway"), _ROUTE]))
    code, said = _check(tmp_path, PENSTOCK_CONTROLLER_NAME="kgateway.dev/kgateway")
    assert code == 1
    assert "Service default/nobody does not exist" in said
    (tmp_path / "all.yaml").write_text("---".join([_GATEWAY.replace("penstock", "kgateway"), _ROUTE]))
    assert "Service default/nobody does not exist" in _check(tmp_path, PENSTOCK_GATEWAY_CLASS="kgateway")[1]
    assert _check(tmp_path, PENSTOCK_CONTROLLER_NAME="none")[0] == 2


def test_ports_are_judged_as_in_a_cluster(tmp_path: Path) -> None:
    """There each Gateway has an address, and some ports are the proxies' own."""
    (tmp_path / "all.yaml").write_text("---".join([_GATEWAY, _GATEWAY.replace("gw", "gw2")]))
    assert "PortUnavailable" in _check(tmp_path)[1]
    assert "PortUnavailable" not in _check(tmp_path, PENSTOCK_PROXIES="kubernetes")[1]
    (tmp_path / "all.yaml").write_text(_GATEWAY.replace("8080", "9091"))
    assert _check(tmp_path) == (0, "1 objects, 0 problems\n")
    assert "PortUnavailable" in _check(tmp_path, PENSTOCK_PROXIES="kubernetes")[1]


def test_what_is_not_judged_is_told(tmp_path: Path) -> None:
    """Silence would be taken for praise; but a Gateway of somebody else's is no problem."""
    (tmp_path / "all.yaml").write_text("---".join([_CLASS, _GATEWAY.replace("penstock", "kgateway"), _ROUTE]))
    code, said = _check(tmp_path)
    assert code == 0
    assert (
        "warning: all.yaml:7: Gateway default/gw is not judged: its GatewayClass kgateway is of kgateway.dev/kgateway, "
        "not penstock.dev/gateway-controller (PENSTOCK_CONTROLLER_NAME)" in said
    )
    assert "warning: all.yaml:14: HTTPRoute default/r is not judged: it names no Gateway of ours that is given" in said
    (tmp_path / "all.yaml").write_text(_GATEWAY.replace("penstock", "kgateway"))
    assert "its GatewayClass kgateway is not given, and not penstock (PENSTOCK_GATEWAY_CLASS)" in _check(tmp_path)[1]
    (tmp_path / "all.yaml").write_text(_GATEWAY)
    assert "not judged" not in _check(tmp_path)[1]


_SET = """
apiVersion: gateway.networking.x-k8s.io/v1alpha1
kind: XListenerSet
metadata: {name: more, namespace: web}
"""


def test_a_kind_that_kgateway_alone_serves_is_a_problem_with_a_remedy(tmp_path: Path) -> None:
    """Who wrote it counts on it: what else is not read is told of, and is nobody's problem."""
    pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\n"
    (tmp_path / "all.yaml").write_text("---".join([_GATEWAY, _SET, f"\n{pod}"]))
    code, said = _check(tmp_path)
    assert code == 1
    remedy = "kind: is not served: write a ListenerSet of gateway.networking.k8s.io/v1"
    assert f"all.yaml:9: XListenerSet web/more: {remedy}\n" in said
    assert "warning: all.yaml:13: Pod of v1 is not a kind that penstock reads" in said
    assert "1 objects, 1 problems" in said


def test_a_policy_that_cannot_be_met_is_a_problem(tmp_path: Path) -> None:
    route = "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: r}\nspec: {parentRefs: [{name: gw}]}\n"
    policy = (
        "apiVersion: gateway.kgateway.dev/v1alpha1\nkind: TrafficPolicy\nmetadata: {name: p}\nspec:\n"
        "  targetRefs: [{group: gateway.networking.k8s.io, kind: HTTPRoute, name: r}]\n  jwtAuth: {extensionRef: {name: keys}}\n"
    )
    (tmp_path / "all.yaml").write_text(f"{_GATEWAY}---\n{route}---\n{policy}")
    code, said = _check(tmp_path)
    assert code == 1
    assert "TrafficPolicy default/p: " in said
    assert "spec.jwtAuth: GatewayExtension default/keys does not exist: create it" in said


def test_what_of_kgateways_changes_nothing_is_told(tmp_path: Path) -> None:
    """Annotations and TLS options of its own: the objects are served all the same."""
    (tmp_path / "all.yaml").write_text(
        _GATEWAY.replace("protocol: HTTP", "protocol: TLS, tls: {mode: Passthrough, options: {kgateway.dev/min-tls-version: '1.3'}}")
        .replace("name: gw}", "name: gw, annotations: {kgateway.dev/disable-istio-auto-mtls: 'true', a: b}}")
    )  # fmt: skip
    code, said = _check(tmp_path)
    assert code == 0
    at = "warning: all.yaml:2: Gateway default/gw: "
    assert f"{at}spec.listeners[0].tls.options.kgateway.dev/min-tls-version: changes nothing: nothing" in said
    assert f"{at}metadata.annotations.kgateway.dev/disable-istio-auto-mtls: changes nothing" in said
    assert said.count("warning") == 2


def test_what_only_an_issuer_can_say_is_no_problem(tmp_path: Path) -> None:
    """Nobody is asked: it is told that it is not judged."""
    (tmp_path / "gateway.yaml").write_text(_GATEWAY)
    (tmp_path / "sign-in.yaml").write_text("""
apiVersion: gateway.kgateway.dev/v1alpha1
kind: GatewayExtension
metadata: {name: sign-in}
spec:
  oauth2:
    issuerURI: https://login.example.com
    backendRef: {group: gateway.kgateway.dev, kind: Backend, name: login}
    credentials: {clientID: shop, clientSecretRef: {name: shop-client}}
""")
    code, output = _check(tmp_path)
    told = "GatewayExtension default/sign-in: is not judged: spec.oauth2: issuer https://login.example.com is to be asked for its endpoints"
    assert (code, output) == (0, f"warning: {told}\n2 objects, 0 problems\n")
