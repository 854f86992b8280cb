"""What the chart makes of values, by the real helm."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest

from streams.permissions import rules
from streams.settings import Settings
from streams.trust import trusted_keys
from tests.chart.helm import CHART, LEAST, helm, only, rendered
from tests.kubernetes.bed.api import Api
from tests.kubernetes.bed.server import ApiServerProcess
from tests.support.signing import signer

pytestmark = pytest.mark.helm
_EVERYTHING = (
    "replicas=3",
    "kafka.securityProtocol=SASL_SSL",
    "kafka.tls.secretName=kafka-tls",
    "kafka.tls.clientCertificate=true",
    "kafka.sasl.mechanism=SCRAM-SHA-512",
    "kafka.sasl.secretName=kafka-sasl",
    "xds.tls.secretName=xds-tls",
    "proxyImage=example/envoy:1",
    "podLabels.team=edge",
    "podAnnotations.a=b",
    "nodeSelector.pool=control",
    "tolerations[0].key=control",
    "tolerations[0].operator=Exists",
    "priorityClassName=system-cluster-critical",
    "imagePullSecrets[0].name=pull",
    "extraEnv[0].name=PENSTOCK_LOG_JSON",
    "extraEnv[0].value=yes",
    "metrics.dashboard.enabled=true",
    "members.enabled=true",
    "signing.secretName=keys",
    "signing.trustedKeys[0]=A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=",
    "members.kubeconfigSecretName=contexts",
    "members.profiles.namespaces={fleet,edge}",
    "members.profiles.labels=x-k8s.io/cluster-manager=fleet",
    "members.profiles.providersConfigMapName=providers",
    "extraVolumes[0].name=plugins",
    "extraVolumes[0].image.reference=plugins:1",
    "extraVolumeMounts[0].name=plugins",
    "extraVolumeMounts[0].mountPath=/plugins",
)
_APART = (*_EVERYTHING, "roles.apart=true", "roles.resources.resolve.limits.memory=4Gi")
_ROLES = {"watch", "resolve", "project", "publish", "write-status", "deploy"}
_ALL = pytest.mark.parametrize("values", [(), _EVERYTHING, _APART], ids=["least", "everything", "apart"])


def pods(*values: str) -> dict[str, dict[str, Any]]:
    """By its component what each Deployment runs."""
    found = [one["spec"]["template"] for one in rendered(*values) if one["kind"] == "Deployment"]
    return {one["metadata"]["labels"]["app.kubernetes.io/component"]: one["spec"] for one in found}


def pod(*values: str) -> dict[str, Any]:
    (found,) = pods(*values).values()
    return found


def environment(*values: str) -> dict[str, Any]:
    return _environment(pod(*values)["containers"][0])


def _environment(container: Mapping[str, Any]) -> dict[str, Any]:
    return {one["name"]: one.get("value", one.get("valueFrom")) for one in container["env"]}


def _containers(*values: str) -> list[dict[str, Any]]:
    return [one for spec in pods(*values).values() for one in (*spec.get("initContainers", ()), *spec["containers"])]


def test_lint() -> None:
    done = helm("lint", "--strict", str(CHART), *[word for one in LEAST for word in ("--set", one)])
    assert done.returncode == 0, done.stdout + done.stderr


@_ALL
def test_every_variable_is_a_setting(values: tuple[str, ...]) -> None:
    known = {f"PENSTOCK_{name.upper()}" for name in Settings.model_fields}
    for one in _containers(*values):
        found = _environment(one)
        assert found.keys() <= known | {"POD_NAME"}, found.keys() - known


def test_the_address_is_that_of_the_service() -> None:
    found = rendered("xds.port=15010", release="edge", namespace="infra")
    service, _ = (one for one in found if one["kind"] == "Service")
    deployment = only("Deployment", found)
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    env = {one["name"]: one.get("value") for one in container["env"]}
    assert env["PENSTOCK_XDS_ADDRESS"] == f"{service['metadata']['name']}.infra.svc:15010"
    assert env["PENSTOCK_XDS_LISTEN"] == "0.0.0.0:15010"
    assert service["spec"]["ports"][0]["targetPort"] == container["ports"][0]["name"]
    assert service["spec"]["selector"].items() <= deployment["spec"]["template"]["metadata"]["labels"].items()


def test_proxies_of_members_are_told_an_address_that_they_reach() -> None:
    assert environment("xds.address=xds.example.com:443")["PENSTOCK_XDS_ADDRESS"] == "xds.example.com:443"
    assert environment("members.enabled=true")["PENSTOCK_MEMBERS"] == "true"


def test_profiles_of_these_namespaces_count() -> None:
    found = {name: value for name, value in environment(*_EVERYTHING).items() if name.startswith("PENSTOCK_MEMBERS_P")}
    assert found == {
        "PENSTOCK_MEMBERS_PROFILES": "fleet,edge", "PENSTOCK_MEMBERS_PROFILE_LABELS": "x-k8s.io/cluster-manager=fleet",
        "PENSTOCK_MEMBERS_PROVIDERS": "/etc/penstock/providers/providers.json",
    }  # fmt: skip


def test_no_secret_stands_in_the_deployment() -> None:
    found = environment(*_EVERYTHING)
    assert found["PENSTOCK_SASL_PASSWORD"] == {"secretKeyRef": {"name": "kafka-sasl", "key": "password"}}
    assert found["PENSTOCK_SASL_USERNAME"] == {"secretKeyRef": {"name": "kafka-sasl", "key": "username"}}
    assert found["PENSTOCK_SSL_KEY"] == "/etc/penstock/kafka/tls.key"
    mounted = {one["name"]: one["mountPath"] for one in pod(*_EVERYTHING)["containers"][0]["volumeMounts"]}
    volumes = {one["name"] for one in pod(*_EVERYTHING)["volumes"]}
    files = {"data", "tmp", "sealing-key", "signing-key", "kafka-tls", "xds-tls", "members", "providers", "plugins"}
    assert mounted.keys() == volumes == files


def test_those_who_write_to_the_log_get_the_key_and_all_know_whom_to_trust() -> None:
    one, two = (signer(number).public for number in (1, 2))
    signing = ("signing.secretName=keys", "signing.key=own.pem", f"signing.trustedKeys={{{one},cluster/*={two}}}")
    assert not {"PENSTOCK_SIGNING_KEY", "PENSTOCK_TRUSTED_KEYS"} & environment().keys()
    for values, writers in ((signing, {"controller"}), ((*_APART, *signing), {"watch", "resolve", "publish"})):
        for component, spec in pods(*values).items():
            told = [_environment(container) for container in (*spec["containers"], *spec.get("initContainers", ()))]
            text = ",".join(env["PENSTOCK_TRUSTED_KEYS"] for env in told[:1])
            assert {env["PENSTOCK_TRUSTED_KEYS"] for env in told} == {text}
            assert trusted_keys(text) == (("", one), ("cluster/*", two))
            volumes = {volume["name"]: volume for volume in spec["volumes"]}
            assert ("signing-key" in volumes) == (component in writers)
            mounts = {mount["name"]: mount["mountPath"] for mount in spec["containers"][0]["volumeMounts"]}
            path = told[0].get("PENSTOCK_SIGNING_KEY", "")
            assert path == (f"{mounts['signing-key']}/own.pem" if component in writers else "")
            if component in writers:
                # What others can read is refused.
                assert volumes["signing-key"]["secret"] == {"secretName": "keys", "defaultMode": 0o440}
            assert all("PENSTOCK_SIGNING_KEY" not in env for env in told[1:])


@_ALL
def test_it_is_restricted(values: tuple[str, ...]) -> None:
    """The Pod Security Standard "restricted", and a root that cannot be written."""
    for found in pods(*values).values():
        assert found["securityContext"]["runAsNonRoot"] is True
        assert found["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in _containers(*values):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
        }  # fmt: skip


@_ALL
def test_what_it_waits_for_keeps_a_pod_from_a_rollout_and_what_hangs_is_ended(values: tuple[str, ...]) -> None:
    for found in pods(*values).values():
        (container,) = found["containers"]
        env = _environment(container)
        ports = {one["name"]: one["containerPort"] for one in container["ports"]}
        assert env["PENSTOCK_HEALTH_LISTEN"] == f"0.0.0.0:{ports['http-health']}"
        asked = {name: container[f"{name}Probe"]["httpGet"] for name in ("startup", "readiness", "liveness")}
        assert {one["port"] for one in asked.values()} == {"http-health"}
        assert {name: one["path"] for name, one in asked.items()} == {
            "startup": "/healthz", "readiness": "/readyz", "liveness": "/healthz",
        }  # fmt: skip


def test_roles_apart_are_a_deployment_each() -> None:
    found = pods(*_APART)
    assert found.keys() == _ROLES
    for role, one in found.items():
        (container,), (topics,) = one["containers"], one["initContainers"]
        assert container["args"][0] == role
        assert topics["args"] == ["topics"]
        done = subprocess.run(
            [sys.executable, "-m", "streams.cli", *container["args"], "--help"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert _environment(container)["PENSTOCK_PROXIES"] == "kubernetes"
        assert container["resources"]["limits"]["memory"] == ("4Gi" if role == "resolve" else "2Gi")


def _selected(selector: Mapping[str, str], objects: list[dict[str, Any]]) -> set[str]:
    """The components whose pods a selector finds."""
    labels = [one["spec"]["template"]["metadata"]["labels"] for one in objects if one["kind"] == "Deployment"]
    return {one["app.kubernetes.io/component"] for one in labels if selector.items() <= one.items()}


@pytest.mark.parametrize("roles", ["together", "apart"])
def test_each_object_selects_its_pods_and_no_others(roles: str) -> None:
    is_apart = roles == "apart"
    found = rendered("replicas=2", f"roles.apart={str(is_apart).lower()}")
    components, serves = (_ROLES, "publish") if is_apart else ({"controller"}, "controller")
    by_name = {(one["kind"], one["metadata"]["name"]): one for one in found}
    service = by_name["Service", "penstock"]["spec"]
    assert _selected(service["selector"], found) == {serves}
    # With Kafka away the publisher serves on, but of all roles together not all are ready.
    assert service.get("publishNotReadyAddresses", False) is not is_apart
    metrics = by_name["Service", "penstock-metrics"]["spec"]
    assert _selected(metrics["selector"], found) == components
    assert metrics["publishNotReadyAddresses"] is True
    for kind, field in (
        ("Deployment", "selector"),
        ("PodDisruptionBudget", "selector"),
        ("NetworkPolicy", "podSelector"),
    ):
        some = [one for one in found if one["kind"] == kind]
        assert [_selected(one["spec"][field]["matchLabels"], found) for one in some] == [
            {one} for one in sorted(components)
        ]
    open_to = {
        one["metadata"]["name"]: {port["port"] for rule in one["spec"]["ingress"] for port in rule["ports"]}
        for one in found
        if one["kind"] == "NetworkPolicy"
    }
    publisher = "penstock-publish" if is_apart else "penstock"
    assert open_to.pop(publisher) == {"grpc-xds", "http-health"}
    assert all(ports == {"http-health"} for ports in open_to.values())


def test_proxies_of_members_are_let_in_from_where_they_come() -> None:
    (ours,) = _xds_from()
    assert ours["podSelector"]["matchLabels"]["kgateway"] == "kube-gateway"
    block = {"ipBlock": {"cidr": "10.8.0.0/14"}}
    assert _xds_from("networkPolicy.xdsFrom[0].ipBlock.cidr=10.8.0.0/14") == [ours, block]


def _xds_from(*values: str) -> list[Any]:
    rules = only("NetworkPolicy", rendered(*values))["spec"]["ingress"]
    return next(one["from"] for one in rules if one["ports"][0]["port"] == "grpc-xds")


def test_the_dashboard_is_found_by_the_sidecar_of_grafana() -> None:
    assert not [one for one in rendered() if one["kind"] == "ConfigMap"]
    found = only("ConfigMap", rendered("metrics.dashboard.enabled=true"))
    assert found["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert json.loads(found["data"]["penstock.json"])["title"] == "penstock"


def test_metrics_are_found_by_an_operator_that_is_there() -> None:
    assert not [one for one in rendered() if one["kind"] == "ServiceMonitor"]
    found = rendered("metrics.serviceMonitor.enabled=true", "metrics.serviceMonitor.labels.release=prometheus")
    monitor = only("ServiceMonitor", found)
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    (endpoint,) = monitor["spec"]["endpoints"]
    services = [one for one in found if one["kind"] == "Service"]
    chosen = [
        one
        for one in services
        if monitor["spec"]["selector"]["matchLabels"].items() <= one["metadata"]["labels"].items()
    ]
    assert [one["metadata"]["name"] for one in chosen] == ["penstock-metrics"]
    assert endpoint["port"] in {port["name"] for port in chosen[0]["spec"]["ports"]}


def test_the_account_has_the_rules_and_no_others() -> None:
    found = rendered("members.enabled=true", release="edge", namespace="infra")
    account = only("ServiceAccount", found)["metadata"]["name"]
    assert only("Deployment", found)["spec"]["template"]["spec"]["serviceAccountName"] == account
    roles = {one["metadata"]["name"]: one for one in found if one["kind"] in {"ClusterRole", "Role"}}
    bindings = [one for one in found if one["kind"].endswith("Binding")]
    assert sorted(map(str, (one["rules"] for one in roles.values()))) == sorted(map(str, rules().values()))
    assert {one["roleRef"]["name"] for one in bindings} == roles.keys()
    subject = {"kind": "ServiceAccount", "name": account, "namespace": "infra"}
    assert all(one["subjects"] == [subject] for one in bindings)
    assert only("Role", found)["metadata"]["namespace"] == "infra"
    assert not [one for one in rendered("rbac.create=false") if "rbac" in one["apiVersion"]]
    assert not [one for one in rendered() if one["metadata"]["name"].endswith("-members")]


def test_no_class_is_made_where_none_is_named() -> None:
    assert environment("gatewayClass=")["PENSTOCK_GATEWAY_CLASS"] == ""


def test_a_budget_is_for_several() -> None:
    kinds = [{one["kind"] for one in rendered(f"replicas={number}")} for number in (1, 2)]
    assert [("PodDisruptionBudget" in one) for one in kinds] == [False, True]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (("kafka.brokers=",), "kafka"),
        (("cluster=East_1",), "cluster"),
        (("no.such=value",), "no"),
        (("kafka.securityProtocol=SASL_SSL",), "needs kafka.sasl.secretName"),
        (("kafka.tls.clientCertificate=true",), "needs kafka.tls.secretName"),
        (("kafka.tls.secretName=kafka-tls",), "kafka.tls is for SSL and SASL_SSL"),
        (
            ("kafka.sasl.secretName=kafka-sasl", "kafka.securityProtocol=SSL"),
            "kafka.sasl is for SASL_PLAINTEXT and SASL_SSL",
        ),
        (("serviceAccount.create=false",), "name the service account"),
        (("roles.resources.nobody.limits.memory=1Gi",), "nobody"),
        (("health.port=80",), "health"),
        (("signing.trustedKeys[0]=A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=",), "needs signing.secretName"),
        (("signing.secretName=keys", "signing.trustedKeys[0]=secret"), "trustedKeys"),
        (("members.kubeconfigSecretName=contexts",), "is for members.enabled=true"),
        (("members.profiles.namespaces={fleet}",), "is for members.enabled=true"),
        (("members.enabled=true", "members.profiles.labels=a=b"), "needs namespaces"),
        (("members.enabled=true", "members.profiles.namespaces={fleet}"), "needs providersConfigMapName"),
    ],
)
def test_what_cannot_be_is_refused(values: tuple[str, ...], words: str) -> None:
    sets = [word for one in (*LEAST, *values) for word in ("--set", one)]
    done = helm("template", "penstock", str(CHART), "--kube-version", "1.37.0", *sets)
    assert done.returncode != 0
    assert words in done.stderr


@pytest.mark.kubernetes
@_ALL
def test_an_api_server_takes_it(api_server: ApiServerProcess, values: tuple[str, ...]) -> None:
    """By a dry run that refuses fields that it does not know."""

    async def take() -> None:
        async with Api(api_server) as api:
            await api.ready()
            for one in rendered(*values):
                await api.apply(one, "tests", more="&dryRun=All&fieldValidation=Strict")

    asyncio.run(take())
