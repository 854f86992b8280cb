"""The kinds whose statuses are written, made of what their models say; no list of its own."""

from __future__ import annotations

from typing import Final

from engine.models.kind import Kind
from engine.models.kinds import KINDS

_GATEWAY_API: Final = "gateway.networking.k8s.io"
_MULTICLUSTER: Final = "multicluster.x-k8s.io"
_WITHOUT: Final = frozenset({"ReferenceGrant", "ServiceImport"})
"""Foreign kinds that have no status of ours. Their CRDs are not ours, so no model says it."""


def _is_written(kind: Kind) -> bool:
    if kind.crd is None:
        return kind.group in (_GATEWAY_API, _MULTICLUSTER) and kind.name not in _WITHOUT
    return bool(kind.crd.status.model_fields)


def _is_unnamed(kind: Kind) -> bool:
    if kind.crd is None:
        return kind.group == _MULTICLUSTER
    return "ancestors" not in kind.crd.status.model_fields


WRITTEN: Final = tuple(kind for kind in KINDS if _is_written(kind))
"""The kinds that have a status of ours."""
UNNAMED: Final = frozenset((kind.group, kind.name) for kind in WRITTEN if _is_unnamed(kind))
"""Of them, (group, name), those that are no Gateway's and whose conditions do not say which controller's they are:
beside kgateway, or another that serves the Multi-Cluster Services API, two have one word to say about one object."""
