"""The permissions that are checked in are those of the kinds that are read and written, and no others."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.models.kinds import KINDS
from streams.permissions import manifests, rules, text

FILE = Path(__file__).parents[2] / "deploy" / "rbac.yaml"
UPDATE = os.environ.get("UPDATE_GOLDEN") == "1"


def test_the_file_is_what_the_roles_need() -> None:
    found = text(manifests("penstock", "penstock"))
    if UPDATE:
        FILE.write_text(found)
    assert FILE.read_text() == found, "deploy/rbac.yaml differs: make golden, then read the difference"


def verbs(role: str) -> dict[tuple[str, str], set[str]]:
    """What a role may do with each (group, plural)."""
    found: dict[tuple[str, str], set[str]] = {}
    for rule in rules()[role]:
        for group in rule["apiGroups"]:
            for plural in rule["resources"]:
                found.setdefault((group, plural), set()).update(rule["verbs"])
    return found


def test_the_watcher_only_reads_every_kind() -> None:
    assert verbs("watch") == {(kind.group, kind.plural): {"get", "list", "watch"} for kind in KINDS}


def test_the_status_writer_writes_statuses_and_makes_classes() -> None:
    found = verbs("write-status")
    written = {name for name, granted in found.items() if granted - {"get", "list", "watch"}}
    assert {plural for _, plural in written if not plural.endswith("/status")} == {"gatewayclasses"}
    assert found["gateway.networking.k8s.io", "gatewayclasses"] == {"get", "list", "watch", "create"}
    assert found["gateway.networking.k8s.io", "httproutes/status"] == {"patch"}
    assert ("gateway.networking.k8s.io", "referencegrants/status") not in found


def test_the_deployer_follows_no_secret() -> None:
    found = verbs("deploy")
    assert found["", "secrets"] == {"get", "create", "patch", "delete"}
    assert found["gateway.networking.k8s.io", "gateways"] == {"get"}
    assert found["apps", "deployments"] == {"get", "list", "watch", "create", "patch", "delete"}


def test_members_are_found_and_told_by_who_follows_them() -> None:
    reads = {"get", "list", "watch"}
    assert verbs("members") == {
        ("penstock.dev", "clusters"): {*reads, "create"}, ("penstock.dev", "clusters/status"): {"patch"},
        ("multicluster.x-k8s.io", "clusterprofiles"): reads, ("", "secrets"): reads,
    }  # fmt: skip
    names = [{one["metadata"]["name"] for one in manifests("a", "b", members=members)} for members in (False, True)]
    assert names[1] - names[0] == {"b-members"}


@pytest.mark.parametrize("role", sorted(rules()))
def test_nothing_is_granted_by_a_wildcard(role: str) -> None:
    assert "*" not in {one for rule in rules()[role] for part in rule.values() for one in part}
    assert not {"escalate", "bind", "impersonate"} & {verb for rule in rules()[role] for verb in rule["verbs"]}
