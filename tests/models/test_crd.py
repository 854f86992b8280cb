"""The CRDs that are checked in are what the models generate, in the form that an API server takes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from engine.models.crd import crds, text
from tests.models.fields import flattened

FOLDER = Path(__file__).parents[2] / "deploy" / "crds"
UPDATE = os.environ.get("UPDATE_GOLDEN") == "1"
"""Rewrites the files (`make golden`)."""
FORBIDDEN = {
    "$ref", "$defs", "title", "const", "anyOf", "oneOf", "allOf", "examples", "prefixItems", "deprecated", "patternProperties",
}  # fmt: skip


def test_the_files_are_what_the_models_say() -> None:
    for name, crd in crds().items():
        if UPDATE:
            (FOLDER / name).write_text(text(crd))
        assert (FOLDER / name).read_text() == text(crd), f"{name} differs: make golden, then read the difference"
    assert {path.name for path in FOLDER.iterdir()} == set(crds())


def _nodes(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from _nodes(value)
    elif isinstance(node, list):
        for value in node:
            yield from _nodes(value)


def test_the_schemas_are_structural() -> None:
    for crd in crds().values():
        for version in crd["spec"]["versions"]:
            schema = version["schema"]["openAPIV3Schema"]
            for node in _nodes(schema):
                assert not FORBIDDEN & set(node)
                assert node.get("additionalProperties") is not False
                assert node.get("default", "") is not None
                for edge in ("exclusiveMinimum", "exclusiveMaximum"):
                    assert isinstance(node.get(edge, True), bool)
            for path, limits in flattened(schema, "").items():
                assert '"type":' in limits or "int-or-string" in limits, f"{path} has no type"


def test_a_crd_names_its_kind() -> None:
    crd = crds()["gateway.kgateway.dev_backends.yaml"]
    assert crd["metadata"]["name"] == "backends.gateway.kgateway.dev"
    assert crd["spec"]["names"] == {
        "categories": ["kgateway"], "kind": "Backend", "listKind": "BackendList", "plural": "backends",
        "singular": "backend",
    }  # fmt: skip
    (version,) = crd["spec"]["versions"]
    assert version["subresources"] == {"status": {}}
    assert [column["name"] for column in version["additionalPrinterColumns"]] == ["Type", "Accepted", "Age"]
    schema = version["schema"]["openAPIV3Schema"]
    assert schema["required"] == ["spec"]
    assert len(schema["properties"]["spec"]["x-kubernetes-validations"]) == 6


def test_the_text_reads_back() -> None:
    for crd in crds().values():
        assert yaml.safe_load(text(crd)) == crd
