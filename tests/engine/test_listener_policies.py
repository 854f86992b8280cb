"""Listener policies: what closes, what is sealed, and what an edit costs."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

from engine.engine import Engine
from engine.events import Put
from engine.policies.listener.features import FEATURES
from engine.update import FragmentKind
from tests.engine.test_work import _engine, _work
from tests.models.listener_manifests import LISTENER_POLICY
from tests.support.manifests import API, change_set, delete, gateway, put
from tests.support.story import KGATEWAY, SEALER, Story

_TARGET = {"group": API, "kind": "Gateway", "name": "gw"}
_CA = [{"group": "", "kind": "ConfigMap", "name": "ca"}]
_FEATURES = Path(__file__).parents[2] / "engine" / "policies" / "listener"


def policy(generation: int = 1, name: str = "p", **default: Any) -> Put:
    spec = {"targetRefs": [_TARGET], "default": default}
    return put(KGATEWAY, "v1alpha1", "ListenerPolicy", name, {"spec": spec}, generation)


def named(server: Any, generation: int = 1) -> Put:
    return policy(generation, httpSettings={"serverName": server})


def served(story: Story, within: str = "8080") -> bytes:
    one = story.one(FragmentKind.LISTENER, within)
    return one.payload if one is not None else b""


@pytest.mark.parametrize("what", ["never taken", "rejected"])
def test_a_policy_that_cannot_be_served_and_asks_for_client_certificates_lets_nobody_in(what: str) -> None:
    authority = put("", "v1", "ConfigMap", "ca", {"data": {"ca.crt": "none"}})
    validation = {"mode": "Require", "caCertificateRefs": _CA}
    server = "a\nb" if what == "never taken" else "edge"
    story = Story(authority)
    assert served(story, "8443")
    story.tell(policy(clientCertificateValidation=validation, httpSettings={"serverName": server}))
    if what == "rejected":
        story.tell(policy(2, clientCertificateValidation=validation, httpSettings={"serverName": server}))
    assert not served(story, "8443")
    assert served(story)
    story.tell(policy(3, httpSettings={"serverName": "edge"}))
    assert b"edge" in served(story, "8443")


def test_a_value_of_a_secret_leaves_sealed_and_waits_until_it_is_read() -> None:
    secret = put("", "v1", "Secret", "token", {"data": {"k": SEALER.seal_text(b"in-clear-for-nobody\n")}})
    story = Story()
    header = {"name": "x-token", "secretRef": {"name": "token", "key": "k"}}
    early = policy(httpSettings={"earlyRequestHeaderModifier": {"set": [header]}})
    story.tell(early)
    assert "Secret default/token does not exist" in story.says(early)
    story.tell(secret)
    one = story.one(FragmentKind.LISTENER, "8080")
    assert one is not None
    assert one.sealed
    assert secret.ref in dict(one.provenance)
    assert b"in-clear-for-nobody" in SEALER.unseal(one.payload, str(one.key).encode())
    state = {**story.engine.state(), "everything": story.engine.everything()}
    assert "in-clear-for-nobody" not in str(state)
    story.tell(delete(secret))
    assert not story.one(FragmentKind.LISTENER, "8080").sealed  # type: ignore[union-attr]


def test_added_and_removed_it_leaves_no_trace() -> None:
    story = Story()
    before = story.engine.everything()
    whole = put(KGATEWAY, "v1alpha1", "ListenerPolicy", "a", {"spec": LISTENER_POLICY["spec"]})
    story.tell(whole)
    assert story.engine.everything().fragments.set != before.fragments.set
    story.tell(delete(whole))
    after = story.engine.everything()
    assert (after.fragments, after.nodes) == (before.fragments, before.nodes)
    assert after.statuses.set.keys() == before.statuses.set.keys()


@pytest.mark.timeout(600)
def test_an_edit_of_a_policy_costs_the_same_at_any_size() -> None:
    """Its Gateway's listeners, and no route."""
    costs = []
    for size in (100, 3_000):
        engine: Engine = _engine(size)
        edits = (named("a"), named("b", 2), policy(3, proxyProtocol={}), delete(named("b")))
        costs.append([_work(engine, edit, 9_000 + at) for at, edit in enumerate(edits)])
        assert all(emitted for _, _, emitted in costs[-1])
    assert costs[0] == costs[1]


def test_whose_each_field_is_stands_with_its_listener() -> None:
    """Creation decides, not arrival."""
    old = named("old")
    new = policy(name="q", httpSettings={"serverName": "new", "acceptHttp10": True})
    new.object["metadata"]["creationTimestamp"] = "2026-02-01T00:00:00Z"
    told = []
    for puts in ((old, new), (new, old)):
        engine = Engine(SEALER)
        for number, one in enumerate((gateway(), *puts)):
            engine.apply(change_set(one, number=number), number)
        told.append(engine.everything().fragments.set)
    assert told[0] == told[1]
    (payload,) = [one.payload for one in told[0].values() if one.key.kind is FragmentKind.LISTENER]
    assert b"merge.ListenerPolicy.gateway.kgateway.dev" in payload
    assert b"gateway.kgateway.dev/ListenerPolicy/default/q" in payload


def test_no_feature_imports_another_and_each_has_its_fields() -> None:
    files = [one for one in _FEATURES.glob("*.py") if one.stem not in {"__init__", "feature", "features"}]
    assert len(files) == len(FEATURES)
    for one in files:
        for node in ast.walk(ast.parse(one.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("engine.policies"):
                assert node.module == "engine.policies.listener.feature", one.name
    default = LISTENER_POLICY["spec"]["default"]
    fields = {name for name in default if name != "httpSettings"} | {f"httpSettings.{name}" for name in default["httpSettings"]}
    known = {field for one in FEATURES for field in one.fields}
    # Two that the whole manifest cannot have beside xffTrustedCIDRs; and what clients show is asked by no feature.
    assert known == fields - {"clientCertificateValidation"} | {"httpSettings.xffNumTrustedHops"}
