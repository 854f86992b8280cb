"""What the chart makes of values, by the real helm."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from streams.permissions import rules
from streams.settings import Settings
from tests.chart.helm import CHART, LEAST, helm, only, rendered
from tests.kubernetes.bed.api import Api
from tests.kubernetes.bed.server import ApiServerProcess

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
)


def pod(*values: str) -> dict[str, Any]:
    found: dict[str, Any] = only("Deployment", rendered(*values))["spec"]["template"]["spec"]
    return found


def environment(*values: str) -> dict[str, Any]:
    return {one["name"]: one.get("value", one.get("valueFrom")) for one in pod(*values)["containers"][0]["env"]}


def test_lint() -> None:
    done = helm("lint", "--strict", str(CHART), *[word for one in LEAST for word in ("--set", one)])
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("values", [(), _EVERYTHING], ids=["least", "everything"])
def test_every_variable_is_a_setting(values: tuple[str, ...]) -> None:
    found = environment(*values)
    known = {f"PENSTOCK_{name.upper()}" for name in Settings.model_fields}
    assert found.keys() <= known | {"POD_NAME"}, found.keys() - known


def test_the_address_is_that_of_the_service() -> None:
    found = rendered("xds.port=15010", release="edge", namespace="infra")
    service, deployment = only("Service", found), only("Deployment", found)
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    env = {one["name"]: one.get("value") for one in container["env"]}
    assert env["PENSTOCK_XDS_ADDRESS"] == f"{service['metadata']['name']}.infra.svc:15010"
    assert env["PENSTOCK_XDS_LISTEN"] == "0.0.0.0:15010"
    assert service["spec"]["ports"][0]["targetPort"] == container["ports"][0]["name"]
    assert service["spec"]["selector"].items() <= deployment["spec"]["template"]["metadata"]["labels"].items()


def test_no_secret_stands_in_the_deployment() -> None:
    found = environment(*_EVERYTHING)
    assert found["PENSTOCK_SASL_PASSWORD"] == {"secretKeyRef": {"name": "kafka-sasl", "key": "password"}}
    assert found["PENSTOCK_SASL_USERNAME"] == {"secretKeyRef": {"name": "kafka-sasl", "key": "username"}}
    assert found["PENSTOCK_SSL_KEY"] == "/etc/penstock/kafka/tls.key"
    mounted = {one["name"]: one["mountPath"] for one in pod(*_EVERYTHING)["containers"][0]["volumeMounts"]}
    volumes = {one["name"] for one in pod(*_EVERYTHING)["volumes"]}
    assert mounted.keys() == volumes == {"data", "tmp", "sealing-key", "kafka-tls", "xds-tls"}


@pytest.mark.parametrize("values", [(), _EVERYTHING], ids=["least", "everything"])
def test_it_is_restricted(values: tuple[str, ...]) -> None:
    """The Pod Security Standard "restricted", and a root that cannot be written."""
    found = pod(*values)
    assert found["securityContext"]["runAsNonRoot"] is True
    assert found["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    context = found["containers"][0]["securityContext"]
    assert context == {
        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
    }  # fmt: skip


def test_the_account_has_the_rules_and_no_others() -> None:
    found = rendered(release="edge", namespace="infra")
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
        (("serviceAccount.create=false",), "name the service account"),
    ],
)
def test_what_cannot_be_is_refused(values: tuple[str, ...], words: str) -> None:
    sets = [word for one in (*LEAST, *values) for word in ("--set", one)]
    done = helm("template", "penstock", str(CHART), "--kube-version", "1.37.0", *sets)
    assert done.returncode != 0
    assert words in done.stderr


@pytest.mark.kubernetes
@pytest.mark.parametrize("values", [(), _EVERYTHING], ids=["least", "everything"])
def test_an_api_server_takes_it(api_server: ApiServerProcess, values: tuple[str, ...]) -> None:
    """By a dry run that refuses fields that it does not know."""

    async def take() -> None:
        async with Api(api_server) as api:
            await api.ready()
            for one in rendered(*values):
                await api.apply(one, "tests", more="&dryRun=All&fieldValidation=Strict")

    asyncio.run(take())
