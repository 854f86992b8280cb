"""What is admitted and refused, with exact paths and messages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.models.admission import Admitted, FieldProblem, Refusal, UnknownKind, admit
from engine.models.http_route import HTTPRoute
from engine.ref import Ref
from tests.models.manifests import (
    ALL,
    BACKEND,
    ENDPOINT_SLICE,
    GATEWAY,
    GATEWAY_API,
    GRPC_ROUTE,
    HTTP_ROUTE,
    SECRET,
    SERVICE,
    TCP_ROUTE,
    Json,
    changed,
    target,
)

RULE = "spec.rules[0]"
MATCH = f"{RULE}.matches[0]"
FILTER = f"{RULE}.filters"


def problems(manifest: Json) -> list[str]:
    judged = admit(target(manifest), manifest)
    return [] if isinstance(judged, Admitted) else [str(problem) for problem in judged.problems]

_MAP = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}


@pytest.mark.parametrize("manifest", ALL, ids=lambda manifest: manifest["kind"])
def test_whole_manifests_are_admitted(manifest: Json) -> None:
    assert problems(manifest) == []


def test_attributes_have_the_names_of_the_fields() -> None:
    judged = admit(target(HTTP_ROUTE), HTTP_ROUTE)
    assert isinstance(judged, Admitted)
    route = judged.model
    assert isinstance(route, HTTPRoute)
    rule = route.spec.rules[0]
    assert (rule.matches[0].path.type, rule.matches[0].path.value) == ("PathPrefix", "/api")
    assert rule.backend_refs[0].weight == 0
    assert rule.filters[0].request_header_modifier is not None
    assert rule.filters[0].request_header_modifier.set[0].name == "x-a"
    assert rule.session_persistence is not None
    assert rule.session_persistence.cookie_config is not None
    assert rule.session_persistence.cookie_config.lifetime_type == "Permanent"


def test_defaults_are_those_of_the_crd() -> None:
    bare = {"apiVersion": f"{GATEWAY_API}/v1", "kind": "HTTPRoute", "metadata": {"name": "a"}, "spec": {}}
    judged = admit(target(bare), bare)
    assert isinstance(judged, Admitted)
    assert isinstance(judged.model, HTTPRoute)
    (rule,) = judged.model.spec.rules
    (match,) = rule.matches
    assert (match.path.type, match.path.value, rule.backend_refs) == ("PathPrefix", "/", ())
    assert judged.object == bare


ADMITTED: list[tuple[Json, str, Any]] = [
    (HTTP_ROUTE, "spec.hostnames", ["a.example.com", "a.example.com"]),
    (HTTP_ROUTE, f"{MATCH}.path.value", "/a%20b/.c/..d/"),
    (HTTP_ROUTE, f"{MATCH}.path", ...),
    (HTTP_ROUTE, f"{RULE}.timeouts", {"request": "0s", "backendRequest": "10s"}),
    (HTTP_ROUTE, f"{RULE}.timeouts", {"request": "1s", "backendRequest": "1000ms"}),
    (HTTP_ROUTE, "spec.rules[1].matches[0].path.value", r"/\w+(?i:x)"),
    (
        HTTP_ROUTE,
        f"{FILTER}[0].requestHeaderModifier.set",
        [{"name": "a", "value": "1"}, {"name": "A", "value": "100%%"}],
    ),
    (HTTP_ROUTE, f"{FILTER}[5].cors", {"allowOrigins": ["*"], "allowMethods": ["*"]}),
    (HTTP_ROUTE, "spec.parentRefs", [{"name": "g", "namespace": "a"}, {"name": "g", "namespace": "b"}]),
    (HTTP_ROUTE, "metadata.creationTimestamp", None),
    (HTTP_ROUTE, "metadata.annotations", {"Example.com/Note": "any text, ü"}),
    (HTTP_ROUTE, "status", {"parents": "anything"}),
    (GATEWAY, "spec.listeners[0].protocol", "example.com/PROTOCOL"),
    (GATEWAY, "spec.listeners[0].hostname", None),
    (GATEWAY, "spec.listeners[1].tls", ...),
    (BACKEND, "spec.type", ...),
    (BACKEND, "spec.static.hosts[0].host", "fd00::1"),
    (BACKEND, "spec", {"gcp": {"host": "x.run.app"}}),
    (BACKEND, "spec", {"dynamicForwardProxy": {"enableTls": True}}),
    (BACKEND, "spec", {"aws": {"lambda": {"functionName": "f", "accountId": "123456789012"}}}),
    (BACKEND, "spec", {"priorityGroups": [{"backendRefs": [{"name": "a"}]}]}),
    (SERVICE, "spec.ports[0].targetPort", 8080),
    (GRPC_ROUTE, "spec", {}),
    (GRPC_ROUTE, f"{MATCH}.method.service", ".a.B_c"),
    (TCP_ROUTE, "spec.rules", [{"backendRefs": [{"name": "a", "port": 1}]}] * 2),
    (SECRET, "data", None),
    (ENDPOINT_SLICE, "endpoints", None),
]


@pytest.mark.parametrize(("manifest", "path", "value"), ADMITTED)
def test_admitted(manifest: Json, path: str, value: Any) -> None:
    assert problems(changed(manifest, path, value)) == []


REFUSED: list[Json] = yaml.safe_load((Path(__file__).parent / "refused.yaml").read_text())
BY_KIND = {manifest["kind"]: manifest for manifest in ALL}


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: f"{case['of']}-{case['at']}")
def test_refused(case: Json) -> None:
    manifest = BY_KIND[case["of"]]
    judged = admit(target(manifest), changed(manifest, case["at"], case.get("value", ...)))
    assert isinstance(judged, Refusal)
    assert [str(problem) for problem in judged.problems] == case["problems"]


def test_unknown_fields_from_an_api_server_are_warnings() -> None:
    newer = changed(changed(HTTP_ROUTE, "spec.colour", "red"), f"{MATCH}.pathe", {"type": "Exact"})
    judged = admit(target(newer), newer, strict=False)
    assert isinstance(judged, Admitted)
    assert set(judged.warnings) == {
        FieldProblem("spec.colour", "unknown field", "remove it, or correct its spelling"),
        FieldProblem(f"{MATCH}.pathe", "unknown field", "did you mean path?"),
    }
    assert judged.model == admit(target(HTTP_ROUTE), HTTP_ROUTE).model  # type: ignore[union-attr]


def test_what_is_wrong_stays_wrong_from_an_api_server() -> None:
    wrong = changed(changed(HTTP_ROUTE, "spec.colour", "red"), "spec.hostnames", 1)
    judged = admit(target(wrong), wrong, strict=False)
    assert isinstance(judged, Refusal)
    assert {problem.path for problem in judged.problems} == {"spec.colour", "spec.hostnames"}


def test_an_unknown_kind_can_be_told_apart() -> None:
    judged = admit(("apps", "Deployment"), {})
    assert isinstance(judged, UnknownKind)
    assert judged.message == "kind: Deployment of apps is not a kind that is read"


def test_an_object_is_judged_under_its_own_name() -> None:
    judged = admit(Ref("c", GATEWAY_API, "HTTPRoute", "default", "b"), HTTP_ROUTE)
    assert isinstance(judged, Refusal)
    assert judged.message == "metadata.name: 'a' is not the name under which it is known, 'b'"
    assert isinstance(admit(Ref("c", GATEWAY_API, "HTTPRoute", "default", "a"), HTTP_ROUTE), Admitted)


@pytest.mark.parametrize(("namespace", "known"), [("default", "x@east"), ("", "x@east"), ("shop", "default"), ("shop", "")])
def test_an_object_is_judged_under_its_own_namespace(namespace: str, known: str) -> None:
    written = changed(HTTP_ROUTE, "metadata.namespace", namespace)
    judged = admit(Ref("c", GATEWAY_API, "HTTPRoute", known, "a"), written)
    assert isinstance(judged, Refusal)
    told = f"{namespace or 'default'!r} is not the namespace under which it is known, {known!r}"
    assert judged.message == f"metadata.namespace: {told}"
    own = Ref("c", GATEWAY_API, "HTTPRoute", namespace or "default", "a")
    assert isinstance(admit(own, written), Admitted)
    odd = changed(HTTP_ROUTE, "metadata.namespace", "x@east")
    assert isinstance(admit(Ref("c", GATEWAY_API, "HTTPRoute", "x@east", "a"), odd), Refusal)


def test_what_lives_in_no_namespace_is_known_without_one() -> None:
    spec = {"controllerName": "penstock.dev/gateway-controller"}
    made = {"apiVersion": f"{GATEWAY_API}/v1", "kind": "GatewayClass", "metadata": {"name": "a"}, "spec": spec}
    assert isinstance(admit(Ref("c", GATEWAY_API, "GatewayClass", "", "a"), made), Admitted)
    passed_over = changed(made, "metadata.namespace", "shop")
    assert isinstance(admit(Ref("c", GATEWAY_API, "GatewayClass", "", "a"), passed_over), Admitted)
    judged = admit(Ref("c", GATEWAY_API, "GatewayClass", "x@east", "a"), made)
    assert isinstance(judged, Refusal)
    assert judged.message == "metadata.namespace: '' is not the namespace under which it is known, 'x@east'"


def test_many_problems_are_one_short_line() -> None:
    wrong = changed(HTTP_ROUTE, "spec.hostnames", [1] * 16)
    judged = admit(target(wrong), wrong)
    assert isinstance(judged, Refusal)
    assert len(judged.problems) == 16
    assert judged.message.endswith("spec.hostnames[4]: must be text, not a number: put it in quotes; and 11 more")


def test_a_secret_is_never_shown() -> None:
    canary = "c4n4ry-of-a-secret"
    for path, value in (
        ("data", {canary: {"nested": canary}}), ("data", [canary]), ("type", [canary]), ("data", canary),
        ("stringData", {"a": [canary]}), ("immutable", canary), ("metadata.labels", {"a": canary + " "}),
        ("stringdata", {"a": canary}), ("spec", {"data": {"a": canary}}), ("metadata.note", canary),
    ):  # fmt: skip
        judged = admit(("", "Secret"), changed(SECRET, path, value))
        assert isinstance(judged, Refusal)
        assert canary not in judged.message.replace(f"data.{canary}", "").replace(f"data[{canary}]", "")


@pytest.mark.parametrize("field", ["data", "stringData"])
@pytest.mark.parametrize("key", ["a\r\nx-admin: yes", "a b", "", "ä", "a/b", "..", "..a", "a" * 254])
def test_keys_of_data_are_an_api_servers(field: str, key: str) -> None:
    """One becomes the name of a client in a header; no file may have what an API server would not take."""
    judged = admit(("", "Secret"), changed(SECRET, field, {key: "c2VjcmV0"}))
    assert isinstance(judged, Refusal)
    assert "c2VjcmV0" not in judged.message
    assert judged.message.isprintable()
    assert isinstance(admit(("", "ConfigMap"), {**_MAP, "data": {key: "a"}}), Refusal)
    for right in ("a", ".dockerconfigjson", "tls.crt", "A_b-9", "a" * 253):
        assert isinstance(admit(("", "Secret"), changed(SECRET, field, {right: "c2VjcmV0"})), Admitted)


def test_a_misspelt_field_of_a_secret_is_refused() -> None:
    """Only `data` and `stringData` are sealed: what stood beside them would enter the log in clear."""
    judged = admit(("", "Secret"), changed(SECRET, "stringdata", {"token": "x"}))
    assert isinstance(judged, Refusal)
    assert judged.message == "stringdata: unknown field: did you mean stringData?"
