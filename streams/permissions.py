"""What each role may do in a cluster (RBAC), made of the kinds that it reads and writes; no list of its own.

A list is asked for where one object would do: Leases and the GatewayClass are read by a field selector on their name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import yaml

from engine.models.kinds import KINDS
from engine.outputs.channels import ON_REQUEST
from streams.kubernetes.leading import LEASE
from streams.kubernetes.members import KIND as CLUSTER
from streams.kubernetes.profile import KIND as PROFILE
from streams.sinks.kubernetes.objects import GATEWAY, SECRET, WATCHED
from streams.sinks.status.classes import CLASS
from streams.sinks.status.kinds import WRITTEN

Rule = dict[str, list[str]]
Resource = tuple[str, str]
"""Group and plural."""

_READ: Final = ("get", "list", "watch")
_KEPT: Final = ("get", "list", "watch", "create", "patch", "delete")
_KEPT_UNSEEN: Final = ("get", "create", "patch", "delete")
"""Of what is written and not followed."""
_LED: Final = ("list", "create", "update")
_HEADER: Final = "# Generated from the kinds that are read and written (make golden); see `penstock rbac`.\n"


def rules() -> dict[str, list[Rule]]:
    """The rules of each role that knows an API server.

    And those of `leases`, which is of one namespace, and of `members`, for roles that follow Cluster objects and
    ClusterProfiles.
    """
    statuses = [(kind.group, kind.plural) for kind in WRITTEN]
    asked = [(kind.group, kind.plural) for kind in KINDS if (kind.group, kind.name) in ON_REQUEST]
    read = [(kind.group, kind.plural) for kind in KINDS if (kind.group, kind.name) not in ON_REQUEST]
    return {
        "watch": [*_rules(read, _READ), *_rules(asked, _READ)],
        "write-status": [
            *_rules(statuses, _READ),
            *_rules([(group, f"{plural}/status") for group, plural in statuses], ("patch",)),
            *_rules([(CLASS.group, CLASS.plural)], ("create",)),
        ],
        "deploy": [
            *_rules([(GATEWAY.group, GATEWAY.plural)], ("get",)),
            *_rules([(kind.group, kind.plural) for kind in WATCHED], _KEPT),
            *_rules([(SECRET.group, SECRET.plural)], _KEPT_UNSEEN),
        ],
        "members": [
            *_rules([(one.group, one.plural) for one in (CLUSTER, PROFILE, SECRET)], _READ),
            *_rules([(CLUSTER.group, CLUSTER.plural)], ("create",)),
            *_rules([(CLUSTER.group, f"{CLUSTER.plural}/status")], ("patch",)),
        ],
        "leases": _rules([(LEASE.group, LEASE.plural)], _LED),
    }


def manifests(namespace: str, account: str, *, members: bool = False) -> list[dict[str, Any]]:
    """The roles, each bound to the service account; that of the Leases in the namespace, which is the account's."""
    found = []
    for role, granted in rules().items():
        if role == "members" and not members:
            continue
        within = {"namespace": namespace} if role == "leases" else {}
        kind, metadata = ("Role" if within else "ClusterRole"), {"name": f"{account}-{role}", **within}
        found += [
            {**_head(kind, metadata), "rules": granted},
            {
                **_head(f"{kind}Binding", metadata),
                "roleRef": {"apiGroup": _GROUP, "kind": kind, "name": metadata["name"]},
                "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": namespace}],
            },
        ]
    return found


def text(documents: Iterable[Mapping[str, Any]]) -> str:
    """As YAML, one document behind the other."""
    return _HEADER + yaml.safe_dump_all(documents, sort_keys=False, explicit_start=True)


_GROUP: Final = "rbac.authorization.k8s.io"


def _head(kind: str, metadata: Mapping[str, str]) -> dict[str, Any]:
    return {"apiVersion": f"{_GROUP}/v1", "kind": kind, "metadata": dict(metadata)}


def _rules(resources: Iterable[Resource], verbs: Iterable[str]) -> list[Rule]:
    """One rule a group."""
    groups: dict[str, list[str]] = {}
    for group, plural in sorted(resources):
        groups.setdefault(group, []).append(plural)
    return [
        {"apiGroups": [group], "resources": plurals, "verbs": list(verbs)} for group, plurals in sorted(groups.items())
    ]
