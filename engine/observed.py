"""Objects that nobody writes: what a source found out because the graph asked for it; it finds out nothing itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from engine.ref import Ref

GROUP: Final = "penstock.dev"
SELECTION: Final = "SecretSelection"
"""The Secrets of a namespace that have some labels: there once they were read, all of them."""
_EPOCH: Final = "1970-01-01T00:00:00.000Z"
"""When it was found out is the record's to tell: found out anew, it is the same object."""


def selection_ref(cluster: str, namespace: str, labels: Mapping[str, str]) -> Ref:
    """The Secrets with all these labels. Its name says which: `app=shop,example.com:team=stock`."""
    # A ref has no slashes, and a label has no colons.
    name = ",".join(f"{label}={value}" for label, value in sorted(labels.items())).replace("/", ":")
    return Ref(cluster, GROUP, SELECTION, namespace, name)


def is_selection(ref: Ref) -> bool:
    """Whether it is a `selection_ref`."""
    return (ref.group, ref.kind) == (GROUP, SELECTION)


def selected_labels(selection: Ref) -> dict[str, str]:
    """The labels of a `selection_ref`."""
    pairs = (one.partition("=") for one in selection.name.replace(":", "/").split(","))
    return {label: value for label, _, value in pairs}


def observation(ref: Ref, spec: Mapping[str, Any]) -> dict[str, Any]:
    """The object as it stands in the log."""
    metadata = {"name": ref.name, "namespace": ref.namespace, "generation": 1, "creationTimestamp": _EPOCH}
    return {"apiVersion": f"{ref.group}/v1alpha1", "kind": ref.kind, "metadata": metadata, "spec": dict(spec)}
