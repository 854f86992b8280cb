"""Objects that nobody writes: what a source found out because the graph asked for it; it finds out nothing itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, unquote

from engine.ref import Ref

GROUP: Final = "penstock.dev"
SELECTION: Final = "SecretSelection"
"""The Secrets of a namespace that have some labels: there once they were read, all of them."""
CONFIGURATION: Final = "OpenIDConfiguration"
"""What an issuer of tokens says of itself (OpenID Connect Discovery 1.0), or why that is not known."""
_EPOCH: Final = "1970-01-01T00:00:00.000Z"
"""When it was found out is the record's to tell: found out anew, it is the same object."""


def selection_ref(cluster: str, namespace: str, labels: Mapping[str, str]) -> Ref:
    """The Secrets with all these labels. Its name says which: `app=shop,example.com:team=stock`."""
    # A ref has no slashes, and a label has no colons.
    name = ",".join(f"{label}={value}" for label, value in sorted(labels.items())).replace("/", ":")
    return Ref(cluster, GROUP, SELECTION, namespace, name)


def is_observed(ref: Ref) -> bool:
    """Whether it is of a kind that nobody writes."""
    return ref.group == GROUP and ref.kind in (SELECTION, CONFIGURATION)


def is_selection(ref: Ref) -> bool:
    """Whether it is a `selection_ref`."""
    return (ref.group, ref.kind) == (GROUP, SELECTION)


def selected_labels(selection: Ref) -> dict[str, str]:
    """The labels of a `selection_ref`."""
    pairs = (one.partition("=") for one in selection.name.replace(":", "/").split(","))
    return {label: value for label, _, value in pairs}


def configuration_ref(cluster: str, issuer: str) -> Ref:
    """What an issuer, by its URI, says to those who ask from a cluster."""
    return Ref(cluster, GROUP, CONFIGURATION, "", quote(issuer, safe=""))


def is_configuration(ref: Ref) -> bool:
    """Whether it is a `configuration_ref`."""
    return (ref.group, ref.kind) == (GROUP, CONFIGURATION)


def issuer_of(configuration: Ref) -> str:
    """The issuer of a `configuration_ref`."""
    return unquote(configuration.name)


def observation(ref: Ref, spec: Mapping[str, Any], generation: int = 1) -> dict[str, Any]:
    """The object as it stands in the log."""
    metadata = {"name": ref.name, "generation": generation, "creationTimestamp": _EPOCH}
    metadata |= {"namespace": ref.namespace} if ref.namespace else {}
    return {"apiVersion": f"{ref.group}/v1alpha1", "kind": ref.kind, "metadata": metadata, "spec": dict(spec)}
