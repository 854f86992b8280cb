"""The kinds whose statuses are written, made of what their models say; no list of its own."""

from __future__ import annotations

from typing import Final

from engine.models.kind import Kind
from engine.models.kinds import KINDS

_GATEWAY_API: Final = "gateway.networking.k8s.io"
_WITHOUT: Final = frozenset({"ReferenceGrant"})
"""Kinds of the Gateway API that have no status. Their CRDs are not ours, so no model says it."""


def _is_written(kind: Kind) -> bool:
    if kind.crd is None:
        return kind.group == _GATEWAY_API and kind.name not in _WITHOUT
    return bool(kind.crd.status.model_fields)


def _is_unnamed(kind: Kind) -> bool:
    return kind.crd is not None and "ancestors" not in kind.crd.status.model_fields


WRITTEN: Final = tuple(kind for kind in KINDS if _is_written(kind))
"""The kinds that have a status of ours."""
UNNAMED: Final = frozenset((kind.group, kind.name) for kind in WRITTEN if _is_unnamed(kind))
"""Of them, (group, name), kgateway's that are no Gateway's and whose conditions do not say which controller's they are:
beside kgateway two have the same word to say about one object."""
