"""CRDs of ours before a real API server: it takes them, and what our models take; it refuses what their rules say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.models.admission import Admitted, admit
from engine.models.crd import crds
from engine.models.kinds import BY_NAME
from tests.kubernetes.bed.server import ApiServerProcess
from tests.kubernetes.stage import RealStage, real_stage
from tests.models.manifests import ALL

_OURS = {kind.name: kind for kind in BY_NAME.values() if kind.crd is not None}
_CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_CASES = Path(__file__).parents[1] / "golden" / "cases"
_ROWS: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "refused.yaml").read_text())
_MODELS: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parents[1] / "models" / "refused.yaml").read_text())


def _path(namespace: str, name: str) -> str:
    kind = _OURS[name]
    within = f"namespaces/{namespace}/" if kind.namespaced else ""
    return f"/apis/{kind.group}/v1alpha1/{within}{kind.plural}?dryRun=All&fieldValidation=Strict"


def _metadata(stage: RealStage, kind: str, name: str) -> dict[str, str]:
    return {"name": name, **({"namespace": stage.namespace} if _OURS[kind].namespaced else {})}


def _rules(schema: dict[str, Any]) -> Iterator[str]:
    yield from (rule["message"] for rule in schema.get("x-kubernetes-validations") or ())
    for below in (schema.get("properties") or {}).values():
        yield from _rules(below)
    for name in ("items", "additionalProperties"):
        if isinstance(schema.get(name), dict):
            yield from _rules(schema[name])


def test_every_rule_has_a_row_that_breaks_it() -> None:
    rows = [(one["of"], one["rule"]) for one in _ROWS if "rule" in one]
    told = {(one["of"], problem.partition(": ")[2]) for one in _MODELS for problem in one["problems"]}
    every = set()
    for crd in crds().values():
        (version,) = crd["spec"]["versions"]
        every |= {(crd["spec"]["names"]["kind"], rule) for rule in _rules(version["schema"]["openAPIV3Schema"])}
    found = {(kind, rule) for kind, rule in every for of, words in rows if kind == of and words in rule}
    assert every - found - told == set()
    # And no row is about a rule that is none.
    assert [row for row in rows if not any(kind == row[0] and row[1] in rule for kind, rule in every)] == []


@pytest.mark.kubernetes
async def test_an_api_server_takes_our_crds(api_server: ApiServerProcess) -> None:
    async with real_stage(api_server) as stage:
        for crd in crds().values():
            found = await stage.api.call("GET", f"{_CRDS}/{crd['metadata']['name']}")
            said = {one["type"]: one["status"] for one in found["status"]["conditions"]}
            assert said == {"Established": "True", "NamesAccepted": "True"}, (crd["metadata"]["name"], said)


def _admitted() -> Iterator[dict[str, Any]]:
    """All objects of these kinds in tests of ours that our models take."""
    for one in (*ALL, *_golden()):
        kind = _OURS.get(one["kind"])
        if kind is None or one["apiVersion"] != f"{kind.group}/v1alpha1":
            continue
        if isinstance(admit((kind.group, kind.name), one), Admitted):
            yield one


def _golden() -> Iterator[dict[str, Any]]:
    for path in sorted(_CASES.glob("*/input.yaml")):
        with suppress(yaml.YAMLError):  # One is broken on purpose.
            for one in yaml.load_all(path.read_text(), yaml.CSafeLoader):
                if isinstance(one, dict) and "apiVersion" in one:
                    yield one


@pytest.mark.kubernetes
async def test_an_api_server_takes_what_our_models_take(api_server: ApiServerProcess) -> None:
    seen: Counter[str] = Counter()
    wrong = []
    async with real_stage(api_server) as stage:
        for one in _admitted():
            seen[one["kind"]] += 1
            object_ = {**one, "metadata": _metadata(stage, one["kind"], one["metadata"]["name"])}
            answer = await stage.api.answered("POST", _path(stage.namespace, one["kind"]), object_)
            if answer.get("status") == "Failure":
                wrong.append((one["kind"], one["metadata"]["name"], answer["message"]))
    assert not wrong, "\n".join(map(str, wrong))
    assert set(seen) == set(_OURS)


@pytest.mark.kubernetes
async def test_an_api_server_refuses_what_the_rules_say(api_server: ApiServerProcess) -> None:
    async with real_stage(api_server) as stage:
        told = [(row, await _said(stage, row)) for row in _ROWS]
    wrong = [
        (row["of"], row.get("rule") or row["says"], message, causes)
        for row, (message, causes) in told
        if (row.get("rule") or row["says"]) not in message or causes != 1
    ]
    assert not wrong, "\n".join(map(str, wrong))


async def _said(stage: RealStage, row: dict[str, Any]) -> tuple[str, int]:
    """What the API server says against a spec, and how many things; "" for nothing."""
    object_ = {
        "apiVersion": f"{_OURS[row['of']].group}/v1alpha1",
        "kind": row["of"],
        "metadata": _metadata(stage, row["of"], "a"),
        "spec": row["spec"],
    }
    answer = await stage.api.answered("POST", _path(stage.namespace, row["of"]), object_)
    causes = [one["message"] for one in (answer.get("details") or {}).get("causes") or ()]
    said = str(answer["message"]) if answer.get("status") == "Failure" else ""
    return said, sum("some validation rules were not checked" not in one for one in causes)
