"""CustomResourceDefinitions of the kinds that are ours to install, generated from their models. It writes no file."""

from __future__ import annotations

from typing import Any

import yaml

from engine.models.kind import CustomResource, Kind
from engine.models.kinds import KINDS
from engine.models.schema import Schema, structural

HEADER = "# Generated from engine/models; do not edit.\n"


def crds() -> dict[str, dict[str, Any]]:
    """Every CRD by the name of its file, in order."""
    return {f"{kind.group}_{kind.plural}.yaml": _crd(kind, kind.crd) for kind in KINDS if kind.crd is not None}


def text(crd: dict[str, Any]) -> str:
    """A CRD as YAML, as it is checked in."""
    written: str = yaml.dump(crd, Dumper=_Plain, sort_keys=False, width=120, allow_unicode=True)
    return HEADER + "---\n" + written


class _Plain(yaml.SafeDumper):
    """Equal lists are written out each time."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002  the library's signature
        return True


def _crd(kind: Kind, resource: CustomResource) -> dict[str, Any]:
    names = {
        "categories": list(resource.categories),
        "kind": kind.name,
        "listKind": f"{kind.name}List",
        "plural": kind.plural,
        "shortNames": list(kind.short),
        "singular": kind.name.lower(),
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{kind.group}"},
        "spec": {
            "group": kind.group,
            "names": {key: value for key, value in names.items() if value},
            "scope": "Namespaced" if kind.namespaced else "Cluster",
            "versions": [
                _version(kind, resource, version, stored=number == 0) for number, version in enumerate(kind.versions)
            ],
        },
    }


def _version(kind: Kind, resource: CustomResource, version: str, *, stored: bool) -> dict[str, Any]:
    return {
        "name": version,
        "served": True,
        "storage": stored,
        "additionalPrinterColumns": [
            {"description": one.description, "jsonPath": one.path, "name": one.name, "type": one.type}
            for one in resource.columns
        ],
        "schema": {"openAPIV3Schema": _whole(kind, resource)},
        "subresources": {"status": {}},
    }


def _whole(kind: Kind, resource: CustomResource) -> Schema:
    schema = structural(kind.model)
    schema["properties"]["metadata"] = {"type": "object"}
    schema["properties"]["status"] = structural(resource.status)
    schema["required"] = [name for name in schema["required"] if name not in ("apiVersion", "kind", "metadata")]
    return schema
