"""The troubleshooting page has every reason that the engine can give, with its meaning and remedy, and no other."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.status.condition import is_good
from tests.support.syntax import parsed

_ROOT = Path(__file__).parents[2]
_PAGE = _ROOT / "docs/how-to/troubleshoot.md"
_OWNERS = {
    "Routes": "route",
    "Listeners": "listener",
    "Gateways": "Gateway",
    "ListenerSets": "ListenerSet",
    "GatewayClasses": "GatewayClass",
    "BackendTLSPolicies": "BackendTLSPolicy",
    "TrafficPolicies": "TrafficPolicy",
    "ListenerPolicies": "ListenerPolicy",
    "HTTPListenerPolicies": "HTTPListenerPolicy",
    "kgateway's Backends": "Backend",
    "GatewayExtensions": "GatewayExtension",
    "BackendConfigPolicies": "BackendConfigPolicy",
    "kgateway's DirectResponses": "DirectResponse",
    "ServiceExports": "ServiceExport",
    "Clusters": "Cluster",
}
"""Headings of the page's tables, and whose conditions they are."""
_ARGUMENT = {"Problem": 0, "condition": 2, "not_taken": 2}
"""Which argument is the reason."""
_NAMED = {"PENDING", "_REASONS"}
_REASON = re.compile("[A-Z][A-Za-z]+")
_FINE = {"Accepted", "Attached", "Exported", "NoConflicts", "Placed", "Programmed", "Reachable", "ResolvedRefs", "Valid"}

Row = tuple[str, str, str]
"""Owner, `Type=Status` and reason."""


def _expressions(tree: ast.Module) -> Iterator[ast.AST]:
    """Whatever a reason may be written in."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            yield from node.args[_ARGUMENT[name] :][:1] if name in _ARGUMENT else ()
            yield from (one.value for one in node.keywords if one.arg == "reason")
        elif isinstance(node, ast.ClassDef) and node.name == "Reason":
            yield from (one.value for one in node.body if isinstance(one, ast.Assign))
        elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if {getattr(one, "id", "") for one in targets} & _NAMED:
                yield from node.value.values if isinstance(node.value, ast.Dict) else [node.value]


def in_code() -> set[str]:
    """Every reason that the engine can give."""
    return {
        one.value
        for path in sorted((_ROOT / "engine").rglob("*.py"))
        for expression in _expressions(parsed(path.read_text()))
        for one in ast.walk(expression)
        if isinstance(one, ast.Constant) and isinstance(one.value, str) and _REASON.fullmatch(one.value)
    }


def in_page() -> set[Row]:
    """Every row of the page's tables."""
    rows: set[Row] = set()
    owner = ""
    for line in _PAGE.read_text().splitlines():
        if line.startswith("#"):
            owner = _OWNERS.get(line.lstrip("# "), "")
        cells = [one.strip() for one in line.strip("|").split("|")]
        if owner and line.startswith("| `"):
            assert len(cells) == 4, line
            assert all(cells), line
            reasons = re.findall("`(.+?)`", cells[1])
            rows |= {(owner, one, reason) for one in re.findall("`(.+?)`", cells[0]) for reason in reasons}
    return rows


def _conditions(kind: str, status: Mapping[str, Any]) -> Iterator[Row]:
    parts = [(kind, status)]
    for owner, name in (("listener", "listeners"), ("route", "parents"), (kind, "ancestors")):
        parts += [(owner, one) for one in status.get(name) or ()]
    for owner, part in parts:
        for one in part.get("conditions") or ():
            # A ServiceExport's conflicts are told together (ServiceExportConditionConflict of v1beta1).
            yield from ((owner, f"{one['type']}={one['status']}", reason) for reason in one["reason"].split(","))


def in_goldens() -> set[Row]:
    """Whatever a golden case shows that is not as wished."""
    found: set[Row] = set()
    for path in (_ROOT / "tests/golden/cases").glob("*/status.yaml"):
        for key, status in (yaml.load(path.read_text(), yaml.CSafeLoader).get("statuses") or {}).items():
            found |= set(_conditions(key.split("/")[2], status))
    return {row for row in found if row[2] not in _FINE}


def test_every_reason_is_on_the_page_and_no_other() -> None:
    code, page = in_code(), {reason for _, _, reason in in_page()} | _FINE
    assert code - page == set(), "docs/how-to/troubleshoot.md lacks what the engine says"
    assert page - code == set(), "docs/how-to/troubleshoot.md has what the engine never says"


def test_every_condition_that_a_golden_case_shows_is_on_the_page() -> None:
    assert in_goldens() - in_page() == set()


def test_no_reason_escapes_the_collection() -> None:
    """What the goldens show is found in the code, too: else it is written in a way that is not looked for."""
    assert {reason for _, _, reason in in_goldens()} - in_code() == set()


@pytest.mark.parametrize("owner", _OWNERS.values())
def test_every_kind_has_its_table(owner: str) -> None:
    assert [row for row in in_page() if row[0] == owner]


@pytest.mark.parametrize(("kind", "status"), [("Conflict", "False"), ("Conflict", "True"), ("Conflicted", "False")])
def test_a_conflict_is_bad_only_when_there_is_one(kind: str, status: str) -> None:
    """A ServiceExport without conflicts is fine."""
    one = {"type": kind, "status": status, "reason": "R", "message": "text"}
    assert is_good(one) == (status == "False")
